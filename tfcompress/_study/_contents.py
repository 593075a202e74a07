"""What a row says of its recipe and its file: options of techniques, bytes and bits of layers."""

from __future__ import annotations

import dataclasses

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
        packed = packed_layers(data, model)
    except (TfcompressError, ImportError):
        return []
    return [
        {
            "name": layer.name.removeprefix("quant_"),
            "op": layer.op,
            "encoding": layer.encoding,
            "bits": float(layer.bits),
            "bytes": int(layer.bytes),
        }
        for layer in packed
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
