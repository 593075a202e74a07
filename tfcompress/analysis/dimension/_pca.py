"""Linear dimension: how many principal components explain a share of the variance (Chakraborty et al. 2020 use 99 %)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._estimator import Estimator, ScoreRule, View
from tfcompress.analysis.dimension._means import column_means, minus
from tfcompress.analysis.dimension._threads import blas_threads
from tfcompress.core import RecipeError
from tfcompress.core._types import Array

CLOSE = 5e-7
"""How near the wanted share a cumulative share must lie for float32 products not to decide (their error: below 1e-7 where measured)."""


@dataclass(frozen=True, eq=False)
class PCADimension(Estimator):
    """PCA: the smallest k with λ_1 + … + λ_k ≥ `variance` · Σλ, λ the eigenvalues of the covariance, largest first.

    Taken from the smaller of A·Aᵀ [n, n] and Aᵀ·A [d, d] (A the centred points), float32 products, float64 eigenvalues;
    where the decision is closer than float32 can tell, the products are taken again in float64.
    With d ≫ n the count grows with n without end: compare at equal n, or by the participation ratio `pr`.
    Raises RecipeError for variance outside (0, 1].
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
        warnings: tuple[str, ...] = ()
        side = int(
            np.sqrt(budget_bytes / 20)
        )  # side² float32 products, their float64 copy, and LAPACK's work
        if min(points.shape) > side:
            kept = np.sort(np.random.default_rng(0).choice(len(points), side, replace=False))
            warnings = (
                f"{side:,} of {len(points):,} rows were used, as many as {budget_bytes:,} bytes allow",
            )
            points = points[kept]
        mean = column_means(points)
        with blas_threads(threads):
            values = _eigenvalues(points, mean, np.float32)
            if self._unsure(values):
                values = _eigenvalues(points, mean, np.float64)
        total = values.sum()
        if total == 0:
            return Dimension(0.0, self.label, n_used=len(points), warnings=("no variance",))
        share = np.cumsum(values) / total
        count = int(np.searchsorted(share, self.variance * (1 - 1e-12))) + 1
        count = min(count, len(values))
        shown = np.unique(np.geomspace(1, len(share), 200).astype(int))
        curve = tuple((int(k), float(share[k - 1])) for k in shown)
        return Dimension(
            float(count),
            self.label,
            n_used=len(points),
            pr=float(total**2 / (values**2).sum()),
            curve=curve,
            warnings=warnings,
        )

    def _unsure(self, values: Array) -> bool:
        total = values.sum()
        return (
            self.variance > 1 - CLOSE
            or total == 0
            or bool(np.any(np.abs(np.cumsum(values) / total - self.variance) < CLOSE))
        )


def _eigenvalues(points: Array, mean: Array, dtype) -> Array:
    """Eigenvalues, largest first, of the smaller of A·Aᵀ and Aᵀ·A, taken over chunks so that A is never copied whole."""
    n, d = points.shape
    products = np.zeros((min(n, d),) * 2)
    if n <= d:
        step = max(1, (1 << 24) // n)
        for start in range(0, d, step):
            part = minus(points[:, start : start + step], mean[start : start + step], dtype)
            products += part @ part.T
    else:
        step = max(1, (1 << 24) // d)
        for start in range(0, n, step):
            part = minus(points[start : start + step], mean, dtype)
            products += part.T @ part
    return np.maximum(np.linalg.eigvalsh(products)[::-1], 0.0)
