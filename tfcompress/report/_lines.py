"""Figures of lines and of layers: where everything goes, in SVG user units; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfcompress.core import Rows
from tfcompress.report._figures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, reach_of
from tfcompress.report._sweeps import Series

COLOURS = 4
MOST_TICKS = 8


def sweep(
    report: Rows,
    series: Sequence[Series],
    columns: Mapping[str, str],
    say: Callable,
    say_x: Callable,
) -> dict[str, Any] | None:
    """Lines of `columns` (name → what it adds to a line's name) against the option, with ± std, and each reference as a level.

    The first column is drawn whole, further ones dashed; `say(value, column)` words y, `say_x(value)` x. None without a point.
    """
    lines = {line["recipe"]: line for line in report.summary()}
    drawn, xs, ys = [], set(), []
    for colour, one in enumerate(series):
        for dash, (column, adds) in enumerate(columns.items()):
            there = {
                x: lines[name] for x, name in one.recipes.items() if column in lines.get(name, {})
            }
            if not there:
                continue
            level = lines.get(one.reference or "", {}).get(column)
            reach = {x: reach_of(line, column) for x, line in there.items()}
            xs |= set(there)
            ys += [v for pair in reach.values() for v in pair] + (
                [level] if level is not None else []
            )
            drawn.append(
                (
                    colour % COLOURS,
                    bool(dash),
                    f"{one.name}{adds}",
                    column,
                    there,
                    reach,
                    level,
                    one.reference,
                )
            )
    if not drawn:
        return None
    first = next(iter(columns))
    along = Scale(
        sorted(xs), LEFT + 14, WIDTH - RIGHT - 14, log=min(xs) > 0 and max(xs) / min(xs) >= 8
    )
    up = Scale(ys, HEIGHT - BOTTOM, TOP, zero=report.lower_is_better(first), log=False)
    out = []
    for colour, dash, name, column, there, reach, level, reference in drawn:
        points = [
            {
                "x": along(x),
                "y": up(line[column]),
                "bar": [up(v) for v in reach[x]] if column + "_std" in line else None,
                "recipe": line["recipe"],
                "text": f"{say_x(x)}: {say(line[column], column)}"
                + (f" ± {say(line[column + '_std'], column)}" if column + "_std" in line else ""),
            }
            for x, line in there.items()
        ]
        path = "M" + "L".join(f"{p['x']} {p['y']}" for p in points)
        told = {"name": name, "colour": colour, "dash": dash, "points": points, "path": path}
        out.append(
            {**told, "level": up(level) if level is not None else None, "reference": reference}
        )
    shown = sorted(xs) if len(xs) <= MOST_TICKS else along.ticks
    return {
        "lines": out,
        "x_ticks": [(along(x), say_x(x), "middle") for x in shown],
        "y_ticks": [(up(v), say(v, first)) for v in up.ticks],
        "levels": list(
            dict.fromkeys(line["reference"] for line in out if line["level"] is not None)
        ),
    }


def dimension_profile(said: Mapping[str, Any], threshold: float | None) -> dict[str, Any] | None:
    """Dimension by layer as a line from the first layer to the last; layers whose change exceeds `threshold` are marked."""
    dimension = said.get("details", {}).get("dimension", {})
    found = {
        layer: value
        for layer, value in dimension.items()
        if layer in said["scores"] and math.isfinite(value)
    }
    if len(found) < 2:
        return None
    up = Scale(list(found.values()), HEIGHT - BOTTOM - 34, TOP, zero=True)
    step = (WIDTH - RIGHT - LEFT - 40) / (len(found) - 1)
    points = [
        {
            "x": round(LEFT + 20 + i * step, 1),
            "y": up(value),
            "layer": layer,
            "on": threshold is not None and said["scores"][layer] > threshold,
            "text": f"dimension {value:.1f}, change {said['scores'][layer]:.1f}",
        }
        for i, (layer, value) in enumerate(found.items())
    ]
    path = "M" + "L".join(f"{p['x']} {p['y']}" for p in points)
    every = max(1, math.ceil(len(points) * 16 / (WIDTH - LEFT)))
    named = [p for i, p in enumerate(points) if i % every == 0]
    return {
        "points": points,
        "path": path,
        "named": named,
        "y_ticks": [(up(v), f"{v:g}") for v in up.ticks],
        "by": said.get("by", ""),
    }


def layer_bars(
    layers: Sequence[Mapping[str, Any]],
    column: str,
    say: Callable[[float], str],
    most: float | None = None,
) -> list[dict[str, Any]]:
    """One bar a layer: its share of the largest value of `column` (or of `most`), in percent, and what is said of it."""
    top = most or max((layer[column] for layer in layers), default=0) or 1
    return [
        {
            "name": layer["name"],
            "share": round(100 * layer[column] / top, 1),
            "text": say(layer[column]),
            "note": f"{layer['encoding']}, {layer['bits']:.3g} bits",
        }
        for layer in layers
    ]


def bits_by_layer(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any] | None:
    """A table of squares: one row a layer, one column a recipe, its bits a weight; None where all recipes have the same bits everywhere."""
    kinds = {
        name: [(layer["name"], layer["bits"]) for layer in layers] for name, layers in found.items()
    }
    mixed = {name: bits for name, bits in kinds.items() if len({round(b, 1) for _, b in bits}) > 1}
    if not mixed:
        return None
    names = list(dict.fromkeys(layer for bits in mixed.values() for layer, _ in bits))
    rows = [
        {"layer": layer, "bits": [_bits(dict(bits).get(layer)) for bits in mixed.values()]}
        for layer in names
    ]
    return {"recipes": list(mixed), "rows": rows}


def _bits(value: float | None) -> dict[str, Any] | None:
    return (
        None
        if value is None
        else {"text": f"{value:.3g}", "share": round(100 * min(value, 32) / 32, 1)}
    )
