"""Weights as base-L digits of small words, and the tables that turn words back into weights."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import Quantization
from tfcompress.targets.packing._layer import Layer


def per_word(levels: int, limit: int) -> int:
    """How many base-`levels` digits a word below `limit` holds.

    256 → 8 binary, 5 ternary, 2 of 16; 32768 → 15, 9, 3. A single level counts as two.
    """
    count = 0
    while max(levels, 2) ** (count + 1) <= limit:
        count += 1
    return count


def words(digits: Array, levels: int, count: int) -> Array:
    """`count` digits a word, the first the lowest; the last word is filled with zeros. int64."""
    digits = digits.reshape(-1).astype(np.int64)
    digits = np.append(digits, np.zeros(-digits.size % count, np.int64)).reshape(-1, count)
    return (digits * levels ** np.arange(count)).sum(axis=1)


def table_rows(values: Array, count: int) -> Array:
    """[L^count, count]: row v holds the values of word v's digits."""
    levels = len(values)
    return values[(np.arange(levels**count)[:, None] // levels ** np.arange(count)) % levels]


def stored_digits(layer: Layer) -> tuple[Array, Array, str]:
    """(digits, their values, tensor type): int8 for a grid, float32 for clusters."""
    values = layer.levels.values
    if layer.levels.kind == "clusters":
        return layer.levels.codes, values, "FLOAT32"
    return np.searchsorted(values, layer.levels.codes), values.astype(np.int8), "INT8"


def unit_scale(kind: str) -> Quantization:
    """Scale 1 for integers: a tensor of int8 without one is refused by some operators."""
    return {"scale": 1.0} if kind == "INT8" else {}


def decode_bytes(builder: Builder, digits: Array, values: Array, kind: str) -> int:
    """Tensor [words · count] of the values of `digits`, computed from one byte a word.

    CAST, GATHER from a table of at most 256 rows, RESHAPE.
    """
    count = per_word(len(values), 256)
    quantization = unit_scale(kind)
    key = ("bytes", id(builder.graph), kind, values.tobytes())
    if key not in builder.shared:
        rows = table_rows(values, count)
        builder.shared[key] = builder.tensor(rows.shape, kind, data=rows, **quantization)
    packed = words(digits, len(values), count).astype(np.uint8)
    positions = builder.cast(builder.tensor(packed.shape, "UINT8", data=packed), "INT32")
    version = 1 if kind == "FLOAT32" else 2
    rows = builder.gather(builder.shared[key], positions, kind, version, **quantization)
    return builder.reshape(rows, [packed.size * count], kind, **quantization)


def trim(builder: Builder, flat: int, size: int, kind: str, quantization: Quantization) -> int:
    """The first `size` values of a flat tensor."""
    if builder.shape(flat) == [size]:
        return flat
    out = builder.tensor([size], kind, **quantization)
    ends = [builder.constant(np.array([n], np.int32)) for n in (0, size, 1)]
    builder.op("STRIDED_SLICE", [flat, *ends], out, 2)
    return out


def byte_table_key(layer: Layer) -> Hashable:
    """Which byte table the layer needs."""
    _, values, kind = stored_digits(layer)
    return ("bytes", kind, values.tobytes())
