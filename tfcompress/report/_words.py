"""Numbers as the page words them: values with units, differences against the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfcompress.core import LATENCY, column
from tfcompress.core._column import Format
from tfcompress.report._recommend import latency_in_words, ratio_in_words
from tfcompress.report._table import Table

SHARES = ("sparsity", "ratio", "target_macs", "target_params", "target_latency", "final_sparsity")
"""Options between 0 and 1 that people read in percent."""


def tick(value: float, name: str) -> str:
    """`value` of that column beside an axis, whose label has the unit."""
    return column(name).tick(value)


def full(line: Mapping[str, Any], name: str) -> str:
    """Mean, ± std where there is one, and unit of one column of a summary line."""
    described = column(name)
    return f"{described.shown(line[name])}{spread(line, name)} {described.unit}".strip()


def spread(line: Mapping[str, Any], name: str) -> str:
    """ " ± std" of one column of a summary line; empty where it has none."""
    deviation = line.get(name + "_std")
    if not deviation:
        return ""
    text = column(name).shown_deviation(deviation, line[name])
    return f" ± {text}" if text else ""


def against_base(
    table: Table, line: Mapping[str, Any], base: Mapping[str, Any] | None, name: str
) -> str:
    """What `line` gains or loses against the base in that column; empty for the base itself."""
    if base is None or base["recipe"] == line["recipe"] or name not in base or name not in line:
        return ""
    if name == table.metric:
        step = line[name] - base[name]
        is_share = column(name).format is Format.SHARE
        return f"{signed(100 * step)} points" if is_share else f"{step:+.4g}"
    if min(line[name], base[name]) <= 0:
        return ""
    if name == LATENCY.name:
        noise = table.noise(line["recipe"], base["recipe"])
        return latency_in_words(line[name], base[name], noise)
    return ratio_in_words(line[name], base[name], "smaller", "larger")


def signed(value: float) -> str:
    """Two decimals with a typographic sign; zero has none."""
    return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"


def option_value(option: str, value: float) -> str:
    """A swept option's value as people say it: shares in percent."""
    is_share = option.split(".")[-1] in SHARES and value <= 1
    return f"{100 * value:g} %" if is_share else f"{value:g}"
