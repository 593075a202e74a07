"""Where everything goes in figures of lines: sweeps, dimension by layer, training curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress.core import column
from tfcompress.report._scale import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    reach_of,
)
from tfcompress.report._sweeps import Series
from tfcompress.report._table import Table
from tfcompress.report._words import spread

COLOURS = 4
MOST_TICKS = 8
LOG_FROM = 8
"""Options that span this ratio are drawn logarithmic."""

Write = Callable[[float, str], str]
Figure = dict[str, Any]


@dataclass
class Stroke:
    """One line of a sweep: which series and column, the summary lines by the option's value."""

    colour: int
    dashed: bool
    name: str
    column: str
    lines: dict[float, Mapping[str, Any]]
    level: float | None
    reference: str | None


def sweep(
    table: Table,
    series: Sequence[Series],
    columns: Mapping[str, str],
    write: Write,
    write_option: Callable[[float], str],
) -> Figure | None:
    """Lines of columns against an option, ± std over seeds, and each reference as a level.

    None where no recipe has any of the columns.

    Args:
        table: the report's numbers.
        series: the lines, each with its recipes by the option's value.
        columns: name → what it adds to a line's name; the first is drawn whole, others dashed.
        write: words a value of a column.
        write_option: words a value of the option.
    """
    strokes = _strokes(table, series, columns)
    if not strokes:
        return None
    first = next(iter(columns))
    options = sorted({value for stroke in strokes for value in stroke.lines})
    is_log = options[0] > 0 and options[-1] / options[0] >= LOG_FROM
    along = Scale(options, LEFT + 14, WIDTH - RIGHT - 14, log=is_log)
    heights = [value for stroke in strokes for value in _heights(stroke)]
    up = Scale(heights, HEIGHT - BOTTOM, TOP, zero=table.lower_is_better(first), log=False)
    drawn = [_drawn(stroke, along, up, write, write_option) for stroke in strokes]
    levels = [stroke.reference for stroke in strokes if stroke.level is not None]
    ticks = options if len(options) <= MOST_TICKS else along.ticks
    return {
        "lines": drawn,
        "x_ticks": [(along(value), write_option(value), "middle") for value in ticks],
        "y_ticks": [(up(value), write(value, first)) for value in up.ticks],
        "levels": list(dict.fromkeys(levels)),
    }


def dimension_profile(significance: Mapping[str, Any], threshold: float | None) -> Figure | None:
    """Dimension by layer as a line through the network; None below two layers.

    Layers whose change exceeds `threshold` are marked.

    Args:
        significance: what `Significance.to_dict` gives, with "dimension" in its details.
        threshold: of the score.
    """
    dimensions: dict[str, float] = {}
    for layer, value in significance.get("details", {}).get("dimension", {}).items():
        if layer in significance["scores"] and math.isfinite(value):
            dimensions[layer] = value
    if len(dimensions) < 2:
        return None
    up = Scale(list(dimensions.values()), HEIGHT - BOTTOM - 34, TOP, zero=True)
    step = (WIDTH - RIGHT - LEFT - 40) / (len(dimensions) - 1)
    points: list[Figure] = []
    for place, (layer, value) in enumerate(dimensions.items()):
        score = significance["scores"][layer]
        points.append(
            {
                "x": round(LEFT + 20 + place * step, 1),
                "y": up(value),
                "layer": layer,
                "on": threshold is not None and score > threshold,
                "text": f"dimension {value:.1f}, change {score:.1f}",
            }
        )
    every = max(1, math.ceil(len(points) * 16 / (WIDTH - LEFT)))
    return {
        "points": points,
        "path": _path(points),
        "named": points[::every],
        "y_ticks": [(up(value), f"{value:g}") for value in up.ticks],
        "by": significance.get("by", ""),
    }


def training_curves(training: Mapping[str, Sequence[float]]) -> list[Figure]:
    """One figure a quantity, such as loss: its curve over the epochs, the validation's dashed.

    Args:
        training: name → a value an epoch; "val_loss" is drawn with "loss".
    """
    quantities: dict[str, dict[str, list[float]]] = {}
    for name, values in training.items():
        finite = [float(value) for value in values if math.isfinite(value)]
        if len(finite) == len(values) >= 2:
            quantities.setdefault(name.removeprefix("val_"), {})[name] = finite
    return [_curves(quantity, curves) for quantity, curves in quantities.items()]


def _curves(quantity: str, curves: Mapping[str, list[float]]) -> Figure:
    longest = max(len(values) for values in curves.values())
    along = Scale([1, longest], LEFT + 8, WIDTH - RIGHT - 8)
    up = Scale([value for values in curves.values() for value in values], HEIGHT - BOTTOM, TOP)
    lines: list[Figure] = []
    for place, (name, values) in enumerate(curves.items()):
        points = [{"x": along(epoch), "y": up(value)} for epoch, value in enumerate(values, 1)]
        last = f"{name}: {column(name).shown(values[-1])} {column(name).unit} at the end"
        lines.append(
            {
                "name": name,
                "colour": place % COLOURS,
                "dash": name.startswith("val_"),
                "path": _path(points),
                "text": last,
            }
        )
    epochs = [value for value in along.ticks if value == int(value) and 1 <= value <= longest]
    return {
        "title": column(quantity).head,
        "lines": lines,
        "x_ticks": [(along(value), f"{value:.0f}", "middle") for value in epochs],
        "y_ticks": [(up(value), column(quantity).tick(value)) for value in up.ticks],
    }


def _strokes(table: Table, series: Sequence[Series], columns: Mapping[str, str]) -> list[Stroke]:
    """Every series with every column that some of its recipes have."""
    summary = {line["recipe"]: line for line in table.summary()}
    strokes: list[Stroke] = []
    for colour, one in enumerate(series):
        for place, (name, addition) in enumerate(columns.items()):
            lines: dict[float, Mapping[str, Any]] = {}
            for value, recipe in one.recipes.items():
                if name in summary.get(recipe, {}):
                    lines[value] = summary[recipe]
            if lines:
                level = summary.get(one.reference or "", {}).get(name)
                label = f"{one.name}{addition}"
                strokes.append(
                    Stroke(colour % COLOURS, place > 0, label, name, lines, level, one.reference)
                )
    return strokes


def _heights(stroke: Stroke) -> list[float]:
    """Every value that must fit on the axis up: the ends of the bars, and the level."""
    heights: list[float] = [] if stroke.level is None else [stroke.level]
    for line in stroke.lines.values():
        heights.extend(reach_of(line, stroke.column))
    return heights


def _drawn(
    stroke: Stroke, along: Scale, up: Scale, write: Write, write_option: Callable[[float], str]
) -> Figure:
    points: list[Figure] = []
    for value, line in stroke.lines.items():
        has_bar = stroke.column + "_std" in line
        bar = [up(end) for end in reach_of(line, stroke.column)] if has_bar else None
        height = line[stroke.column]
        words = f"{write(height, stroke.column)}{spread(line, stroke.column)}"
        points.append(
            {
                "x": along(value),
                "y": up(height),
                "bar": bar,
                "recipe": line["recipe"],
                "text": f"{write_option(value)}: {words}",
            }
        )
    return {
        "name": stroke.name,
        "colour": stroke.colour,
        "dash": stroke.dashed,
        "points": points,
        "path": _path(points),
        "level": None if stroke.level is None else up(stroke.level),
        "reference": stroke.reference,
    }


def _path(points: Sequence[Mapping[str, Any]]) -> str:
    """SVG path through the points."""
    return "M" + "L".join(f"{point['x']} {point['y']}" for point in points)
