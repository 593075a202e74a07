"""Points brought to where float32 products are good, and squared distances between given ones."""

from __future__ import annotations

import numpy as np

from tfcompress.analysis.dimension._means import column_means
from tfcompress.analysis.dimension._room import room
from tfcompress.core._types import Array

CACHE = 65536
"""Elements of a chunk that stays in cache."""
SAMPLE = 31


def centred(points: Array, overwrite: bool, budget_bytes: int) -> tuple[Array, float]:
    """`points` less their centre as C-ordered float32, times a power of two.

    Returns the array and the power, which brings the points into the range where the squares of
    float32 are finite; 1 where they are anyway. With `overwrite`, float32 points are centred in
    place; else the result lies in memory up to `budget_bytes`, and on disk beyond.
    """
    n, d = points.shape
    largest = _largest(points)
    unit = 1.0 if 1e-12 < largest < 1e12 else float(np.ldexp(1.0, -int(np.frexp(largest)[1])))
    middle = centre(points)
    in_place = overwrite and points.dtype == np.float32
    if in_place and points.flags.c_contiguous and points.flags.writeable:
        out = points
    else:
        out = room((n, d), on_disk=4 * n * d > budget_bytes)
    shift = middle if points.dtype == np.float64 else middle.astype(np.float32)
    rows = max(1, 4 * CACHE // d)
    for start in range(0, n, rows):
        block, into = points[start : start + rows], out[start : start + rows]
        if unit == 1.0:
            np.subtract(block, shift, out=into, casting="same_kind")
        else:
            into[:] = (block.astype(np.float64) - shift) * unit
    return out, unit


def _largest(points: Array) -> float:
    rows = max(1, 4 * CACHE // points.shape[1])
    largest = 0.0
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        largest = max(largest, float(block.max()), -float(block.min()))
    return largest


def centre(points: Array) -> Array:
    """The mean, float64 [d]; where a few rows far away pull it off the others, a median.

    They do if the mean lies farther from the median of SAMPLE evenly spaced rows than three
    quarters of these rows. All others would then be far from the origin, and so would the errors
    of their products.
    """
    mean = column_means(points)
    evenly = np.linspace(0, len(points) - 1, min(SAMPLE, len(points))).astype(int)
    sample = points[evenly].astype(np.float64)
    median = np.median(sample, axis=0)
    with np.errstate(over="ignore"):
        distances = np.sort(np.square(sample - median).sum(1))
        pulled = np.square(mean - median).sum() > distances[3 * len(sample) // 4]
    return median if pulled else mean


class GivenPoints:
    """The points as they were given, times a power of two: where distances are read from."""

    def __init__(self, points: Array, unit: float) -> None:
        self.points, self.unit = points, unit

    def rows(self, index: Array | slice) -> Array:
        """Some of the points in float64."""
        rows = self.points[index].astype(np.float64)
        return rows if self.unit == 1.0 else rows * self.unit

    def squares(self, left: Array, right: Array) -> Array:
        """|x_left − x_right|² by direct differences, in chunks that stay in cache."""
        points, d = self.points, self.points.shape[1]
        rows = max(1, CACHE // d)
        out = np.empty(len(left))
        a, b = np.empty((rows, d), points.dtype), np.empty((rows, d), points.dtype)
        for start in range(0, len(left), rows):
            chunk = left[start : start + rows]
            m = len(chunk)
            np.take(points, chunk, axis=0, out=a[:m], mode="clip")
            np.take(points, right[start : start + rows], axis=0, out=b[:m], mode="clip")
            if self.unit != 1.0:  # first, or the difference overflows
                a[:m] *= points.dtype.type(self.unit)
                b[:m] *= points.dtype.type(self.unit)
            np.subtract(a[:m], b[:m], out=a[:m])
            out[start : start + m] = sums_of_squares(a[:m])
        return out


def square_norms(points: Array) -> Array:
    """|x_i|² of every row, float64 [n]."""
    rows = max(1, CACHE // points.shape[1])
    chunks = [sums_of_squares(points[i : i + rows]) for i in range(0, len(points), rows)]
    return np.concatenate(chunks)


def sums_of_squares(rows: Array) -> Array:
    """Σ_k x_k² of each row, float64 [n].

    Float32 products are added in pieces of 256, the pieces in float64: relative error about 3e-8.
    """
    if rows.dtype == np.float64:
        return np.einsum("ij,ij->i", rows, rows)
    n, d = rows.shape
    whole = d // 256 * 256
    out = np.zeros(n)
    if whole:
        pieces = rows[:, :whole].reshape(n, -1, 256)
        out += np.einsum("ijk,ijk->ij", pieces, pieces).sum(1, dtype=np.float64)
    rest = rows[:, whole:].astype(np.float64)
    return out + np.einsum("ij,ij->i", rest, rest)
