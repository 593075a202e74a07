"""A study written down as a file: what may stand in it, checked before anything runs."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tfcompress import core
from tfcompress import recipes as _recipes
from tfcompress.analysis.dimension import ESTIMATORS
from tfcompress.core import Recipe, RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TRAIN = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "decay",
    "loss",
    "metrics",
    "early_stopping",
    "distill",
)
DATA = (
    "name",
    "folder",
    "classes",
    "split",
    "seed",
    "scale",
    "train",
    "test",
    "samples",
    "input_shape",
)
STUDY = (
    "title",
    "metric",
    "seeds",
    "threads",
    "profile",
    "strict",
    "data",
    "models",
    "train",
    "fit",
    "recipes",
    "printed",
    "notes",
    "significance",
    "columns",
    "full",
)
MODEL = (
    "zoo",
    "file",
    "options",
    "data",
    "train",
    "fit",
    "recipes",
    "printed",
    "seeds",
    "significance",
)
COLUMNS = {one.name: one.title for one in core.COLUMNS if one.on_request}
"""A report's column that a study file may ask for → its head in the results."""
DISTILL = ("teacher", "temperature", "alpha", "attention", "beta")
KNOWN: dict[str, Sequence[str]] = {
    "": STUDY,
    "data": DATA,
    "train": TRAIN,
    "fit": TRAIN,
    "models.*": MODEL,
    "distill": DISTILL,
}
PLACE = re.compile(r"\{(\w+)\}")


def read_spec(path: Path, *, full: bool = False) -> dict[str, Any]:
    """The study file at `path` as checked dictionaries; with `full`, its [full] table laid over the rest.

    Raises RecipeError: no such file, no TOML, an unknown or missing key, an unknown recipe, a grid without its list.
    """
    try:
        spec = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"No study file {path}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is no TOML: {error}.") from error
    over = spec.pop("full", {})
    if full:
        if not over:
            raise RecipeError(
                f"{path} has no [full] table, so --full changes nothing; add one, or leave --full out."
            )
        spec = _over(spec, over)
    _check(spec, path)
    if not set(columns := spec.get("columns", ())) <= set(COLUMNS):
        raise RecipeError(f"{path}: columns = {columns!r}: expected some of {', '.join(COLUMNS)}.")
    if not spec.get("models"):
        raise RecipeError(
            f'{path} has no model: add [models.name] with zoo = "quantnet" or file = "net.keras".'
        )
    for name, model in spec["models"].items():
        if ("zoo" in model) == ("file" in model):
            raise RecipeError(
                f"{path}: [models.{name}] needs one of zoo (a network by name) and file (a saved model)."
            )
        if "name" not in {**spec.get("data", {}), **model.get("data", {})}:
            raise RecipeError(
                f'{path}: no data for {name}: add [data] with name = "digits", a .npz or a folder of images.'
            )
        by = model.get("significance", spec.get("significance"))
        if by is not None and by not in ESTIMATORS:
            names = " or ".join(f'"{name}"' for name in ESTIMATORS)
            raise RecipeError(f"{path}: significance = {by!r}: expected {names}.")
        recipes_of(spec, name)
    return spec


def recipes_of(spec: Mapping[str, Any], model: str) -> list[Recipe]:
    """The recipes of one of the file's models: its own or all models' `names`, `grid` expanded, and those written out in `own`."""
    table = spec["models"][model].get("recipes", spec.get("recipes", {}))
    found = [*table.get("names", ())]
    lists = {key: value for key, value in table.items() if key not in ("names", "grid", "own")}
    for pattern in table.get("grid", ()):
        places = list(dict.fromkeys(PLACE.findall(pattern)))
        absent = [place for place in places if not isinstance(lists.get(place), list)]
        if absent or not places:
            have = ", ".join(lists) or "none"
            raise RecipeError(
                f"grid {pattern!r} needs a list for each of its places in braces ({', '.join(absent) or 'none'}); there are: {have}."
            )
        for values in itertools.product(*(lists[place] for place in places)):
            words = dict(zip(places, map(_word, values)))
            found.append(PLACE.sub(lambda match, words=words: words[match[1]], pattern))
    made = [_recipes.recipe(name) for name in dict.fromkeys(found)]
    made += [_written_out(name, table) for name, table in table.get("own", {}).items()]
    if not made:
        raise RecipeError(
            f'{model} has no recipes: add [recipes] with names = ["float32", "int8"] or a grid.'
        )
    return made


def _word(value: Any) -> str:
    """A grid's value as recipe names have it: shares below 1 in percent."""
    return f"{100 * value:g}" if isinstance(value, float) and value < 1 else f"{value}"


def _written_out(name: str, table: Mapping[str, Any]) -> Recipe:
    def full(value: Mapping[str, Any], home: str) -> dict[str, Any]:
        cls = value.get("class", "")
        return {**value, "class": cls if ":" in cls else f"tfcompress.{home}:{cls}"}

    if "target" not in table:
        raise RecipeError(f'recipe {name!r} has no target; write target = {{ class = "Int8" }}.')
    data = {
        "class": "tfcompress.core:Recipe",
        "techniques": [full(one, "techniques") for one in table.get("techniques", ())],
        "target": full(table["target"], "targets"),
        "name": name,
    }
    return Recipe.from_dict(data)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        out[key] = (
            _over(out[key], value)
            if isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
            else value
        )
    return out


def _check(spec: Mapping[str, Any], path: Path) -> None:
    tables = [("", spec)] + [(key, spec[key]) for key in ("data", "train", "fit") if key in spec]
    for name, model in spec.get("models", {}).items():
        tables.append((f"models.{name}", model))
        tables += [
            (f"models.{name}.{key}", model[key]) for key in ("data", "train", "fit") if key in model
        ]
    tables += [
        (f"{where}.distill", table["distill"])
        for where, table in list(tables)
        if where.endswith("train") and "distill" in table
    ]
    for where, table in tables:
        if not isinstance(table, Mapping):
            raise RecipeError(f"{path}: [{where}] must be a table, got {table!r}.")
        if table.get("decay") not in (None, "cosine"):
            raise RecipeError(
                f'{path}: [{where}] decay = {table["decay"]!r}: expected "cosine", or leave it out for a constant rate.'
            )
        parts = where.split(".")
        known = KNOWN["models.*"] if len(parts) == 2 and parts[0] == "models" else KNOWN[parts[-1]]
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known)}."
                raise RecipeError(
                    f"{path}: {f'[{where}]' if where else 'the study'} has no option {key!r}{hint}"
                )
