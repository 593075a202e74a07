"""The report's figures in Matplotlib, for notebooks and papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from tfcompress.core import STYLE, RecipeError, column
from tfcompress.report._axes import label_axis, logarithmic, name_points
from tfcompress.report._sweeps import Series, sweeps
from tfcompress.report._table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG2_FROM = 8
STROKES = ("-", "--", ":", "-.")
P = ParamSpec("P")


def _styled(draw: Callable[P, Axes]) -> Callable[P, Axes]:
    """`draw` in the library's style; Matplotlib's own settings stay as they are."""

    @wraps(draw)
    def styled(*args: P.args, **options: P.kwargs) -> Axes:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **options)

    return styled


@_styled
def scatter(table: Table, x: str, y: str, ax: Axes | None = None) -> Axes:
    """See `Report.plot`."""
    front = set(table.pareto(x, y).recipes())
    lines = [line for line in table.summary() if x in line and y in line]
    ax = ax or _axes()
    for line in lines:
        _point(ax, line, x, y, line["recipe"] in front)
    if front:
        path = sorted((line[x], line[y]) for line in lines if line["recipe"] in front)
        ax.plot(*zip(*path), color="tab:blue", lw=1, alpha=0.6, zorder=0, label="Pareto front")
    ax.set_title(table.title)
    ax.margins(x=0.12, y=0.12)
    label_axis(ax.xaxis, x)
    label_axis(ax.yaxis, y)
    logarithmic(ax, [line[x] for line in lines])
    name_points(ax, [(line["recipe"], (line[x], line[y])) for line in lines])
    return ax


@_styled
def sweep(table: Table, option: str, y: str | Sequence[str], ax: Axes | None = None) -> Axes:
    """See `Report.plot_sweep`."""
    by_option = sweeps(table)
    if option not in by_option:
        have = ", ".join(by_option) or "none"
        raise RecipeError(f"No three recipes differ in {option!r} alone; there are: {have}.")
    from matplotlib.ticker import ScalarFormatter

    columns = [y] if isinstance(y, str) else list(y)
    lines = {line["recipe"]: line for line in table.summary()}
    ax = ax or _axes()
    for number, series in enumerate(by_option[option]):
        for name, stroke in zip(columns, STROKES):
            label = series.name if len(columns) == 1 else f"{series.name}, {column(name).head}"
            _line(ax, series, lines, name, {"color": f"C{number}", "ls": stroke}, label)
    values = [value for series in by_option[option] for value in series.recipes]
    if min(values) > 0 and max(values) / min(values) >= LOG2_FROM:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(ScalarFormatter())
    label_axis(ax.yaxis, columns[0])
    if len(columns) > 1:
        ax.set_ylabel(", ".join(column(name).head for name in columns))
    ax.set(xlabel=option, title=table.title)
    ax.legend()
    return ax


@_styled
def latency(table: Table, ax: Axes | None = None) -> Axes:
    """See `Report.plot_latency`."""
    from matplotlib.ticker import MaxNLocator

    ax = ax or _axes()
    for recipe, points in table.latency_by_threads().items():
        ax.plot(list(points), list(points.values()), marker="o", label=recipe)
    ax.set(xlabel="threads", ylabel="latency, ms (median)", title=table.title, ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


@_styled
def ops(table: Table, recipe: str, ax: Axes | None = None) -> Axes:
    """See `Report.plot_ops`."""
    profiled = table.profile(recipe).get("ops") or []
    if not profiled:
        raise RecipeError(
            f"No operations were profiled for {recipe!r}; "
            "pass profile=True to study(), or plot another recipe."
        )
    timed = all(op["time_us_p50"] is not None for op in profiled)
    ax = ax or _axes()
    names = [f"{op['index']} {op['kind']}" for op in profiled]
    ax.barh(names, [op["time_us_p50" if timed else "macs"] for op in profiled])
    ax.invert_yaxis()
    ax.set(xlabel="time, µs (median)" if timed else "multiply-accumulates", title=recipe)
    return ax


def _point(ax: Axes, line: Mapping[str, Any], x: str, y: str, on_front: bool) -> None:
    """One recipe with its name and its deviations; filled where it is on the front."""
    color = "tab:blue" if on_front else "tab:gray"
    ax.errorbar(
        line[x],
        line[y],
        xerr=line.get(x + "_std"),
        yerr=line.get(y + "_std"),
        fmt="o",
        color=color,
        mfc=color if on_front else "none",
        capsize=2,
        lw=1,
        label=line["recipe"],
    )


def _line(
    ax: Axes,
    series: Series,
    lines: Mapping[str, Mapping[str, Any]],
    name: str,
    style: Mapping[str, Any],
    label: str,
) -> None:
    """One series of a column with its deviations, and its reference as a thin level."""
    values = {x: lines[recipe] for x, recipe in series.recipes.items() if name in lines[recipe]}
    heights = [line[name] for line in values.values()]
    bars = [line.get(name + "_std", 0.0) for line in values.values()]
    ax.errorbar(list(values), heights, bars, marker="o", capsize=2, label=label, **style)
    level = lines.get(series.reference or "", {}).get(name)
    if level is not None:
        label = f"{series.reference}, {column(name).head}"
        ax.axhline(level, lw=0.8, alpha=0.6, label=label, **style)


def _axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7, 4.5), layout="constrained")[1]
