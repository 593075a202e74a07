"""Where everything goes in the page's scatters and thread rows, in SVG user units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfcompress.core import LATENCY
from tfcompress.report._labels import Box, line_box, place_labels, staircase
from tfcompress.report._scale import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    reach_of,
    x_ticks,
)
from tfcompress.report._table import Table

ROW = 40
"""Height of a recipe's row in the figure of threads."""
SQUASHED_FROM = 10
"""Latencies that span this ratio are drawn logarithmic: one slow file would squash the others."""

Write = Callable[[float, str], str]
"""A value of a column (by name) in words."""
Figure = dict[str, Any]


def scatter(table: Table, x: str, y: str, write: Write, marks: Mapping[str, str]) -> Figure | None:
    """Geometry of y against x over recipes; None below two points or without a column.

    Points have error bars (± std over seeds) and labels, the Pareto front is a staircase.

    Args:
        table: the report's numbers.
        x: name of the column along.
        y: name of the column up.
        write: words a tick.
        marks: recipe → its role, "base" or "recommended".
    """
    if x not in table.columns() or y not in table.columns():
        return None
    lines = [line for line in table.summary() if x in line and y in line]
    if len(lines) < 2:
        return None
    widths = [line[x] for line in lines]
    heights = [value for line in lines for value in reach_of(line, y)]
    along = Scale(widths, LEFT, WIDTH - RIGHT, log=True, zero=table.lower_is_better(x))
    up = Scale(heights, HEIGHT - BOTTOM, TOP)
    front = set(table.pareto(x, y).recipes())
    points = [_point(line, x, y, along, up) for line in lines]
    for point in points:
        name = point["recipe"]
        point |= {"front": name in front, "mark": marks.get(name, ""), "label": None}
    on_front = sorted((point["x"], point["y"]) for point in points if point["front"])
    more_x_is_better = not table.lower_is_better(x)
    bars = [box for point in points for box in _bars(point)]
    place_labels(points, [*staircase(on_front, more_x_is_better), *bars])
    return {
        "x": x,
        "y": y,
        "log": along.log,
        "points": points,
        "front": _steps(on_front, more_x_is_better),
        "x_ticks": x_ticks(along, write, x),
        "y_ticks": [(up(value), write(value, y)) for value in up.ticks],
    }


def thread_dots(latency: Mapping[str, Mapping[int, float]], write: Write) -> Figure | None:
    """Geometry of one row a recipe with a dot for each thread count; None without a measurement.

    Latency goes along, from zero, or logarithmic where one file would squash all others.
    """
    if not latency:
        return None
    values = [value for points in latency.values() for value in points.values()]
    squashed = min(values) > 0 and max(values) / min(values) >= SQUASHED_FROM
    along = Scale(values, 8, WIDTH - 24, log=squashed, zero=not squashed)
    head = 8
    rows: list[Figure] = []
    for place, (recipe, points) in enumerate(latency.items()):
        dots = [_thread_dot(along(value), n, value) for n, value in points.items()]
        rows.append({"recipe": recipe, "y": head + place * ROW + 27, "dots": dots})
    bottom = head + ROW * len(latency)
    return {
        "rows": rows,
        "height": bottom + 42,
        "bottom": bottom,
        "log": along.log,
        "threads": sorted({n for points in latency.values() for n in points}),
        "x_ticks": x_ticks(along, write, LATENCY.name),
    }


def _point(line: Mapping[str, Any], x: str, y: str, along: Scale, up: Scale) -> Figure:
    """One recipe's place, with the ends of its error bars."""
    bar_up = [up(value) for value in reach_of(line, y)] if y + "_std" in line else None
    reach = reach_of(line, x)
    bar_along = [along.clipped(value) for value in reach] if x + "_std" in line else None
    return {
        "recipe": line["recipe"],
        "x": along(line[x]),
        "y": up(line[y]),
        "up": bar_up,
        "along": bar_along,
    }


def _bars(point: Figure) -> list[Box]:
    """The room that a point's error bars take."""
    bars: list[Box] = []
    if point["up"]:
        bars.append(line_box(point["x"], point["up"][0], point["x"], point["up"][1]))
    if point["along"]:
        bars.append(line_box(point["along"][0], point["y"], point["along"][1], point["y"]))
    return bars


def _thread_dot(at: float, threads: int, value: float) -> Figure:
    noun = "thread" if threads == 1 else "threads"
    return {"x": at, "threads": threads, "text": f"{threads} {noun}: {LATENCY.text(value)} ms"}


def _steps(points: Sequence[tuple[float, float]], more_x_is_better: bool) -> str:
    """SVG path along the best y attainable under a bound on x: a staircase through the front."""
    if len(points) < 2:
        return ""
    path = [f"M{points[0][0]} {points[0][1]}"]
    for x, y in points[1:]:
        path.append(f"V{y}H{x}" if more_x_is_better else f"H{x}V{y}")
    return "".join(path)
