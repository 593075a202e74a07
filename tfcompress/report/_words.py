"""Numbers as the page words them: shares in percent, bytes in kB and MB (powers of 1000), differences against the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfcompress.core import format_number
from tfcompress.report._recommend import LATENCY, SIZE, latency_told, ratio_told

if TYPE_CHECKING:
    from tfcompress.report._report import Report

MEMORY = "peak_memory_bytes"
UNITS = {
    SIZE: "bytes on disk",
    "gzip_bytes": "bytes gzipped",
    LATENCY: "ms, median",
    MEMORY: "MiB at its peak",
}
SHARES = ("sparsity", "ratio", "target_macs", "target_params", "target_latency", "final_sparsity")
HEADS = {SIZE: "size", "gzip_bytes": "download", LATENCY: "latency", MEMORY: "memory"}


def is_share(column: str) -> bool:
    """True for columns between 0 and 1 that people read in percent."""
    return "accuracy" in column


def unit(column: str) -> str:
    """The unit that stands under a column's head."""
    return UNITS.get(column, "%" if is_share(column) else "")


def say(value: float, column: str, like: float | None = None) -> str:
    """`value` without its unit, as far as it means something; `like` as for `format_number`."""
    if is_share(column):
        return f"{100 * value:.2f}"
    return f"{value / 2**20:.1f}" if column == MEMORY else format_number(value, column, like=like)


def short(value: float, column: str) -> str:
    """`value` with its unit, rounded for a headline."""
    if column == MEMORY:
        return f"{say(value, column)} MiB"
    if "bytes" in column:
        size, name = next(
            ((s, n) for s, n in ((1e6, "MB"), (1e3, "kB")) if value >= s), (1, "bytes")
        )
        return f"{value / size:.4g} {name}"
    return say(value, column) + (" %" if is_share(column) else " ms" if "_ms" in column else "")


def tick(value: float, column: str) -> str:
    """`value` beside an axis, whose label has the unit."""
    if is_share(column):
        return f"{100 * value:.4g} %"
    return short(value, column) if "bytes" in column else f"{value:.4g}"


def full(line: Mapping[str, Any], column: str) -> str:
    """Mean, ± std where there is one, and unit of one column of a summary line."""
    text = say(line[column], column)
    if line.get(column + "_std"):
        text += f" ± {say(line[column + '_std'], column, line[column])}"
    return f"{text} {unit(column)}".strip()


def against_base(
    report: Report, line: Mapping[str, Any], base: Mapping[str, Any] | None, column: str
) -> str:
    """What `line` gains or loses against the base in that column; empty for the base itself."""
    if base is None or base["recipe"] == line["recipe"] or column not in base or column not in line:
        return ""
    if column == report.metric:
        step = line[column] - base[column]
        return f"{signed(100 * step)} points" if is_share(column) else f"{step:+.4g}"
    if min(line[column], base[column]) <= 0:
        return ""
    if column == LATENCY:
        return latency_told(
            line[column], base[column], report.noise(line["recipe"], base["recipe"])
        )
    return ratio_told(line[column], base[column], "smaller", "larger")


def signed(value: float) -> str:
    """Two decimals with a typographic sign; zero has none."""
    return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"


def option_value(option: str, value: float) -> str:
    """A swept option's value as people say it: shares in percent."""
    return f"{100 * value:g} %" if option.split(".")[-1] in SHARES and value <= 1 else f"{value:g}"
