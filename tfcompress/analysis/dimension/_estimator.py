"""What an estimator of dimension is, and what it says: a number with its error, counts and warnings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tfcompress.analysis.dimension._duplicates import compact, unique_rows
from tfcompress.analysis.dimension._room import BUDGET_BYTES
from tfcompress.core import DataError, Value

SCALES = (2, 4, 8)


@dataclass(frozen=True)
class Dimension:
    """The dimension `id` of a set of points, as `method` sees it.

    ci: 95 % interval, where the method has one. n_rows, n_unique, n_used: rows given, distinct ones, ones in the fit.
    ids_by_n, sd_by_n: mean and standard deviation of `id` over disjoint parts of n rows (asked for by `scales`).
    mean_r1, max_mu: mean distance to the nearest neighbour and largest ratio r2/r1 (TwoNN).
    pr: participation ratio (Σλ)²/Σλ², which unlike `id` hardly depends on n; curve: cumulative variance, as pairs
    (number of components, fraction) (PCA). warnings: what to know before believing `id`.
    """

    id: float
    method: str
    ci: tuple[float, float] | None = None
    n_rows: int = 0
    n_unique: int = 0
    n_used: int = 0
    ids_by_n: dict[int, float] | None = None
    sd_by_n: dict[int, float] | None = None
    mean_r1: float | None = None
    max_mu: float | None = None
    pr: float | None = None
    curve: tuple[tuple[int, float], ...] | None = None
    warnings: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.id

    def to_dict(self) -> dict[str, Any]:
        """The fields that were measured, as plain JSON data."""
        said = {key: value for key, value in asdict(self).items() if value not in (None, ())}
        return {
            key: {str(n): x for n, x in value.items()} if isinstance(value, dict) else value
            for key, value in said.items()
        }


class Estimator(Value, ABC):
    """A frozen value that maps points [n, d] to their dimension; comparable, hashable and JSON data like every option."""

    def __call__(self, points: Any, **options) -> float:
        """The dimension alone; `options` as in `measure`."""
        return self.measure(points, **options).id

    def measure(
        self,
        points: Any,
        *,
        overwrite: bool = False,
        scales: bool = False,
        budget_bytes: int = BUDGET_BYTES,
        threads: int | None = None,
    ) -> Dimension:
        """The dimension of `points` [n, d] with its interval, counts and warnings; duplicates of a row are left out first.

        `overwrite` lets float32 points be destroyed, which saves a copy; `scales` measures disjoint halves, quarters and
        eighths as well (a dimension that grows with n is not converged: compare only at equal n); what exceeds
        `budget_bytes` of memory lies on disk; `threads` limits BLAS (None: the idle cores). The products of TwoNN run on the first GPU if
        TensorFlow is loaded and sees one.
        Points that are all the same, or only two distinct ones, have dimension 0.0 (with a warning).

        Raises DataError for another shape than [n, d], fewer than 3 rows, NaN or infinity.
        """
        points = check_points(points)
        options = {"budget_bytes": budget_bytes, "threads": threads}
        keep = unique_rows(points)
        n, unique = len(points), len(keep)
        if unique < n:
            points = compact(points, keep) if overwrite else points[keep]
            overwrite = True
        if unique < 3:
            said = "all rows are the same" if unique == 1 else "only 2 rows are distinct"
            said += ": no dimension but that of a point"
            return Dimension(
                0.0, self.label, n_rows=n, n_unique=unique, n_used=unique, warnings=(said,)
            )
        ids, spread = self._by_scale(points, options) if scales else (None, None)
        found = self._measure(points, overwrite, **options)
        warnings = found.warnings
        if unique < n:
            warnings = (
                f"{n - unique:,} of {n:,} rows are copies of others and were left out",
                *warnings,
            )
        return replace(
            found,
            n_rows=n,
            n_unique=unique,
            n_used=found.n_used or unique,
            ids_by_n=ids,
            sd_by_n=spread,
            warnings=warnings,
        )

    @property
    @abstractmethod
    def label(self) -> str:
        """The method and its options, as reports show it."""

    @abstractmethod
    def _measure(
        self, points: np.ndarray, overwrite: bool, *, budget_bytes: int, threads: int | None
    ) -> Dimension:
        """The dimension of at least 3 distinct, finite rows."""

    def _by_scale(
        self, points: np.ndarray, options: dict[str, Any]
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Mean and spread over disjoint parts of n/2, n/4, n/8 rows in a random but fixed order."""
        order = np.random.default_rng(0).permutation(len(points))
        ids, spread = {}, {}
        for parts in SCALES:
            size = len(points) // parts
            if size < 3:
                break
            found = [
                self._measure(points[np.sort(order[i * size : (i + 1) * size])], True, **options).id
                for i in range(parts)
            ]
            ids[size], spread[size] = float(np.mean(found)), float(np.std(found, ddof=1))
        return ids, spread


def check_points(points: Any) -> np.ndarray:
    """`points` as a float32 or float64 array [n ≥ 3, d ≥ 1] without NaN and infinity, not copied if it is one; else DataError."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] == 0:
        raise DataError(
            f"Points must be an array [n, d], not {list(points.shape)}; reshape them with x.reshape(len(x), -1)."
        )
    if len(points) < 3:
        raise DataError(
            f"{len(points)} rows have no dimension: at least 3 are needed, and hundreds for a number to believe."
        )
    if points.dtype not in (np.float32, np.float64):
        if points.dtype.kind not in "fiub":
            raise DataError(f"Points must be real numbers, not {points.dtype}.")
        points = points.astype(np.float32 if points.dtype.itemsize <= 2 else np.float64)
    rows = max(1, (1 << 20) // points.shape[1])
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(
                block.sum()
            ):  # a sum over NaN or infinity is neither; one that overflows is looked at again
                continue
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            raise DataError(
                f"Row {start + int(bad.argmax())} holds NaN or infinity; remove it, or look at the layer that made it."
            )
    return points
