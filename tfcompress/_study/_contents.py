"""What a row says of its recipe and its file: the options of every technique, the bytes and bits of every layer."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from tfcompress.core import Recipe, RecipeError, TfcompressError


def options(recipe: Recipe) -> dict[str, Any]:
    """{"techniques": [[class, label, {option: value}], …], "target": label} as JSON data; what JSON cannot hold is told as text."""
    return {
        "techniques": [[type(one).__name__, one.label, _fields(one)] for one in recipe.techniques],
        "target": recipe.target.label,
    }


def layers(data: bytes, model: Any = None) -> list[dict[str, Any]]:
    """Every layer with weights in `.tflite` bytes: name (the user's, where `model` is given), op, encoding, bits a weight, bytes.

    Empty where the file has none that can be read, or no reader is installed.
    """
    from tfcompress.targets import packed_layers

    try:
        found = packed_layers(data)
    except (TfcompressError, ImportError):
        return []
    named = _names([layer.name.removeprefix("quant_") for layer in found], model)
    return [
        {
            "name": name,
            "op": layer.op,
            "encoding": layer.encoding,
            "bits": float(layer.bits),
            "bytes": int(layer.bytes),
        }
        for name, layer in zip(named, found)
    ]


def _names(found: list[str], model: Any) -> list[str]:
    """The user's names: a copy of a model has a number behind them where they are there already, in all of them."""
    numbered = [re.sub(r"_\d+$", "", name) for name in found]
    if model is None:
        return (
            numbered
            if all(a != b for a, b in zip(found, numbered))
            and len(set(numbered)) == len(set(found))
            else found
        )
    from tfcompress._backend.bridge import leaf_layers

    known = {layer.name.removeprefix("quant_") for layer in leaf_layers(model)}
    return [next((one for one in pair if one in known), pair[0]) for pair in zip(found, numbered)]


def _fields(value: Any) -> dict[str, Any]:
    out = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        try:
            out[field.name] = held.to_dict() if hasattr(held, "to_dict") else _plain(held)
        except RecipeError:
            out[field.name] = repr(held)
    return out


def _plain(held: Any) -> Any:
    if held is None or isinstance(held, (bool, int, float, str)):
        return held
    if isinstance(held, (list, tuple)):
        return [_plain(item) for item in held]
    if isinstance(held, dict):
        return {str(key): _plain(item) for key, item in held.items()}
    return getattr(held, "__qualname__", type(held).__qualname__)
