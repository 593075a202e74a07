"""Values out of JSON data: no module is imported, no class made, that was not registered."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import reprlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tfcompress.core._errors import RecipeError

HOMES = ("analysis", "core", "devices", "targets", "techniques")
GROUP = "tfcompress.values"
DEEPEST = 32

V = TypeVar("V")


def short(value: object) -> str:
    """A value as a message shows it: one line of at most 80 characters."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def class_named(name: str, place: str) -> object:
    """What the class written as `module:Name` in a file stands for.

    It is one of tfcompress's own, one that an installed package names in the entry point group
    `tfcompress.values`, or one of a module that this process has imported already.

    Raises:
        RecipeError: for any other name; nothing is imported to look for it.
    """
    module, _, attribute = name.partition(":")
    package, _, room = module.partition(".")
    if package != "tfcompress":
        _load_entry_point(name)
    elif room.partition(".")[0] in HOMES:
        with contextlib.suppress(ImportError, ValueError):
            importlib.import_module(module)
    members = getattr(sys.modules.get(module), "__dict__", {})
    if attribute not in members:
        raise RecipeError(
            f"{place}: no class {short(name)} is known; expected 'module:Name'. Import the "
            f"package that defines it first, or let it name the class as entry point of {GROUP!r}."
        )
    return members[attribute]


def _load_entry_point(name: str) -> None:
    for entry in entry_points(group=GROUP):
        if entry.value == name:
            entry.load()


def value_of(data: object, kind: type[V], base: type, place: str = "$", depth: int = 0) -> V:
    """The value of class `kind` that `data` describes.

    Args:
        data: an object with the class under "class" and options of it.
        kind: what the class must be.
        base: what the classes of objects inside it must be.
        place: where in the file `data` stands.
        depth: how many objects and lists it stands in.

    Raises:
        RecipeError: one line with the place: an unknown class, one of another kind, options that
            it does not have, or that have another type or value.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("class"), str):
        raise RecipeError(
            f"{place}: expected an object with a 'class' such as 'tfcompress.targets:Int8', "
            f"got {short(data)}."
        )
    cls = class_named(data["class"], place)
    if not (isinstance(cls, type) and issubclass(cls, kind) and dataclasses.is_dataclass(cls)):
        raise RecipeError(f"{place}: {short(data['class'])} is not a {kind.__name__}.")
    options = {
        str(name): _plain(value, base, f"{place}.{name}", depth + 1)
        for name, value in data.items()
        if name != "class"
    }
    _check_types(cls, options, place)
    return _made(cls, options, place)


def _made(cls: Callable[..., V], options: Mapping[str, object], place: str) -> V:
    name = getattr(cls, "__name__", "")
    try:
        return cls(**options)
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}") from error
    except Exception as error:  # a class of another package says in its own way what it refuses
        known = ", ".join(getattr(cls, "__dataclass_fields__", ()))
        why = " ".join(str(error).split())
        raise RecipeError(
            f"{place}: {name} does not take these options ({why}); it has: {known}."
        ) from error


def _plain(data: object, base: type, place: str, depth: int) -> object:
    """JSON data as the options of values have them: objects with a class made, lists as tuples."""
    if depth > DEEPEST:
        raise RecipeError(f"{place[:60]}…: nested deeper than {DEEPEST} levels.")
    if isinstance(data, Mapping):
        if "class" in data:
            return value_of(data, base, base, place, depth)
        return {key: _plain(item, base, f"{place}.{key}", depth + 1) for key, item in data.items()}
    if isinstance(data, list):
        return tuple(
            _plain(item, base, f"{place}[{index}]", depth + 1) for index, item in enumerate(data)
        )
    return data


def _check_types(cls: type, options: Mapping[str, object], place: str) -> None:
    """RecipeError for an option whose type is not the one that the class writes down."""
    try:
        hints = get_type_hints(cls)
    except Exception:  # annotations that only a type checker can read say nothing here
        return
    for name, value in options.items():
        if name in hints and not fits(value, hints[name]):
            expected = getattr(hints[name], "__name__", None) or str(hints[name])
            expected = expected.replace("typing.", "").replace("collections.abc.", "")
            raise RecipeError(
                f"{place}.{name}: expected {expected}, got {short(value)} "
                f"of type {type(value).__name__}."
            )


def fits(value: object, hint: Any) -> bool:
    """Whether a value from a file is of the type that an annotation writes down."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is Any or not isinstance(origin, type):  # a type variable, say: anything
        return True
    if origin in (int, float):
        allowed = (int, float) if origin is float else int
        return isinstance(value, allowed) and not isinstance(value, bool)
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and _pairs_fit(value, inner)
    if origin is not str and issubclass(origin, Sequence):
        return isinstance(value, tuple) and _items_fit(value, inner)
    return isinstance(value, origin)


def _pairs_fit(value: Mapping[object, object], inner: tuple[Any, ...]) -> bool:
    if not inner:
        return True
    return all(fits(key, inner[0]) and fits(item, inner[1]) for key, item in value.items())


def _items_fit(value: tuple[object, ...], inner: tuple[Any, ...]) -> bool:
    if len(inner) > 1 and Ellipsis not in inner:  # tuple[int, int]
        return len(value) == len(inner) and all(map(fits, value, inner))
    kind = inner[0] if len(inner) > 0 else Any
    return all(fits(item, kind) for item in value)
