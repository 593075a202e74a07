"""Weights as base-L digits of small words, and the tables that turn a word back into its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcompress.targets.packing._layer import Layer


def per_word(levels: int, limit: int) -> int:
    """How many base-`levels` digits a word below `limit` holds: 256 → 8 binary, 5 ternary, 2 of 16; 32768 → 15, 9, 3."""
    count = 0
    while levels ** (count + 1) <= limit:
        count += 1
    return count


def words(digits: np.ndarray, levels: int, count: int) -> np.ndarray:
    """`count` digits a word, the first the lowest; the last word is filled up with zeros. int64."""
    digits = digits.reshape(-1).astype(np.int64)
    digits = np.append(digits, np.zeros(-digits.size % count, np.int64)).reshape(-1, count)
    return (digits * levels ** np.arange(count)).sum(axis=1)


def table_rows(values: np.ndarray, count: int) -> np.ndarray:
    """[L^count, count]: row v holds the values of word v's digits."""
    levels = len(values)
    return values[(np.arange(levels**count)[:, None] // levels ** np.arange(count)) % levels]


def stored(layer: Layer) -> tuple[np.ndarray, np.ndarray, str]:
    """(digits, their values, tensor type): int8 for a grid, float32 for clusters."""
    values = layer.levels.values
    if layer.levels.kind == "clusters":
        return layer.levels.codes, values, "FLOAT32"
    return np.searchsorted(values, layer.levels.codes), values.astype(np.int8), "INT8"


def decode_bytes(b: Any, digits: np.ndarray, values: np.ndarray, kind: str) -> int:
    """Tensor [words · count] of the values of `digits`, computed from one byte a word: CAST, GATHER from a table of ≤ 256 rows, RESHAPE."""
    count = per_word(len(values), 256)
    grid = {"scale": 1} if kind == "INT8" else {}
    key = ("bytes", id(b.graph), kind, values.tobytes())
    if key not in b.shared:
        rows = table_rows(values, count)
        b.shared[key] = b.tensor(rows.shape, kind, data=rows, **grid)
    packed = words(digits, len(values), count).astype(np.uint8)
    positions = b.cast(b.tensor(packed.shape, "UINT8", data=packed), "INT32")
    rows = b.gather(b.shared[key], positions, kind, 1 if kind == "FLOAT32" else 2, **grid)
    return b.reshape(rows, [packed.size * count], kind, **grid)


def trim(b: Any, flat: int, size: int, kind: str, **grid) -> int:
    """The first `size` values of a flat tensor."""
    if b.shape(flat) == [size]:
        return flat
    out = b.tensor([size], kind, **grid)
    ends = [b.constant(np.array([n], np.int32)) for n in (0, size, 1)]
    b.op("STRIDED_SLICE", [flat, *ends], out, 2)
    return out


def byte_table_key(layer: Layer) -> tuple:
    """Which byte table the layer needs."""
    _, values, kind = stored(layer)
    return ("bytes", kind, values.tobytes())
