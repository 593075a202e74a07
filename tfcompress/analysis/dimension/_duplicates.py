"""Exact copies of rows: found by hash, proved by comparison, left out before any distance is taken.

Copies of a point make r1 = 0. Dropping such points afterwards is wrong as well: every third point
sees both copies at the same distance (r2/r1 = 1) and the estimate moves. Only removing all copies
but one leaves the estimate where it was.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.core._types import Array

SAMPLE = 256
CHUNK_BYTES = 1 << 22


def unique_rows(points: Array, chunk_bytes: int = CHUNK_BYTES) -> Array:
    """Indices, ascending, of the first occurrence of every distinct row; 0.0 and −0.0 are the same.

    Args:
        points: An array [n, d].
        chunk_bytes: What may be copied of it at a time (at least one row).
    """
    marks = _marks(points, chunk_bytes)
    times = Counter(marks)
    first_rows: dict[int, list[int]] = {}
    keep = []
    for i, (row, mark) in enumerate(zip(points, marks)):
        if times[mark] == 1:
            keep.append(i)
            continue
        same_hash = first_rows.setdefault(_hash(row), [])
        if not any(np.array_equal(row, points[j]) for j in same_hash):
            same_hash.append(i)
            keep.append(i)
    return np.asarray(keep, np.int64)


def _marks(points: Array, chunk_bytes: int) -> list[int]:
    """A hash of every row's evenly spaced sample of columns: rows that differ here are distinct."""
    step = max(1, points.shape[1] // SAMPLE)
    sampled = points[:, ::step]
    rows = max(1, chunk_bytes // max(1, sampled[:1].nbytes))
    marks: list[int] = []
    for start in range(0, len(sampled), rows):
        marks += [_hash(row) for row in sampled[start : start + rows]]
    return marks


def _hash(row: Array) -> int:
    return hash((row + 0.0).tobytes())  # −0.0 + 0.0 = 0.0


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
