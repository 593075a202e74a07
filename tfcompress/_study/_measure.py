"""What is measured of every file in the same way: answers, sizes, latency beside all others."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from tfcompress import profiling
from tfcompress._study._fingerprint import fingerprint
from tfcompress._study._formats import Profiles, Row, check_columns
from tfcompress.core import (
    COLUMNS,
    LATENCY,
    Artifact,
    ArtifactError,
    DataError,
    Device,
    Profile,
    ResultWarning,
    Rows,
    write_all,
)
from tfcompress.core._schema import FormatError, read_checked
from tfcompress.core._types import Array, Data
from tfcompress.core._versions import versions

File = str | Path | Artifact
"""A `.tflite`: where it is, or the artifact that holds it."""


def check_evaluate(evaluate: Data) -> None:
    """DataError unless `evaluate` is a data set, or arrays (x, y) of as many examples as labels."""
    pair = isinstance(evaluate, (tuple, list))
    if (pair and len(evaluate) != 2) or isinstance(evaluate, np.ndarray):
        raise DataError(
            "evaluate: expected (x_test, y_test) or a data set of (x, y) batches, "
            f"got {type(evaluate).__name__}."
        )
    if pair:
        x, y = (_first(part) for part in evaluate)
        if len(x) != len(y) or not len(x):
            raise DataError(
                f"evaluate: {len(x)} examples and {len(y)} labels; expected as many of both, at "
                "least one."
            )


def examples(evaluate: Data | None) -> int | None:
    """How many examples `evaluate` has, where that is known without running through it."""
    return len(_first(evaluate[1])) if isinstance(evaluate, (tuple, list)) else None


def labels_of(evaluate: Data | None) -> Array | None:
    """The labels of (x, y) of a model with one output; None where there is no such array."""
    if not isinstance(evaluate, (tuple, list)):
        return None
    labels = evaluate[1]
    return None if isinstance(labels, (Mapping, list, tuple)) else np.asarray(labels)


def warn_of(report: Rows) -> None:
    """A ResultWarning for every warning of the report."""
    for warning in report.warnings():
        warnings.warn(warning, ResultWarning, stacklevel=4)


def scored(file: File, evaluate: Data, metric: str, runtime: str) -> Row:
    """The metric's value under its name, and which answers are right.

    Of several outputs it is the mean, and each one's value also under its own name. "correct" is
    one 0 or 1 a test example, for paired statistics, where answers are right or wrong and the
    examples have an order.
    """
    x, y = evaluate if isinstance(evaluate, (tuple, list)) else (evaluate, None)
    score, outputs = profiling.evaluate(
        file, x, y, metric=metric, runtime=runtime, predictions=True
    )
    if isinstance(score, dict):
        return _scored_outputs(score, metric)
    row: Row = {metric: score}
    if metric == "accuracy" and y is not None:
        right = profiling.correct(np.asarray(_first(y)), outputs)
        if right.ndim == 1:
            row["correct"] = "".join("1" if hit else "0" for hit in right)
    return row


def _scored_outputs(scores: Mapping[str, Any], metric: str) -> Row:
    """The metric's mean over the outputs that have it, and each output's number under its name.

    An output whose labels are quantities has another metric, which its column names.
    """
    by_output: Row = {}
    for name, score in scores.items():
        numbers = score if isinstance(score, Mapping) else {metric: score}
        by_output |= {f"{name}_{measure}": value for measure, value in numbers.items()}
    fitting = [score for score in scores.values() if not isinstance(score, Mapping)]
    if not fitting:
        raise DataError(
            f'No output has labels that {metric} can score: pass metric="mae" or another metric.'
        )
    return {metric: fmean(fitting), **by_output}


def measured(
    rows: Sequence[Row],
    files: Sequence[File | None],
    *,
    threads: Sequence[int],
    runtime: str,
    batches: Sequence[int] = (),
) -> list[Row]:
    """`rows` with the profile of each one's file (None: has none), all latencies interleaved.

    A file that the interpreter cannot run makes its row an error.
    """
    with_profiles = [dict(row) for row in rows]
    present = [(row, file) for row, file in zip(with_profiles, files) if file is not None]
    if not present:
        return with_profiles
    profiles = profiling.profile_many(
        [file for _, file in present],
        threads=threads,
        batches=batches,
        runtime=runtime,
        names=[row["recipe"] for row, _ in present],
        on_error="note",
    )
    for (row, _), profile in zip(present, profiles):
        row |= columns(profile)
        if not profile.latency:
            row.setdefault("error", f"InterpreterError: {' '.join(profile.notes)}")
    return with_profiles


def profiled(
    rows: list[Row],
    files: Sequence[File | None],
    folder: Path | None,
    threads: Sequence[int],
    runtime: str,
) -> list[Row]:
    """`measured` rows.

    Those kept in `folder` are taken where they are of the very same files, thread counts, machine
    and versions.
    """
    if folder is None:
        return measured(rows, files, threads=threads, runtime=runtime)
    hashes = [row["made"]["sha256"] if "made" in row else None for row in rows]
    key = fingerprint(hashes, list(threads), runtime, socket.gethostname(), versions())
    kept = _kept_columns(folder / "profiles.json", key)
    if kept is not None and len(kept) == len(rows):
        return [{**row, **more} for row, more in zip(rows, kept)]
    timed = measured(rows, files, threads=threads, runtime=runtime)
    fresh = [_changed(before, after) for before, after in zip(rows, timed)]
    text = json.dumps({"key": key, "columns": fresh}) + "\n"
    with suppress(ArtifactError):  # measured again next time
        write_all({folder / "profiles.json": text}, overwrite=True)
    return timed


def _changed(before: Row, after: Row) -> Row:
    """The columns of `after` that `before` does not have, or has otherwise."""
    return {name: value for name, value in after.items() if before.get(name) != value}


def _kept_columns(file: Path, key: str) -> list[Row] | None:
    """What was measured of the files with that address; None where nothing, or it is damaged."""
    try:
        profiles = read_checked(file, Profiles)
        for row in profiles.columns:
            check_columns(row)
    except (OSError, FormatError):
        return None
    return profiles.columns if profiles.key == key else None


def _first(part: Data) -> Data:
    """The array itself, or the first of a model's several inputs or outputs."""
    if isinstance(part, Mapping):
        return next(iter(part.values()))
    several = isinstance(part, (list, tuple)) and part and getattr(part[0], "ndim", 0)
    return part[0] if several else part


def on_devices(
    rows: Sequence[Row], files: Sequence[File | None], on: Sequence[Device]
) -> list[Row]:
    """`rows` with what every device measured of each one's file, in columns `name@device`.

    What a device refuses is a warning of the row.
    """
    measured_rows: list[Row] = []
    for row, file in zip(rows, files):
        more: Row = {}
        refusals: list[str] = []
        for profile in profiling.profile(file, on=on) if file is not None and on else ():
            more |= _device_columns(profile)
            if profile.refusal:
                refusals.append(f"{profile.device} cannot run it: {profile.refusal}")
        warned = {"warnings": [*row.get("warnings", ()), *refusals]} if refusals else {}
        measured_rows.append({**row, **more, **warned})
    return measured_rows


def require_devices(on: Sequence[Device]) -> None:
    """Refuse before any work what is no device, or what is not installed here."""
    for device in on:
        profiling.require_device(device)
        device.require()


def _device_columns(profile: Profile) -> Row:
    """A profile's columns under `name@device`; sizes are the file's, whatever the device."""
    sizes = ("size_bytes", "gzip_bytes", "macs", "weights")
    found = {name: value for name, value in columns(profile).items() if name != "profile"}
    return {f"{name}@{profile.device}": value for name, value in found.items() if name not in sizes}


def columns(profile: Profile) -> Row:
    """A row's numbers from a profile: every column of `COLUMNS` that it holds, and the profile.

    The latency at the fewest threads has the plain name, the others say their threads.
    """
    row: Row = {}
    for described in COLUMNS:
        value = getattr(profile, described.name, None)
        if value is not None:
            row[described.name] = value
        if described is LATENCY:
            row |= _latency_by_threads(profile)
    return {**row, "profile": profile.to_dict()}


def _latency_by_threads(profile: Profile) -> dict[str, float]:
    """Median latency at every thread count but the fewest."""
    by_threads = sorted(profile.latency, key=lambda item: item.threads)
    return {f"{LATENCY.name}_threads{item.threads}": item.latency_ms_p50 for item in by_threads[1:]}
