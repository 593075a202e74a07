"""Layers of files as bars, as a table of bits, and as data for comparing two files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfcompress.core import SIZE
from tfcompress.report._table import Table

Layer = Mapping[str, Any]


def layer_bars(layers: Sequence[Layer], most: float | None = None) -> list[dict[str, Any]]:
    """One bar a layer: its bytes in percent of the largest layer's, or of `most`, and in words."""
    largest = most or max((layer["bytes"] for layer in layers), default=0) or 1
    bars: list[dict[str, Any]] = []
    for layer in layers:
        bars.append(
            {
                "name": layer["name"],
                "share": round(100 * layer["bytes"] / largest, 1),
                "text": SIZE.short(layer["bytes"]),
                "note": f"{layer['encoding']}, {layer['bits']:.3g} bits",
            }
        )
    return bars


def bits_by_layer(table: Table) -> dict[str, Any] | None:
    """A table of squares: one row a layer, one column a recipe, its bits a weight.

    Only recipes with different bits in different layers have a column; None where there is none.
    """
    mixed: dict[str, dict[str, float]] = {}
    for recipe in table.recipes():
        bits = {layer["name"]: layer["bits"] for layer in table.layers(recipe)}
        if len({round(value, 1) for value in bits.values()}) > 1:
            mixed[recipe] = bits
    if not mixed:
        return None
    names = list(dict.fromkeys(name for bits in mixed.values() for name in bits))
    rows: list[dict[str, Any]] = []
    for name in names:
        rows.append({"layer": name, "bits": [_bits(bits.get(name)) for bits in mixed.values()]})
    return {"recipes": list(mixed), "rows": rows}


def comparable(table: Table) -> Mapping[str, Sequence[Layer]]:
    """recipe → its layers, where two or more recipes have any; else empty."""
    layers = {recipe: table.layers(recipe) for recipe in table.recipes()}
    known = {recipe: held for recipe, held in layers.items() if held}
    return known if len(known) > 1 else {}


def _bits(value: float | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"text": f"{value:.3g}", "share": round(100 * min(value, 32) / 32, 1)}
