"""What a row says of its recipe and its file: options of techniques, bytes and bits of layers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from tfcompress._study._formats import Row
from tfcompress.core import Recipe, RecipeError, TfcompressError
from tfcompress.core._types import Model
from tfcompress.core._value import Value


def options(recipe: Recipe) -> Row:
    """{"techniques": [[class, label, {option: value}], …], "target": label} as JSON data.

    What JSON cannot hold is told as text.
    """
    return {
        "techniques": [[type(one).__name__, one.label, _fields(one)] for one in recipe.techniques],
        "target": recipe.target.label,
    }


def layers(data: bytes, model: Model | None = None) -> list[Row]:
    """Every layer with weights in `.tflite` bytes: name, op, encoding, bits a weight, bytes.

    The names are the user's where `model` is given. It is empty where the file has no layer that
    can be read, or no reader is installed.
    """
    from tfcompress.targets import packed_layers

    try:
        packed = packed_layers(data)
    except (TfcompressError, ImportError):
        return []
    names = _names([layer.name.removeprefix("quant_") for layer in packed], model)
    return [
        {
            "name": name,
            "op": layer.op,
            "encoding": layer.encoding,
            "bits": float(layer.bits),
            "bytes": int(layer.bytes),
        }
        for name, layer in zip(names, packed)
    ]


def _names(names: Sequence[str], model: Model | None) -> list[str]:
    """The user's names: a copy of a model has a number behind them, in all of them or in none."""
    shorter = [re.sub(r"_\d+$", "", name) for name in names]
    if model is None:
        all_numbered = all(name != short for name, short in zip(names, shorter))
        same_count = len(set(shorter)) == len(set(names))
        return shorter if all_numbered and same_count else list(names)
    from tfcompress._backend.bridge import leaf_layers

    known = {layer.name.removeprefix("quant_") for layer in leaf_layers(model)}
    return [
        short if name not in known and short in known else name
        for name, short in zip(names, shorter)
    ]


def _fields(value: Value) -> Row:
    """Option → value of a technique, as JSON data."""
    fields: Row = {}
    for field in dataclasses.fields(value):
        option = getattr(value, field.name)
        try:
            fields[field.name] = option.to_dict() if isinstance(option, Value) else _plain(option)
        except RecipeError:
            fields[field.name] = repr(option)
    return fields


def _plain(option: object) -> object:
    if option is None or isinstance(option, (bool, int, float, str)):
        return option
    if isinstance(option, (list, tuple)):
        return [_plain(item) for item in option]
    if isinstance(option, dict):
        return {str(key): _plain(item) for key, item in option.items()}
    return getattr(option, "__qualname__", type(option).__qualname__)
