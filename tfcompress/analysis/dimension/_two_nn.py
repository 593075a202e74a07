"""Intrinsic dimension from the two nearest neighbours of every point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._estimator import Estimator
from tfcompress.analysis.dimension._neighbours import two_nearest
from tfcompress.core import RecipeError
from tfcompress.core._types import Array

SPREAD = 1.3
"""Standard deviation over fresh samples / (d/√n): neighbouring ratios are correlated.

1.0 to 1.31 was measured on five manifolds.
"""


GRID = (
    "every point has its two nearest neighbours at one distance (a grid): "
    "TwoNN cannot tell a dimension"
)


@dataclass(frozen=True, eq=False)
class TwoNN(Estimator):
    """TwoNN: the ratio μ = r2/r1 of the distances to two nearest neighbours follows 1 − μ^(−d).

    fit="mle": maximum likelihood with the largest `discard` of the n ratios censored at the k-th,
    unbiased: d = (k − 1) / (Σ_{i≤k} ln μ_i + (n − k) ln μ_k). fit="linear": slope through the
    origin of −ln(1 − i/n) against ln μ_i for i ≤ k, as Facco et al. and scikit-dimension do.
    k = ⌊n (1 − discard)⌋. Neighbours are exact.

    The interval is d (1 ± 1.96 · 1.3/√n). Above d ≈ 10 every feasible n underestimates (a 20-cube
    of 2,000 points gives 15).

    Raises RecipeError for another fit, or discard outside [0, 1) (linear: (0, 1)).
    Source: Facco, d'Errico, Rodriguez & Laio, Scientific Reports 7, 12140 (2017).
    """

    word: ClassVar[str] = "twonn"
    fit: Literal["mle", "linear"] = "mle"
    discard: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit not in ("mle", "linear"):
            raise RecipeError(f"TwoNN(fit={self.fit!r}): choose 'mle' or 'linear'.")
        if not 0 <= self.discard < 1 or (self.fit == "linear" and self.discard == 0):
            allowed = (
                "0 < discard < 1, for the last point of the line lies at infinity"
                if self.fit == "linear"
                else "0 ≤ discard < 1"
            )
            raise RecipeError(
                f"TwoNN(fit={self.fit!r}, discard={self.discard!r}): choose {allowed}."
            )

    @property
    def label(self) -> str:
        """E.g. `TwoNN mle, 10 % discarded`."""
        return f"TwoNN {self.fit}, {100 * self.discard:g} % discarded"

    def measure_distinct(
        self, points: Array, *, overwrite: bool, budget_bytes: int, threads: int | None
    ) -> Dimension:
        """As `measure` says, of distinct finite rows."""
        near = two_nearest(points, overwrite=overwrite, budget_bytes=budget_bytes, threads=threads)
        # A distance can still vanish where its square is below the smallest float.
        apart = near.first > 0
        log_mu = np.sort(np.log(near.second[apart] / near.first[apart]))
        n = len(log_mu)
        k = min(int(n * (1 - self.discard)), n - 1 if self.fit == "linear" else n)
        if k < 2 or log_mu[k - 1] == 0:
            value, interval, warnings = float("nan"), None, (GRID,)
        else:
            value = _slope(log_mu, k) if self.fit == "linear" else _likeliest(log_mu, k)
            error = 1.96 * SPREAD / np.sqrt(n)
            interval = (value * (1 - error), value * (1 + error))
            warnings = _doubts(log_mu)
        return Dimension(
            value,
            self.label,
            interval,
            n_used=k,
            mean_r1=float(near.first.mean()),
            max_mu=float(np.exp(log_mu[-1])) if n else None,
            warnings=warnings,
        )


def _likeliest(log_mu: Array, k: int) -> float:
    """Maximum likelihood of the n sorted ln μ, those beyond the k-th censored at it."""
    return float((k - 1) / (log_mu[:k].sum() + (len(log_mu) - k) * log_mu[k - 1]))


def _slope(log_mu: Array, k: int) -> float:
    """Least squares through the origin of −ln(1 − i/n) against ln μ_i, i ≤ k."""
    x, y = log_mu[:k], -np.log1p(-np.arange(1, k + 1) / len(log_mu))
    return float(x @ y) / float(x @ x)


def _doubts(log_mu: Array) -> tuple[str, ...]:
    """A warning of near copies: more than 1 % of ratios where 0.1 % are expected.

    By the law of the median, d = ln 2 / median ln μ, a share of 0.1 % lies above μ = 1000^(1/d).
    """
    if len(log_mu) == 0:
        return ()
    many = int((log_mu > np.log(1000) / np.log(2) * np.median(log_mu)).sum())
    if many <= max(3, 0.01 * len(log_mu)):
        return ()
    return (
        f"{many:,} of {len(log_mu):,} points have a neighbour far nearer than the next: "
        "near copies pull the dimension down",
    )
