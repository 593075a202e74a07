"""One column of a report in one place: what it is called, in what unit, which way is better.

A new measured column is an entry of `COLUMNS` here and the field of `Profile` that holds it;
tables, figures, summaries and the recommendation read everything else from the entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

EQUAL_LATENCY = 0.03
"""Identical models measured interleaved differ by up to 3.6 %, with a deviation of 0.9 %."""

LOWER_IS_BETTER = (
    "bytes",
    "_ms",
    "latency",
    "macs",
    "weights",
    "memory",
    "seconds",
    "loss",
    "mse",
    "mae",
    "error",
)
"""A column that is not in `COLUMNS` is better when lower if its name holds one of these."""


class Format(Enum):
    """How a column's numbers are written."""

    NUMBER = "number"
    COUNT = "count"
    BYTES = "bytes"
    MEBIBYTES = "mebibytes"
    MILLISECONDS = "milliseconds"
    SHARE = "share"


@dataclass(frozen=True)
class Column:
    """A column: its name in rows, its head and unit on a page, its direction and its format.

    Args:
        name: the key in a row, with the stored unit in it, for example "size_bytes".
        head: what people call it.
        unit: the unit of what `shown` writes.
        lower_is_better: the direction.
        format: how numbers are written.
        noisy: a measured time; differences below the noise of its measurement are none.
        on_page: has a column of its own in the page's table, in the order of `COLUMNS`.
        on_request: a study file may ask for it in its results.
        derive: computes it from a row's other columns, where it is not measured itself.
    """

    name: str
    head: str
    unit: str = ""
    lower_is_better: bool = False
    format: Format = Format.NUMBER
    noisy: bool = False
    on_page: bool = False
    on_request: bool = False
    derive: Callable[[Mapping[str, float]], float | None] | None = None

    def value(self, row: Mapping[str, float]) -> float | None:
        """The column's number in a row or a summary line; None where it has none."""
        if self.name in row:
            return row[self.name]
        return self.derive(row) if self.derive else None

    def text(self, value: float, *, like: float | None = None) -> str:
        """`value` in the stored unit, for tables of text.

        Bytes and counts are whole, milliseconds have three places (three digits below 0.1), all
        others four places. `like` is the number whose places it takes over.
        """
        return f"{value:,.{self._places(value if like is None else like)}f}"

    def shown(self, value: float, *, like: float | None = None) -> str:
        """`value` in the page's unit, without the unit."""
        if self.format is Format.SHARE:
            return f"{100 * value:.2f}"
        if self.format is Format.MEBIBYTES:
            return f"{value / 2**20:.1f}"
        return self.text(value, like=like)

    def deviation(self, value: float, mean: float) -> str:
        """A standard deviation as `text` writes its mean; in more places where it would be 0."""
        return _not_zero(self.text(value, like=mean), value, mean, 1.0)

    def shown_deviation(self, value: float, mean: float) -> str:
        """A standard deviation as `shown` writes its mean; in more places where it would be 0."""
        scale = {Format.SHARE: 100.0, Format.MEBIBYTES: 2.0**-20}.get(self.format, 1.0)
        return _not_zero(self.shown(value, like=mean), value, mean, scale)

    def short(self, value: float) -> str:
        """`value` with its unit, rounded for a headline: 98.5 kB, 97.12 %, 0.166 ms."""
        if self.format is Format.BYTES:
            return _bytes(value)
        units = {Format.SHARE: " %", Format.MILLISECONDS: " ms", Format.MEBIBYTES: " MiB"}
        return self.shown(value) + units.get(self.format, "")

    def tick(self, value: float) -> str:
        """`value` beside an axis, whose label has the unit."""
        if self.format is Format.SHARE:
            return f"{100 * value:.4g} %"
        if self.format in (Format.BYTES, Format.MEBIBYTES):
            return self.short(value)
        return f"{value:.4g}"

    @property
    def title(self) -> str:
        """The head of a column of stored numbers: with the unit where the page shows another."""
        return f"{self.head} ms" if self.format is Format.MILLISECONDS else self.head

    def _places(self, value: float) -> int:
        size = abs(value)
        if self.format in (Format.COUNT, Format.BYTES, Format.MEBIBYTES):
            return 0
        if self.format is Format.MILLISECONDS:
            return 2 - math.floor(math.log10(size)) if 0 < size < 0.1 else 3
        return 4 if size < 1000 else 1


def _images_per_second(row: Mapping[str, float]) -> float | None:
    """1000 / latency in ms, one image at a time."""
    latency_ms = row.get("latency_ms_p50")
    return 1000 / latency_ms if latency_ms else None


COLUMNS = (
    Column("size_bytes", "size", "bytes on disk", True, Format.BYTES, on_page=True),
    Column("gzip_bytes", "download", "bytes gzipped", True, Format.BYTES, on_page=True),
    Column(
        "latency_ms_p50",
        "latency",
        "ms, median",
        True,
        Format.MILLISECONDS,
        noisy=True,
        on_page=True,
        on_request=True,
    ),
    Column(
        "peak_memory_bytes",
        "peak memory",
        "MiB",
        True,
        Format.MEBIBYTES,
        on_page=True,
        on_request=True,
    ),
    Column("macs", "MACs", "", True, Format.COUNT, on_request=True),
    Column("weights", "weights", "", True, Format.COUNT, on_request=True),
    Column("images_per_second", "images/s, one by one", on_request=True, derive=_images_per_second),
    Column("throughput_per_second", "throughput", "samples/s", noisy=True),
    Column("processor_cores", "cores busy"),
    Column(
        "running_memory_bytes",
        "memory in use",
        "MiB",
        lower_is_better=True,
        format=Format.MEBIBYTES,
    ),
    Column("arena_bytes", "arena", "bytes", True, Format.BYTES, on_page=True),
    Column("flash_bytes", "flash", "bytes", True, Format.BYTES, on_page=True),
    Column("estimated_sram_bytes", "SRAM, estimate", "bytes", True, Format.BYTES, on_page=True),
    Column("estimated_flash_bytes", "flash, estimate", "bytes", True, Format.BYTES, on_page=True),
    Column("estimated_cycles", "cycles, estimate", "", True, Format.COUNT, on_page=True),
    Column(
        "estimated_latency_ms",
        "latency, estimate",
        "ms",
        True,
        Format.MILLISECONDS,
        on_page=True,
    ),
    Column("seeds", "seeds", format=Format.COUNT),
)
SIZE, DOWNLOAD, LATENCY = COLUMNS[:3]
_BY_NAME = {column.name: column for column in COLUMNS}


def column(name: str) -> Column:
    """The column of that name: an entry of `COLUMNS`, or what its name says of its unit.

    "latency_ms_p50@browser: Pixel 8" is the column before the @, measured on that device.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    measured, _, device = name.partition("@")
    if device:
        described = column(measured)
        head = f"{described.head}, {device}"
        return replace(described, name=name, head=head, on_request=False)
    first, _, threads = name.partition("_threads")
    if threads and first in _BY_NAME:
        head = f"{_BY_NAME[first].head}, {threads} threads"
        return replace(_BY_NAME[first], name=name, head=head, on_page=False, on_request=False)
    return Column(
        name,
        name.replace("_", " "),
        "%" if "accuracy" in name else "",
        any(word in name for word in LOWER_IS_BETTER),
        _format_of(name),
        "latency" in name or "_ms" in name,
    )


def _format_of(name: str) -> Format:
    if "bytes" in name:
        return Format.BYTES
    if "_ms" in name:
        return Format.MILLISECONDS
    return Format.SHARE if "accuracy" in name else Format.NUMBER


def _bytes(value: float) -> str:
    """Bytes in kB and MB (powers of 1000), four digits."""
    for size, unit in ((1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g} bytes"


def _not_zero(text: str, value: float, mean: float, scale: float) -> str:
    """`text`, or one digit of `value` where rounding left nothing; "" for a rounding error."""
    if text.strip("0.,"):
        return text
    if abs(value) <= 1e-9 * abs(mean):
        return ""
    shown = abs(value * scale)
    return f"{shown:.{-math.floor(math.log10(shown))}f}" if shown < 1 else text
