"""Frozen values that are data: comparable, hashable, and JSON in both directions."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tfcompress.core._decode import value_of
from tfcompress.core._errors import RecipeError

if TYPE_CHECKING:
    V = TypeVar("V", bound="Value")


class Value:
    """Base of all values with options; subclasses are declared `@dataclass(frozen=True, eq=False)`.

    Two values are equal when their classes and all their fields are equal. Lists given for a
    field become tuples and mappings become plain sorted dictionaries, so that a value hashes by
    what it says.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
            elif isinstance(value, Mapping):
                object.__setattr__(self, field.name, {key: value[key] for key in sorted(value)})

    def _key(self) -> tuple[object, ...]:
        compared = [field.name for field in dataclasses.fields(self) if field.compare]
        return (type(self), *(_hashable(getattr(self, name)) for name in compared))

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Value) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def to_dict(self) -> dict[str, Any]:
        """This value as JSON data: its class as `module:Name` and the fields that are not default.

        Raises:
            RecipeError: for a field that no JSON can hold (a function, an array).
        """
        out: dict[str, Any] = {"class": f"{public_module(type(self))}:{type(self).__name__}"}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            has_default = field.default is not dataclasses.MISSING
            if has_default and _hashable(value) == _hashable(field.default):
                continue
            out[field.name] = _to_json(value, f"{type(self).__name__}.{field.name}")
        return out

    @classmethod
    def from_dict(cls: type[V], data: Mapping[str, Any]) -> V:
        """The value that `to_dict` wrote.

        Classes of other packages are known once they are imported, or by an entry point in the
        group `tfcompress.values`; nothing else is imported.

        Raises:
            RecipeError: one line with the place in `data`: a class that is not known or no value
                of this kind, other options than it has, or other types than it takes.
        """
        return value_of(data, cls, Value)

    def to_json(self) -> str:
        """`to_dict` as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True)


def public_module(cls: type) -> str:
    """The module that a class is re-exported from.

    `pkg.techniques._prune` and `pkg.techniques.low_rank._technique` → `pkg.techniques`.
    """
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


def _to_json(value: object, where: str) -> object:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _to_json(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, where) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:  # a NumPy scalar
        return item()
    raise RecipeError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold. "
        "Use a name, number, regex or list."
    )
