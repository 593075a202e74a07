"""The report's figures in Matplotlib, for notebooks and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfcompress.core import RecipeError
from tfcompress.report._sweeps import sweeps

if TYPE_CHECKING:
    from tfcompress.report._report import Report

LOG_FROM = 3  # a positive axis that spans this ratio is drawn logarithmic


def scatter(report: Report, x: str, y: str, ax: Any = None) -> Any:
    """See `Report.plot`."""
    front = {row["recipe"] for row in report.pareto(x, y).rows}
    lines = [line for line in report.summary() if x in line and y in line]
    ax = ax or _axes()
    for line in lines:
        on = line["recipe"] in front
        bars = {"xerr": line.get(x + "_std"), "yerr": line.get(y + "_std")}
        color = "tab:blue" if on else "tab:gray"
        ax.errorbar(
            line[x],
            line[y],
            **bars,
            fmt="o",
            color=color,
            mfc=color if on else "none",
            capsize=2,
            lw=1,
            label=line["recipe"],
        )
        ax.annotate(
            line["recipe"],
            (line[x], line[y]),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=8,
        )
    if front:
        path = sorted((line[x], line[y]) for line in lines if line["recipe"] in front)
        ax.plot(*zip(*path), color="tab:blue", lw=1, alpha=0.6, zorder=0, label="Pareto front")
    values = [line[x] for line in lines]
    if values and min(values) > 0 and max(values) / min(values) >= LOG_FROM:
        ax.set_xscale("log")
    ax.set(xlabel=x, ylabel=y, title=report.title)
    return ax


def sweep(report: Report, option: str, y: str | Sequence[str], ax: Any = None) -> Any:
    """See `Report.plot_sweep`."""
    found = sweeps(report).get(option)
    if not found:
        raise RecipeError(
            f"No three recipes differ in {option!r} alone; there are: {', '.join(sweeps(report)) or 'none'}."
        )
    columns, lines = (
        [y] if isinstance(y, str) else list(y),
        {line["recipe"]: line for line in report.summary()},
    )
    ax = ax or _axes()
    for number, one in enumerate(found):
        for column, stroke in zip(columns, ("-", "--", ":", "-.")):
            there = {x: lines[name] for x, name in one.recipes.items() if column in lines[name]}
            bars = [line.get(column + "_std", 0.0) for line in there.values()]
            label = one.name if len(columns) == 1 else f"{one.name}, {column}"
            ax.errorbar(
                list(there),
                [line[column] for line in there.values()],
                bars,
                fmt="o" + stroke,
                color=f"C{number}",
                capsize=2,
                label=label,
            )
            if (level := lines.get(one.reference or "", {}).get(column)) is not None:
                ax.axhline(
                    level,
                    color=f"C{number}",
                    ls=stroke,
                    lw=0.8,
                    alpha=0.6,
                    label=f"{one.reference}, {column}",
                )
    values = [x for one in found for x in one.recipes]
    if min(values) > 0 and max(values) / min(values) >= 8:
        ax.set_xscale("log", base=2)
    ax.set(xlabel=option, ylabel=", ".join(columns), title=report.title)
    ax.legend(fontsize=8)
    return ax


def latency(report: Report, ax: Any = None) -> Any:
    """See `Report.plot_latency`."""
    ax = ax or _axes()
    for recipe, points in report.latency_by_threads().items():
        ax.plot(list(points), list(points.values()), marker="o", label=recipe)
    ax.set(xlabel="threads", ylabel="latency, ms (median)", title=report.title, ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(fontsize=8)
    return ax


def ops(report: Report, recipe: str, ax: Any = None) -> Any:
    """See `Report.plot_ops`."""
    found = report.profile(recipe).get("ops") or []
    if not found:
        raise RecipeError(
            f"No operations were profiled for {recipe!r}; pass profile=True to study(), or plot another recipe."
        )
    timed = all(op["time_us_p50"] is not None for op in found)
    ax = ax or _axes()
    ax.barh(
        [f"{op['index']} {op['kind']}" for op in found],
        [op["time_us_p50"] if timed else op["macs"] for op in found],
    )
    ax.invert_yaxis()
    ax.set(xlabel="time, µs (median)" if timed else "multiply-accumulates", title=recipe)
    return ax


def _axes() -> Any:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7, 4.5), layout="constrained")[1]
