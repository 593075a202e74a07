"""Exact copies of rows: found by hash, proved by comparison, left out before any distance is taken.

Copies of a point make r1 = 0. Dropping such points afterwards is wrong as well: every third point
sees both copies at the same distance (r2/r1 = 1) and the estimate moves. Only removing all copies
but one leaves the estimate where it was.
"""

from __future__ import annotations

import numpy as np

from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.core._types import Array

SAMPLES = (16, 256)
"""Columns that are compared first: rows that differ in them need no longer look."""
HASHED = 1 << 17
"""Numbers that are hashed in one go."""
CHUNK_BYTES = 1 << 22


def unique_rows(points: Array) -> Array:
    """Indices, ascending, of the first occurrence of every distinct row; 0.0 and −0.0 are the same.

    `points` [n, d] is float32 or float64 without NaN; no more than a chunk of it is copied.
    """
    d = points.shape[1]
    suspects = np.arange(len(points))
    for count in SAMPLES:
        if count < d:
            suspects = suspects[_repeated(_hashes(points, suspects, d // count))]
    hashes = _hashes(points, suspects, 1)
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


def _hashes(points: Array, rows: Array, step: int) -> Array:
    """A hash (uint64) of every `step`-th column of `rows`: Σ weight · bits, modulo 2^64.

    Integers wrap around without rounding, so that equal rows have equal hashes in any order.
    """
    bits = np.dtype(f"u{points.itemsize}")
    width = len(range(0, points.shape[1], step))
    weights = np.random.default_rng(0).integers(0, 1 << 64, width, np.uint64) | np.uint64(1)
    each = max(1, HASHED // width)
    hashes = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), each):
        some = rows[start : start + each]
        values = points[some[0] : some[-1] + 1] if _is_run(some) else points[some]
        words = (values[:, ::step] + values.dtype.type(0)).view(bits)  # −0.0 + 0.0 = 0.0
        if points.itemsize == 8:  # whole numbers have their bits at the top
            words ^= words >> np.uint64(32)
        hashes[start : start + each] = words.astype(np.uint64) @ weights
    return hashes


def _is_run(rows: Array) -> bool:
    return len(rows) == rows[-1] - rows[0] + 1


def _repeated(hashes: Array) -> Array:
    """Which of them occur more than once."""
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(hashes, twice) if len(twice) else np.zeros(len(hashes), bool)


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
