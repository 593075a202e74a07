"""Which file to use, and why, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfcompress.core import EQUAL_LATENCY, format_number

if TYPE_CHECKING:
    from tfcompress.report._report import Report

SIZE, LATENCY = "size_bytes", "latency_ms_p50"
EQUAL_SIZE = 0.01
KEEP = 0.99  # share of the base's accuracy that a file must keep when nothing else is asked, as MLPerf Inference does


class Recommendation(NamedTuple):
    """A recipe's name (None: nothing fits) and the reason in a sentence."""

    recipe: str | None
    reason: str

    def __str__(self) -> str:
        return self.reason


def recommend(
    report: Report,
    *,
    max_bytes: float | None,
    max_latency_ms: float | None,
    min_accuracy: float | None,
) -> Recommendation:
    """See `Report.recommend`."""
    metric = report.metric
    lines = [line for line in report.summary() if "error" not in line and SIZE in line]
    if not lines:
        return Recommendation(
            None, "No file could be made and measured, so there is nothing to recommend."
        )
    base = next((line for line in lines if line["recipe"] == report.base), None)
    bounds = [(SIZE, max_bytes), (LATENCY, max_latency_ms), (metric, min_accuracy)]
    asked = {column: bound for column, bound in bounds if bound is not None}
    if not asked and base and metric in base:
        asked = {metric: kept(base[metric], report.lower_is_better(metric))}
        said = f"{_bound(report, metric, asked[metric])} (99 % of what {base['recipe']} has)"
    else:
        said = " and ".join(_bound(report, column, bound) for column, bound in asked.items())
    fitting = [
        line
        for line in lines
        if all(_excess(report, line, column, bound) <= 0 for column, bound in asked.items())
    ]
    if not fitting:
        nearest = min(
            lines,
            key=lambda line: max(
                _excess(report, line, column, bound) for column, bound in asked.items()
            ),
        )
        have = ", ".join(_told(nearest, column) for column in asked)
        return Recommendation(
            None, f"No file has {said}; {nearest['recipe']} comes nearest with {have}."
        )
    if asked and metric not in asked and all(metric in line for line in fitting):
        why, chosen = "is the most accurate", _most_accurate(report, fitting)
    else:
        why, chosen = "is the smallest", fitting
    small = _least(chosen, SIZE, EQUAL_SIZE)
    fast = _least(small, LATENCY, report.noise(*(line["recipe"] for line in small)))
    best = min(fast, key=lambda line: _cost(report, line))
    among = f"{why} of the {len(fitting)} files" if len(fitting) > 1 else "is the only file"
    among += f" with {said}" if asked else ""
    if len(small) > 1:
        others = f", with {len(small) - 1} other{'s' * (len(small) > 2)} as small but "
        among += others + ("slower" if len(fast) == 1 else "no faster or more accurate")
    return Recommendation(
        best["recipe"], f"{best['recipe']} {among}: {_cost_told(report, best, base)}."
    )


def kept(value: float, lower_is_better: bool) -> float:
    """The worst value that still counts as kept: 99 % of an accuracy, 101 % of a loss."""
    return value + (1 - KEEP) * abs(value) * (1 if lower_is_better else -1)


def ratio_told(value: float, base: float, more: str, less: str) -> str:
    """How many times `value` is below or above `base`, in words: "2.2× faster"; "the same" within half a percent."""
    if abs(value / base - 1) < 0.005:
        return "the same"
    return f"{base / value:.3g}× {more}" if value <= base else f"{value / base:.3g}× {less}"


def latency_told(value: float, base: float, noise: float = EQUAL_LATENCY) -> str:
    """A latency against the base's in words; differences under the `noise` of the measurement are none."""
    return (
        "equally fast"
        if abs(value / base - 1) < noise
        else ratio_told(value, base, "faster", "slower")
    )


def _excess(report: Report, line: Mapping[str, Any], column: str, bound: float) -> float:
    """By what share of itself the bound is missed; not above 0 where it is met."""
    if column not in line:
        return math.inf
    over = line[column] - bound if report.lower_is_better(column) else bound - line[column]
    return over / (abs(bound) or 1.0)


def _cost(report: Report, line: Mapping[str, Any]) -> float:
    value = line.get(report.metric, 0.0)
    return value if report.lower_is_better(report.metric) else -value


def _most_accurate(report: Report, lines: list[dict]) -> list[dict]:
    """Those within one standard error over seeds of the best (the one-standard-error rule of Breiman et al. 1984)."""
    best = min(lines, key=lambda line: _cost(report, line))
    error = best.get(report.metric + "_std", 0.0) / math.sqrt(best["seeds"])
    return [line for line in lines if _cost(report, line) <= _cost(report, best) + error]


def _least(lines: list[dict], column: str, equal: float) -> list[dict]:
    values = [line[column] for line in lines if column in line]
    return (
        [line for line in lines if column in line and line[column] <= min(values) * (1 + equal)]
        if values
        else lines
    )


def _told(line: Mapping[str, Any], column: str) -> str:
    if column not in line:
        return f"no {column} measured"
    unit = {SIZE: " bytes", LATENCY: " ms"}.get(column)
    return (
        format_number(line[column], column) + unit
        if unit
        else f"{column} {format_number(line[column], column)}"
    )


def _bound(report: Report, column: str, bound: float) -> str:
    side = "at most" if report.lower_is_better(column) else "at least"
    return (
        f"{side} {_told({column: bound}, column)}"
        if column in (SIZE, LATENCY)
        else f"{column} {side} {format_number(bound, column)}"
    )


def _cost_told(report: Report, line: Mapping[str, Any], base: Mapping[str, Any] | None) -> str:
    """Size, metric and latency, each followed by what it is against the base (nothing for the base itself)."""
    other = base if base is not None and base["recipe"] != line["recipe"] else {}
    parts = [
        _told(line, SIZE)
        + (f", {ratio_told(line[SIZE], other[SIZE], 'smaller', 'larger')}" if other else "")
    ]
    if report.metric in line:
        parts.append(_told(line, report.metric))
        if other and (difference := report.difference(line["recipe"])):
            parts[-1] += f", {difference}"
        elif report.metric in other:
            parts[-1] += f", {line[report.metric] - other[report.metric]:+.4f}"
    if LATENCY in line:
        noise = report.noise(line["recipe"], *([other["recipe"]] if other else []))
        parts.append(
            _told(line, LATENCY)
            + (
                f", {latency_told(line[LATENCY], other[LATENCY], noise)}"
                if LATENCY in other
                else ""
            )
        )
    return "; ".join(parts)
