"""Linear dimension: how many principal components explain a share of the variance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._estimator import Estimator, ScoreRule, View
from tfcompress.analysis.dimension._threads import blas_threads
from tfcompress.core import DataError, RecipeError
from tfcompress.core._types import Array

CLOSE = 5e-7
"""Nearer to the wanted share than this, float32 products do not decide (error measured: 1e-7)."""
SAMPLE = 31
"""Points whose mean is near that of all."""
CACHE = 1 << 18
"""Elements of a chunk that stays in cache."""
SMALLEST = 1e-30
"""Mean square of the points below which float32 products lose digits to underflow."""
LARGEST = 1 << 24
"""Elements of a chunk at most."""


@dataclass(frozen=True, eq=False)
class PCADimension(Estimator):
    """PCA: the smallest k with λ_1 + … + λ_k ≥ `variance` · Σλ, λ descending.

    λ are the eigenvalues of the covariance, taken from the smaller of A·Aᵀ [n, n] and Aᵀ·A [d, d],
    A the centred points: float32 products, float64 eigenvalues. Where the decision is closer than
    float32 can tell, the products are taken again in float64. With d ≫ n the count grows with n
    without end: compare at equal n, or by the participation ratio `pr`.

    Raises RecipeError for variance outside (0, 1]. Source: Chakraborty et al. 2020 (99 %).
    """

    word: ClassVar[str] = "pca"
    view: ClassVar[View] = "channels"
    rule: ClassVar[ScoreRule] = "rise"
    variance: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.variance <= 1:
            raise RecipeError(
                f"PCADimension(variance={self.variance!r}): choose a share 0 < variance ≤ 1."
            )

    @property
    def label(self) -> str:
        """E.g. `PCA 99 %`."""
        return f"PCA {100 * self.variance:g} %"

    def measure_distinct(
        self, points: Array, *, overwrite: bool, budget_bytes: int, threads: int | None
    ) -> Dimension:
        """As `measure` says, of distinct finite rows."""
        given = len(points)
        # side² float32 products, their float64 copy, and what LAPACK works in
        side = int(np.sqrt(budget_bytes / 20))
        warnings: tuple[str, ...] = ()
        if min(points.shape) > side:
            rows = np.random.default_rng(0).choice(given, side, replace=False)
            points = points[np.sort(rows)]
            warnings = (
                f"{side:,} of {given:,} rows were used, as many as {budget_bytes:,} bytes allow",
            )
        with blas_threads(threads):
            values = self._variances(points)
        total = values.sum()
        if total == 0:
            return Dimension(0.0, self.label, n_used=len(points), warnings=("no variance",))
        share = np.cumsum(values) / total
        count = int(np.searchsorted(share, self.variance * (1 - 1e-12))) + 1
        return Dimension(
            float(min(count, len(values))),
            self.label,
            n_used=len(points),
            pr=float(total**2 / np.square(values).sum()),
            curve=tuple((k, float(share[k - 1])) for k in _shown(len(share))),
            warnings=warnings,
        )

    def _variances(self, points: Array) -> Array:
        """The eigenvalues, largest first, as exact as the decision needs them."""
        values = _eigenvalues(points, np.float32)
        if values is None or self._is_close(values):
            values = _eigenvalues(points, np.float64)
        if values is None:
            raise DataError("The variance of the points is beyond float64: scale them down.")
        return values

    def _is_close(self, values: Array) -> bool:
        """Whether a cumulative share lies so near the wanted one that rounding could decide."""
        total = values.sum()
        if total == 0 or self.variance > 1 - CLOSE:
            return True
        return bool(np.any(np.abs(np.cumsum(values) / total - self.variance) < CLOSE))


@cache
def _shown(count: int) -> tuple[int, ...]:
    """At most 200 numbers of components in 1 … count, evenly spaced on a logarithmic axis."""
    return tuple(np.unique(np.geomspace(1, count, 200).astype(int)).tolist())


def _eigenvalues(points: Array, dtype: DTypeLike) -> Array | None:
    """Eigenvalues, largest first, of the smaller of A·Aᵀ and Aᵀ·A, A the centred points.

    Products of points moved near the origin are taken over chunks, in `dtype`, and added in
    float64; no matrix of the points' size is copied. What is left of the mean is taken off the
    sums. None where the products overflow, or float32 ones underflow.
    """
    n, d = points.shape
    along_rows = n > d
    side = min(n, d)
    # As much as stays in cache, but enough to be worth adding `side`² numbers.
    step = min(max(CACHE // side, 2 * side), max(1, LARGEST // side), max(n, d))
    near = _near_the_middle(points)
    moved = np.empty((step, d) if along_rows else (n, step), np.result_type(points, dtype))
    ones, product = np.ones(step, dtype), np.empty((side, side), dtype)
    products, sums = np.zeros((side, side)), np.zeros(side)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, max(n, d), step):
            part = slice(start, start + step)
            if along_rows:
                block = points[part]
                a = np.subtract(block, near, out=moved[: len(block)]).astype(dtype, copy=False)
                sums += ones[: len(a)] @ a
                products += np.matmul(a.T, a, out=product)
            else:
                block = points[:, part]
                a = np.subtract(block, near[part], out=moved[:, : block.shape[1]])
                a = a.astype(dtype, copy=False)
                products += np.matmul(a, a.T, out=product)
    mean_square = np.trace(products) / points.size
    too_small = dtype is np.float32 and mean_square < SMALLEST
    if too_small or not np.isfinite(np.square(mean_square * points.size)):
        return None
    if along_rows:
        products -= np.outer(sums, sums) / n
    else:
        rows = products.mean(0)
        products += rows.mean() - rows - rows[:, None]
    return np.maximum(np.linalg.eigvalsh(products)[::-1], 0.0)


def _near_the_middle(points: Array) -> Array:
    """The mean of a few evenly spaced points [d], in their own precision."""
    evenly = np.linspace(0, len(points) - 1, min(SAMPLE, len(points))).astype(int)
    return points[evenly].mean(0, dtype=np.float64).astype(points.dtype)
