"""What every estimator takes: a matrix of finite real numbers, a row a point."""

from __future__ import annotations

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array, ArrayLike

BLOCK = 1 << 20
"""Elements that are looked at in one go."""


def check_points(points: ArrayLike) -> Array:
    """`points` as a float32 or float64 array [n ≥ 3, d ≥ 1] of finite numbers.

    An array of these types is returned as it is, not copied. Raises DataError for another shape or
    type, fewer than 3 rows, NaN or infinity.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] == 0:
        raise DataError(
            f"Points must be an array [n, d], not {list(points.shape)}; "
            "reshape them with x.reshape(len(x), -1)."
        )
    if len(points) < 3:
        raise DataError(
            f"{len(points)} rows have no dimension: at least 3 are needed, "
            "and hundreds for a number to believe."
        )
    if points.dtype not in (np.float32, np.float64):
        if points.dtype.kind not in "fiub":
            raise DataError(f"Points must be real numbers, not {points.dtype}.")
        points = points.astype(np.float32 if points.dtype.itemsize <= 2 else np.float64)
    row = first_row_not_finite(points)
    if row is not None:
        raise DataError(
            f"Row {row} holds NaN or infinity; remove it, or look at the layer that made it."
        )
    return points


def first_row_not_finite(points: Array) -> int | None:
    """The first row of `points` [n, …] that holds NaN or infinity; None if all are finite."""
    if points.dtype.kind != "f":
        return None
    rows = max(1, BLOCK // max(1, points[:1].size))
    for start in range(0, len(points), rows):
        block = points[start : start + rows].reshape(-1, points[:1].size)
        with np.errstate(over="ignore", invalid="ignore"):
            total = block.sum()
        # A sum over NaN or infinity is neither finite; one that only overflows is looked at again.
        if np.isfinite(total):
            continue
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            return start + int(bad.argmax())
    return None
