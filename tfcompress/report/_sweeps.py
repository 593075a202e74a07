"""Recipes that differ in one number alone, such as sparsity or clusters: found by what they say, not by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfcompress.core import Rows

FEWEST = 3


@dataclass
class Series:
    """One line of a sweep: recipes by the value of the option; `reference` is the recipe that has everything but the technique."""

    name: str
    recipes: dict[float, str] = field(default_factory=dict)
    reference: str | None = None


def sweeps(report: Rows) -> dict[str, list[Series]]:
    """ "Technique.option" → its series, for every number that at least three recipes which are otherwise alike differ in.

    Rows say what their recipe is under "options": {"techniques": [[class, label, {option: value}], …], "target": label}.
    """
    said = {row["recipe"]: row["options"] for row in report.rows if row.get("options")}
    alike: dict[tuple[str, str], Series] = {}
    for recipe, options in said.items():
        for place, (kind, _, values) in enumerate(options["techniques"]):
            for option, value in values.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                key = (f"{kind}.{option}", _without(options, place, option))
                series = alike.setdefault(key, Series(_name(options, place)))
                series.recipes[value] = recipe
                series.reference = series.reference or _plain(said, options, place)
    found: dict[str, list[Series]] = {}
    for (option, _), series in alike.items():
        if len(series.recipes) >= FEWEST:
            series.recipes = dict(sorted(series.recipes.items()))
            found.setdefault(option, []).append(series)
    return found


def _without(options: Mapping[str, Any], place: int, option: str) -> str:
    """All that a recipe says but that one option, as text to compare."""
    techniques = [
        [kind, {k: v for k, v in values.items() if (at, k) != (place, option)}]
        for at, (kind, _, values) in _placed(options)
    ]
    return json.dumps([techniques, options["target"]], sort_keys=True, default=str)


def _plain(said: Mapping[str, Any], options: Mapping[str, Any], place: int) -> str | None:
    """The recipe that has the same target and other techniques, and not the one at `place`."""
    wanted = [[kind, values] for at, (kind, _, values) in _placed(options) if at != place]
    for recipe, other in said.items():
        if (
            other["target"] == options["target"]
            and [[kind, values] for kind, _, values in other["techniques"]] == wanted
        ):
            return recipe
    return None


def _name(options: Mapping[str, Any], place: int) -> str:
    words = [
        label.rstrip("0123456789.") + "…" if at == place else label
        for at, (_, label, _) in _placed(options)
    ]
    return "-".join([*words, options["target"]])


def _placed(options: Mapping[str, Any]) -> list[tuple[int, Any]]:
    return list(enumerate(options["techniques"]))
