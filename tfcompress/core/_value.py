"""Frozen values that are data: comparable, hashable, and JSON in both directions."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from tfcompress.core._errors import RecipeError


class Value:
    """Base of all options-carrying values; subclasses are declared `@dataclass(frozen=True, eq=False)`.

    Two values are equal when their classes and all their fields are equal. Lists given for a field become tuples
    and mappings become plain sorted dictionaries, so that a value hashes by what it says.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
            elif isinstance(value, Mapping):
                object.__setattr__(self, field.name, {key: value[key] for key in sorted(value)})

    def _key(self) -> tuple:
        return (
            type(self),
            *(_hashable(getattr(self, f.name)) for f in dataclasses.fields(self) if f.compare),
        )  # type: ignore[arg-type]

    def __eq__(self, other):
        return self._key() == other._key() if isinstance(other, Value) else NotImplemented

    def __hash__(self):
        return hash(self._key())

    def to_dict(self) -> dict[str, Any]:
        """This value as JSON data: its class as `module:Name` under "class", and the fields that differ from their defaults.

        Raises RecipeError for a field that no JSON can hold (a function, an array).
        """
        out: dict[str, Any] = {"class": f"{public_module(type(self))}:{type(self).__name__}"}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is not dataclasses.MISSING and _hashable(value) == _hashable(
                field.default
            ):
                continue
            out[field.name] = _to_json(value, f"{type(self).__name__}.{field.name}")
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """The value that `to_dict` wrote; RecipeError if the class is unknown, not a tfcompress value, or takes other fields."""
        where = data.get("class", "")
        module, _, name = where.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise RecipeError(
                f"No class {where!r}: expected 'module:Name' of an installed package. ({error})"
            ) from error
        if not (isinstance(found, type) and issubclass(found, cls)):
            raise RecipeError(f"{where!r} is not a {cls.__name__}.")
        fields = {key: _from_json(value) for key, value in data.items() if key != "class"}
        try:
            return found(**fields)
        except TypeError as error:
            known = ", ".join(f.name for f in dataclasses.fields(found))  # type: ignore[arg-type]
            raise RecipeError(
                f"{name} does not take these options ({error}); it has: {known}."
            ) from error

    def to_json(self) -> str:
        """`to_dict` as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True)


def public_module(cls: type) -> str:
    """The module a class is re-exported from: `pkg.techniques._prune` and `pkg.techniques.low_rank._technique` → `pkg.techniques`."""
    parts = cls.__module__.split(".")
    while len(parts) > 1 and parts[-1].startswith("_") and parts[-1] != "__main__":
        parts.pop()
    while len(parts) > 1 and vars(sys.modules[".".join(parts[:-1])]).get(cls.__name__) is cls:
        parts.pop()
    return ".".join(parts)


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _hashable(value[key])) for key in sorted(value))
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(item) for item in value)
    return value


def _to_json(value: Any, where: str) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _to_json(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, where) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a NumPy scalar
        return value.item()
    raise RecipeError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold. Use a name, number, regex or list."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return (
            Value.from_dict(value)
            if "class" in value
            else {key: _from_json(item) for key, item in value.items()}
        )
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    return value
