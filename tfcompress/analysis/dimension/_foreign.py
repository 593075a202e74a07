"""Estimators of other packages: scikit-dimension's objects, and functions of points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, cast, runtime_checkable

import numpy as np

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._duplicates import take, unique_rows
from tfcompress.analysis.dimension._estimator import copies_left_out
from tfcompress.analysis.dimension._points import check_points
from tfcompress.core import DataError
from tfcompress.core._types import Array, ArrayLike


@runtime_checkable
class FitTransform(Protocol):
    """An estimator object of scikit-dimension."""

    def fit_transform(self, X: Array) -> ArrayLike:
        """The dimension of the points `X` [n, d], or one number a point."""
        ...


Foreign: TypeAlias = FitTransform | Callable[[Array], float]


def measure_foreign(estimator: Foreign, points: ArrayLike, budget_bytes: int) -> Dimension:
    """The dimension of the distinct rows of `points` by an estimator that is not ours.

    A scikit-dimension object is copied before it is fitted. Raises DataError for points that are
    none, or that the estimator refuses.
    """
    points = check_points(points)
    keep = unique_rows(points)
    n, unique = len(points), len(keep)
    label = getattr(estimator, "__name__", type(estimator).__name__)
    if unique < 3:
        value = 0.0
    else:
        distinct = points if unique == n else take(points, keep, budget_bytes)
        value = _value(estimator, distinct, label)
    return Dimension(
        value,
        label,
        n_rows=n,
        n_unique=unique,
        n_used=unique,
        warnings=copies_left_out(n, unique),
    )


def _value(estimator: Foreign, points: Array, label: str) -> float:
    if not isinstance(estimator, FitTransform):
        return float(estimator(points))
    from sklearn.base import clone

    if points.shape[1] == 1:
        # scikit-dimension refuses one feature; a column of zeros leaves every distance as it is.
        points = np.pad(points, ((0, 0), (0, 1)))
    fresh = cast(FitTransform, clone(estimator))
    try:
        value = fresh.fit_transform(points)
    except ValueError as error:
        raise DataError(f"{label} refuses {list(points.shape)} points: {error}") from error
    return float(np.mean(value))
