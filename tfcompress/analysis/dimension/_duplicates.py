"""Exact duplicates among rows: found by hash, proved by comparison, left out before any distance is taken.

Copies of a point make r1 = 0, and dropping such points afterwards is wrong as well: every third point sees both copies at
the same distance (r2/r1 = 1) and the estimate moves. Only removing all copies but one leaves the estimate where it was.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

SAMPLE = 256


def unique_rows(points: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the first occurrence of every distinct row of `points` [n, d]; 0.0 and −0.0 are the same."""
    some = (
        points[:, :: max(1, points.shape[1] // SAMPLE)] + 0.0
    )  # rows that differ here need no longer look
    marks = [hash(row.tobytes()) for row in some]
    times = Counter(marks)
    seen: dict[int, list[int]] = {}
    keep = []
    for i, (row, mark) in enumerate(zip(points, marks)):
        if times[mark] == 1:
            keep.append(i)
            continue
        others = seen.setdefault(hash((row + 0.0).tobytes()), [])  # −0.0 + 0.0 = 0.0
        if not any(np.array_equal(row, points[j]) for j in others):
            others.append(i)
            keep.append(i)
    return np.asarray(keep, np.int64)


def compact(points: np.ndarray, keep: np.ndarray, chunk_bytes: int = 1 << 22) -> np.ndarray:
    """The rows `keep` (ascending) of `points`, moved to its front in place, a few megabytes at a time."""
    if len(keep) == len(points):
        return points
    rows = max(1, chunk_bytes // max(1, points[:1].nbytes))
    for start in range(0, len(keep), rows):
        source = keep[start : start + rows]
        points[start : start + len(source)] = points[
            source
        ]  # a source never lies before its destination
    return points[: len(keep)]
