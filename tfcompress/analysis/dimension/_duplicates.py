"""Exact copies of rows: found by hash, proved by comparison, left out before any distance is taken.

Copies of a point make r1 = 0. Dropping such points afterwards is wrong as well: every third point
sees both copies at the same distance (r2/r1 = 1) and the estimate moves. Only removing all copies
but one leaves the estimate where it was.
"""

from __future__ import annotations

import numpy as np

from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.core._types import Array

FEW, MANY = 16, 256
"""Columns that are compared first: rows that differ in them need no longer look."""
HASHED = 1 << 14
"""Numbers that are hashed in one go."""
CHUNK_BYTES = 1 << 22


def unique_rows(points: Array) -> Array:
    """Indices, ascending, of the first occurrence of every distinct row; 0.0 and −0.0 are the same.

    `points` [n, d] is float32 or float64 without NaN; no more than a chunk of it is copied.
    """
    d = points.shape[1]
    # Neighbours in memory in the middle of a row, then columns from all over it.
    middle = max(0, (d - FEW) // 2)
    samples = (points[:, middle : middle + FEW], points[:, :: max(1, d // MANY)])
    suspects = np.arange(len(points))
    for columns in samples:
        if columns.shape[1] < d:
            suspects = suspects[_repeated(_hashes(columns, suspects))]
    hashes = _hashes(points, suspects)
    copies = []
    first_rows: dict[int, list[int]] = {}
    for i in np.flatnonzero(_repeated(hashes)):
        row = suspects[i]
        same_hash = first_rows.setdefault(int(hashes[i]), [])
        if any(np.array_equal(points[row], points[first]) for first in same_hash):
            copies.append(row)
        else:
            same_hash.append(row)
    return np.delete(np.arange(len(points)), copies)


def _hashes(columns: Array, rows: Array) -> Array:
    """A hash (uint64) of the `rows` of some columns: Σ weight · word, modulo 2^64.

    A word is a float64, two float32 numbers, or one where their number is odd. Integers wrap
    around without rounding, so that equal rows have equal hashes in any order.
    """
    width = columns.shape[1]
    word_bytes = 8 if columns.itemsize * width % 8 == 0 else 4
    count = columns.itemsize * width // word_bytes
    weights = np.random.default_rng(0).integers(0, 1 << 64, count, np.uint64) | np.uint64(1)
    each = max(1, HASHED // width)
    hashes = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), each):
        some = rows[start : start + each]
        part = columns[some[0] : some[-1] + 1] if _is_run(some) else columns[some]
        part = np.ascontiguousarray(part + part.dtype.type(0))  # −0.0 + 0.0 = 0.0
        words = part.view(f"u{word_bytes}").astype(np.uint64, copy=False)
        words ^= words >> np.uint64(32)  # whole numbers have their bits at the top
        hashes[start : start + each] = words @ weights
    return hashes


def _is_run(rows: Array) -> bool:
    return len(rows) == rows[-1] - rows[0] + 1


def _repeated(hashes: Array) -> Array:
    """Which of them occur more than once."""
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice) == 0:
        return np.zeros(len(hashes), bool)
    place = np.minimum(np.searchsorted(twice, hashes), len(twice) - 1)
    return twice[place] == hashes


def take(points: Array, keep: Array, budget_bytes: int = BUDGET_BYTES) -> Array:
    """A copy of the rows `keep` of `points`: in memory up to `budget_bytes`, on disk beyond."""
    shape = (len(keep), points.shape[1])
    size = points.itemsize * shape[0] * shape[1]
    out = room(shape, on_disk=size > budget_bytes, dtype=points.dtype)
    rows = _rows_a_chunk(points, CHUNK_BYTES)
    for start in range(0, len(keep), rows):
        out[start : start + rows] = points[keep[start : start + rows]]
    return out


def compact(points: Array, keep: Array, chunk_bytes: int = CHUNK_BYTES) -> Array:
    """The rows `keep` (ascending) of `points`, moved to its front in place, a chunk at a time."""
    if len(keep) == len(points):
        return points
    rows = _rows_a_chunk(points, chunk_bytes)
    for start in range(0, len(keep), rows):
        source = keep[start : start + rows]  # never before its destination
        points[start : start + len(source)] = points[source]
    return points[: len(keep)]


def _rows_a_chunk(points: Array, chunk_bytes: int) -> int:
    return max(1, chunk_bytes // max(1, points[:1].nbytes))
