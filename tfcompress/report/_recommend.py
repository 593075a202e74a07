"""Which file to use, and why, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfcompress.core import DOWNLOAD, EQUAL_LATENCY, LATENCY, SIZE, column
from tfcompress.report._table import Table

EQUAL_SIZE = 0.01
EQUAL_DOWNLOAD = 0.05
KEEP = 0.99
"""Share of an accuracy that still counts as kept, as in MLPerf Inference."""

Line = Mapping[str, Any]


class Recommendation(NamedTuple):
    """A recipe's name (None: nothing fits) and the reason in a sentence."""

    recipe: str | None
    reason: str

    def __str__(self) -> str:
        return self.reason


class Tie(NamedTuple):
    """Files of the same size that are left, and why the others are not."""

    lines: list[Line]
    reasons: list[str]


def recommend(
    table: Table,
    *,
    max_bytes: float | None,
    max_latency_ms: float | None,
    min_accuracy: float | None,
) -> Recommendation:
    """See `Report.recommend`."""
    metric = table.metric
    lines: list[Line] = [
        line for line in table.summary() if "error" not in line and SIZE.name in line
    ]
    if not lines:
        return Recommendation(
            None, "No file could be made and measured, so there is nothing to recommend."
        )
    base = next((line for line in lines if line["recipe"] == table.base), None)
    limits = {SIZE.name: max_bytes, LATENCY.name: max_latency_ms, metric: min_accuracy}
    bounds = {name: limit for name, limit in limits.items() if limit is not None}
    if not bounds and base and metric in base:
        bounds = {metric: kept(base[metric], table.lower_is_better(metric))}
        wanted = f"{_bound(metric, bounds[metric])} (99 % of what {base['recipe']} has)"
    else:
        wanted = " and ".join(_bound(name, limit) for name, limit in bounds.items())
    fitting = [line for line in lines if _misses(line, bounds) <= 0]
    if not fitting:
        nearest = min(lines, key=lambda line: _misses(line, bounds))
        have = ", ".join(_with_unit(nearest, name) for name in bounds)
        return Recommendation(
            None, f"No file has {wanted}; {nearest['recipe']} comes nearest with {have}."
        )
    return _best(table, base, fitting, bounds, wanted)


def kept(value: float, lower_is_better: bool) -> float:
    """The worst value that still counts as kept: 99 % of an accuracy, 101 % of a loss."""
    return value + (1 - KEEP) * abs(value) * (1 if lower_is_better else -1)


def ratio_in_words(value: float, base: float, more: str, less: str) -> str:
    """How many times `value` is below or above `base`, in words: "2.2× faster".

    "the same" within half a percent.
    """
    if abs(value / base - 1) < 0.005:
        return "the same"
    return f"{base / value:.3g}× {more}" if value <= base else f"{value / base:.3g}× {less}"


def latency_in_words(value: float, base: float, noise: float = EQUAL_LATENCY) -> str:
    """A latency against the base's in words; differences under the `noise` are none."""
    if abs(value / base - 1) < noise:
        return "equally fast"
    return ratio_in_words(value, base, "faster", "slower")


def _best(
    table: Table, base: Line | None, fitting: list[Line], bounds: Mapping[str, float], wanted: str
) -> Recommendation:
    """The best of the files that fit, and the reason."""
    metric = table.metric
    reason, chosen = "is the smallest", fitting
    if bounds and metric not in bounds and all(metric in line for line in fitting):
        reason, chosen = "is the most accurate", _most_accurate(table, fitting)
    small = _least(chosen, SIZE.name, EQUAL_SIZE)
    tie = _decide(table, small)
    best = min(tie.lines, key=lambda line: _cost(table, line))
    count = len(fitting)
    among = f"{reason} of the {count} files" if count > 1 else "is the only file"
    if wanted:
        among += f" with {wanted}"
    others = len(small) - 1
    if others:
        noun = "other" if others == 1 else "others"
        among += f", with {others} {noun} as small but {' or '.join(tie.reasons)}"
    cost = _in_words(table, best, base)
    return Recommendation(best["recipe"], f"{best['recipe']} {among}: {cost}.")


def _decide(table: Table, lines: list[Line]) -> Tie:
    """Among files of the same size: accuracy where it differs, then download, then latency."""
    noise = table.noise(*(line["recipe"] for line in lines))
    steps = (
        ("less accurate", lambda left: _as_accurate(table, left)),
        ("larger to download", lambda left: _least(left, DOWNLOAD.name, EQUAL_DOWNLOAD)),
        ("slower", lambda left: _least(left, LATENCY.name, noise)),
    )
    reasons: list[str] = []
    for reason, step in steps:
        left = step(lines)
        if len(left) < len(lines):
            reasons.append(reason)
        lines = left
    if len(lines) > 1:
        reasons = [reason for reason in reasons if reason != "slower"]
        reasons.append("no faster or more accurate")
    return Tie(lines, reasons)


def _as_accurate(table: Table, lines: list[Line]) -> list[Line]:
    """Those that keep 99 % of the best accuracy, or that the test examples cannot tell from it."""
    metric = table.metric
    if not all(metric in line for line in lines):
        return lines
    best = min(lines, key=lambda line: _cost(table, line))
    worst = kept(_cost(table, best), lower_is_better=True)
    equal: list[Line] = []
    for line in lines:
        if _cost(table, line) > worst:
            difference = table.difference(line["recipe"], best["recipe"])
            if difference is None or difference.distinguishable:
                continue
        equal.append(line)
    return equal


def _misses(line: Line, bounds: Mapping[str, float]) -> float:
    """By what share of itself the bound missed most is missed; not above 0 where all are met."""
    return max((_excess(line, name, limit) for name, limit in bounds.items()), default=0.0)


def _excess(line: Line, name: str, limit: float) -> float:
    if name not in line:
        return math.inf
    over = line[name] - limit if column(name).lower_is_better else limit - line[name]
    return over / (abs(limit) or 1.0)


def _cost(table: Table, line: Line) -> float:
    """The metric so that less is better."""
    value = line.get(table.metric, 0.0)
    return value if table.lower_is_better(table.metric) else -value


def _most_accurate(table: Table, lines: Sequence[Line]) -> list[Line]:
    """Those within one standard error over seeds of the best.

    Source: Breiman, Friedman, Olshen, Stone, Classification and Regression Trees (1984): the
    one-standard-error rule.
    """
    best = min(lines, key=lambda line: _cost(table, line))
    error = best.get(table.metric + "_std", 0.0) / math.sqrt(best["seeds"])
    return [line for line in lines if _cost(table, line) <= _cost(table, best) + error]


def _least(lines: list[Line], name: str, equal: float) -> list[Line]:
    """Those within a share `equal` of the least; all where none has the column."""
    values = [line[name] for line in lines if name in line]
    if not values:
        return lines
    most = min(values) * (1 + equal)
    return [line for line in lines if name in line and line[name] <= most]


def _with_unit(line: Line, name: str) -> str:
    """ "98,496 bytes", "0.166 ms", "accuracy 0.9712"."""
    if name not in line:
        return f"no {name} measured"
    units = {SIZE.name: " bytes", LATENCY.name: " ms", DOWNLOAD.name: " bytes gzipped"}
    text = column(name).text(line[name])
    return text + units[name] if name in units else f"{name} {text}"


def _bound(name: str, limit: float) -> str:
    side = "at most" if column(name).lower_is_better else "at least"
    if name in (SIZE.name, LATENCY.name):
        return f"{side} {_with_unit({name: limit}, name)}"
    return f"{name} {side} {column(name).text(limit)}"


def _in_words(table: Table, line: Line, base: Line | None) -> str:
    """Size, metric and latency, each followed by what it is against the base (not for the base)."""
    other = base if base is not None and base["recipe"] != line["recipe"] else None
    parts = [_with_unit(line, SIZE.name)]
    if other:
        parts[0] += f", {ratio_in_words(line[SIZE.name], other[SIZE.name], 'smaller', 'larger')}"
    if table.metric in line:
        parts.append(_with_unit(line, table.metric) + _change(table, line, other))
    if LATENCY.name in line:
        text = _with_unit(line, LATENCY.name)
        if other and LATENCY.name in other:
            noise = table.noise(line["recipe"], other["recipe"])
            text += f", {latency_in_words(line[LATENCY.name], other[LATENCY.name], noise)}"
        parts.append(text)
    return "; ".join(parts)


def _change(table: Table, line: Line, other: Line | None) -> str:
    """What the metric gains or loses against the base, with its interval where known."""
    if other is None:
        return ""
    difference = table.difference(line["recipe"])
    if difference:
        return f", {difference}"
    if table.metric in other:
        return f", {line[table.metric] - other[table.metric]:+.4f}"
    return ""
