"""Recipes that differ in one number alone, such as sparsity or clusters.

They are told by what the rows say of them, not by their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfcompress.core import Rows

FEWEST = 3

Options = Mapping[str, Any]


@dataclass
class Series:
    """One line of a sweep: recipes by the option's value.

    `reference` is the recipe that has everything but the technique.
    """

    name: str
    recipes: dict[float, str] = field(default_factory=dict)
    reference: str | None = None


def sweeps(report: Rows) -> dict[str, list[Series]]:
    """ "Technique.option" → its series: three or more recipes that differ in that number alone.

    Rows say what their recipe is under "options":
    {"techniques": [[class, label, {option: value}], …], "target": label}.
    """
    described = {row["recipe"]: row["options"] for row in report.rows if row.get("options")}
    alike: dict[tuple[str, str], Series] = {}
    for recipe, options in described.items():
        for place, (kind, _, values) in enumerate(options["techniques"]):
            for option, value in values.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                key = (f"{kind}.{option}", _without(options, place, option))
                series = alike.setdefault(key, Series(_name(options, place)))
                series.recipes[value] = recipe
                series.reference = series.reference or _plain(described, options, place)
    by_option: dict[str, list[Series]] = {}
    for (option, _), series in alike.items():
        if len(series.recipes) >= FEWEST:
            series.recipes = dict(sorted(series.recipes.items()))
            by_option.setdefault(option, []).append(series)
    return by_option


def _without(options: Options, place: int, option: str) -> str:
    """All that a recipe says but that one option, as text to compare."""
    techniques: list[list[Any]] = []
    for at, (kind, _, values) in enumerate(options["techniques"]):
        kept = dict(values)
        if at == place:
            del kept[option]
        techniques.append([kind, kept])
    return json.dumps([techniques, options["target"]], sort_keys=True, default=str)


def _plain(described: Mapping[str, Options], options: Options, place: int) -> str | None:
    """The recipe that has the same target and other techniques, and not the one at `place`."""
    wanted = _kinds_and_values(options)
    del wanted[place]
    for recipe, other in described.items():
        if other["target"] == options["target"] and _kinds_and_values(other) == wanted:
            return recipe
    return None


def _kinds_and_values(options: Options) -> list[list[Any]]:
    return [[kind, values] for kind, _, values in options["techniques"]]


def _name(options: Options, place: int) -> str:
    """The recipe's name with … for the number that changes."""
    words = [label for _, label, _ in options["techniques"]]
    words[place] = words[place].rstrip("0123456789.") + "…"
    return "-".join([*words, options["target"]])
