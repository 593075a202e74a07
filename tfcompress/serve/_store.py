"""What visitors measured: one JSON file a measurement, whole or not there at all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tfcompress.core import write_all
from tfcompress.core._schema import FormatError, checked, read_checked
from tfcompress.report import Report

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[^<>\x00-\x1f]+$")]
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=600_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

MEASURED = "[0-9]*.json"
"""Names of measurements; a file that a kill left half-written has another."""
KEPT = ("latency_ms_p50", "latency_ms_p90", "latency_ms_p99", "cold_ms")
"""Columns that a measurement gives to the report."""


class Timing(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor's browser posts of the time one file takes.

    `cold_ms` is from the file's bytes to its first answer; the percentiles are over `blocks`
    blocks of `runs_a_block` runs each, because browsers round their clocks.
    """

    device: Word
    accelerator: Literal["wasm", "webgpu"]
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)]
    blocks: Count
    runs_a_block: Count
    latency_ms_p50: Milliseconds
    latency_ms_p90: Milliseconds
    latency_ms_p99: Milliseconds
    cold_ms: Milliseconds
    runtime: Word
    user_agent: Annotated[str, msgspec.Meta(max_length=400)] = ""


class Measurement(msgspec.Struct):
    """A timing with the file it is of and what the server found in the outputs posted with it."""

    sha256: str
    timing: Timing
    relative_error: float
    agreement: float | None = None
    score: float | None = None
    samples: int = 0
    posted: str = ""


def check_timing(data: object) -> Timing:
    """`data` as a Timing; FormatError where a field is missing, unknown, or out of its range."""
    timing = checked(data, Timing)
    if not timing.latency_ms_p50 <= timing.latency_ms_p90 <= timing.latency_ms_p99:
        raise FormatError("Expected p50 ≤ p90 ≤ p99 - at `$.latency_ms_p50`")
    return timing


class Store:
    """The measurements in a folder; two that come at once are two files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, measurement: Measurement) -> Path:
        """Keep a measurement; ArtifactError where it cannot be written."""
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        text = msgspec.json.format(msgspec.json.encode(measurement)) + b"\n"
        return write_all({self.folder / name: text})[0]

    def all(self) -> list[Measurement]:
        """What is kept, oldest first; a file that is none is passed over."""
        kept: list[Measurement] = []
        for file in sorted(self.folder.glob(MEASURED)):
            try:
                kept.append(read_checked(file, Measurement))
            except (OSError, FormatError):
                continue
        return kept


def with_measurements(report: Report, measurements: Iterable[Measurement]) -> Report:
    """The report with a column for every device that a file was measured on; the newest counts."""
    newest: dict[tuple[str, str], Measurement] = {}
    for measurement in measurements:
        newest[measurement.sha256, measurement.timing.device] = measurement
    rows: list[dict[str, Any]] = []
    for row in report.rows:
        digest = (row.get("made") or {}).get("sha256")
        more: dict[str, float] = {}
        for (sha256, device), measurement in newest.items():
            if sha256 == digest:
                more |= _columns(device, measurement, report.metric)
        rows.append({**row, **more})
    return Report(rows, report.title, report.about)


def _columns(device: str, measurement: Measurement, metric: str) -> Mapping[str, float]:
    """The columns of one measurement, named as `Column` names those of a device."""
    timing = measurement.timing
    columns = {name: getattr(timing, name) for name in KEPT}
    if measurement.score is not None:
        columns[metric] = measurement.score
    return {f"{name}@browser: {device}": value for name, value in columns.items()}
