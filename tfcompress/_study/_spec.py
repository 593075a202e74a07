"""A study written down as a file: read, and checked before anything runs."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tfcompress import core
from tfcompress import recipes as _recipes
from tfcompress._study._spec_format import TABLES, ModelTable, StudyFile
from tfcompress.analysis.dimension import ESTIMATORS
from tfcompress.core import Recipe, RecipeError
from tfcompress.core._decode import short
from tfcompress.core._schema import FormatError, checked

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

COLUMNS = {one.name: one.title for one in core.COLUMNS if one.on_request}
"""A report's column that a study file may ask for → its head in the results."""

PLACE = re.compile(r"\{(\w+)\}")
MOST_COMBINATIONS = 10_000

Spec = dict[str, Any]
"""A study file's tables."""


def read_spec(path: Path, *, full: bool = False) -> Spec:
    """The study file at `path` as checked dictionaries; with `full`, [full] laid over the rest.

    Raises:
        RecipeError: one line: no such file, no TOML, an unknown or missing key, a value of another
            type with its place, an unknown recipe, a grid without its list.
    """
    try:
        spec = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"No study file {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError
        why = " ".join(str(error).split())
        raise RecipeError(f"{path} is no TOML: {why}.") from error
    over = spec.pop("full", {})
    if full:
        if not over:
            raise RecipeError(
                f"{path} has no [full] table, so --full changes nothing; add one, or leave --full "
                "out."
            )
        spec = _over(spec, over)
    _check(spec, path)
    for name in spec["models"]:
        recipes_of(spec, name)
    return spec


def recipes_of(spec: Mapping[str, Any], model: str) -> list[Recipe]:
    """The recipes of one of the file's models: its own, or those of all models.

    They are the `names`, the `grid`s expanded, and those written out in `own`.
    """
    table = spec["models"][model].get("recipes", spec.get("recipes", {}))
    names = list(table.get("names", ()))
    for pattern in table.get("grid", ()):
        names += _expanded(pattern, table)
    recipes = [_recipes.recipe(name) for name in dict.fromkeys(names)]
    recipes += [_written_out(name, own) for name, own in table.get("own", {}).items()]
    if not recipes:
        raise RecipeError(
            f'{model} has no recipes: add [recipes] with names = ["float32", "int8"] or a grid.'
        )
    return recipes


def _expanded(pattern: str, table: Mapping[str, Any]) -> Iterator[str]:
    """The names of a grid: its pattern with every combination of its places' values."""
    lists = {key: value for key, value in table.items() if key not in ("names", "grid", "own")}
    places = list(dict.fromkeys(PLACE.findall(pattern)))
    absent = [place for place in places if not isinstance(lists.get(place), list)]
    if absent or not places:
        raise RecipeError(
            f"grid {pattern!r} needs a list for each of its places in braces "
            f"({', '.join(absent) or 'none'}); there are: {', '.join(lists) or 'none'}."
        )
    combinations = itertools.product(*(lists[place] for place in places))
    for values in itertools.islice(combinations, MOST_COMBINATIONS):
        name = pattern
        for place, value in zip(places, values):
            name = name.replace(f"{{{place}}}", _word(value))
        yield name


def _word(value: object) -> str:
    """A grid's value as recipe names have it: shares below 1 in percent."""
    return f"{100 * value:g}" if isinstance(value, float) and value < 1 else f"{value}"


def _written_out(name: str, table: Mapping[str, Any]) -> Recipe:
    if "target" not in table:
        raise RecipeError(f'recipe {name!r} has no target; write target = {{ class = "Int8" }}.')
    techniques = [_full_class(one, "techniques") for one in table.get("techniques", ())]
    data = {
        "class": "tfcompress.core:Recipe",
        "techniques": techniques,
        "target": _full_class(table["target"], "targets"),
        "name": name,
    }
    return Recipe.from_dict(data)


def _full_class(value: Mapping[str, Any], home: str) -> dict[str, Any]:
    """A technique or target whose class has its module in front: tfcompress's where none has."""
    name = str(value.get("class", ""))
    return {**value, "class": name if ":" in name else f"tfcompress.{home}:{name}"}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Spec:
    """The tables of `above` laid over those of `below`, option by option."""
    out = dict(below)
    for key, value in above.items():
        out[key] = (
            _over(out[key], value)
            if isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
            else value
        )
    return out


def _check(spec: Spec, path: Path) -> None:
    """RecipeError, with the place, for whatever in the file cannot be a study."""
    _check_names(spec, StudyFile.__struct_fields__, "", path)
    try:
        checked(spec, StudyFile)
    except FormatError as error:
        raise RecipeError(f"{path}: {error}.") from error
    if not set(columns := spec.get("columns", ())) <= set(COLUMNS):
        raise RecipeError(f"{path}: columns = {columns!r}: expected some of {', '.join(COLUMNS)}.")
    if not spec.get("models"):
        raise RecipeError(
            f'{path} has no model: add [models.name] with zoo = "quantnet" or file = "net.keras".'
        )
    for name, model in spec["models"].items():
        _check_model(spec, name, model, path)


def _check_model(spec: Spec, name: str, model: Spec, path: Path) -> None:
    if ("zoo" in model) == ("file" in model):
        raise RecipeError(
            f"{path}: [models.{name}] needs one of zoo (a network by name) and file (a saved "
            "model)."
        )
    if "name" not in {**spec.get("data", {}), **model.get("data", {})}:
        raise RecipeError(
            f'{path}: no data for {name}: add [data] with name = "digits", a .npz or a folder of '
            "images."
        )
    by = model.get("significance", spec.get("significance"))
    if by is not None and by not in ESTIMATORS:
        names = " or ".join(f'"{name}"' for name in ESTIMATORS)
        raise RecipeError(f"{path}: significance = {by!r}: expected {names}.")


def _check_names(table: object, known: tuple[str, ...], where: str, path: Path) -> None:
    """RecipeError for an option that a table, or one inside it, does not have."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{path}: [{where}] must be a table, got {short(table)}.")
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known)}."
            place = f"[{where}]" if where else "the study"
            raise RecipeError(f"{path}: {place} has no option {key!r}{hint}")
        if key == "decay" and value != "cosine":
            raise RecipeError(
                f'{path}: [{where}] decay = {value!r}: expected "cosine", or leave it out for a '
                "constant rate."
            )
        inner = f"{where}.{key}".lstrip(".")
        if key in TABLES and not (where == "data" or where.endswith(".data")):
            _check_names(value, TABLES[key].__struct_fields__, inner, path)
        if key == "models" and isinstance(value, Mapping):
            for name, model in value.items():
                _check_names(model, ModelTable.__struct_fields__, f"models.{name}", path)
