"""What an estimator of dimension is: options as a frozen value, and one method to write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypedDict

import numpy as np

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._duplicates import compact, take, unique_rows
from tfcompress.analysis.dimension._points import check_points
from tfcompress.analysis.dimension._room import BUDGET_BYTES
from tfcompress.core import Value
from tfcompress.core._types import Array, ArrayLike

if TYPE_CHECKING:  # typing has it from Python 3.11 on
    from typing_extensions import Unpack

View = Literal["flatten", "channels"]
ScoreRule = Literal["change", "rise"]

PARTS = (2, 4, 8)
"""`scales` measures halves, quarters and eighths of the points."""


class Options(TypedDict, total=False):
    """The options of `Estimator.measure`."""

    overwrite: bool
    scales: bool
    budget_bytes: int
    threads: int | None


class Estimator(Value, ABC):
    """A frozen value that maps points [n, d] to their dimension; comparable, hashable, JSON data.

    A new estimator writes `label` and `measure_distinct`; `tfcompress.testing.check_estimator`
    checks it.
    """

    word: ClassVar[str] = ""
    """Its name in recipes, commands and `significance(by=...)`; empty: it goes by its object."""
    view: ClassVar[View] = "flatten"
    """The view of activations that the name stands for."""
    rule: ClassVar[ScoreRule] = "change"
    """The rule of significance that the name stands for."""

    def __call__(self, points: ArrayLike, **options: Unpack[Options]) -> float:
        """The dimension alone; `options` as in `measure`."""
        return self.measure(points, **options).id

    def measure(
        self,
        points: ArrayLike,
        *,
        overwrite: bool = False,
        scales: bool = False,
        budget_bytes: int = BUDGET_BYTES,
        threads: int | None = None,
    ) -> Dimension:
        """The dimension of `points` [n, d] with its interval, counts and warnings.

        Copies of a row are left out first. Points that are all the same, or only two distinct
        ones, have dimension 0.0, with a warning.

        Args:
            points: An array [n, d] of real numbers, n ≥ 3.
            overwrite: Float32 points may be destroyed, which saves a copy.
            scales: Measure disjoint halves, quarters and eighths as well. A dimension that grows
                with n is not converged: compare only at equal n.
            budget_bytes: Memory for work arrays; what exceeds it lies on disk.
            threads: BLAS threads; None takes the idle cores. The products of TwoNN run on the
                first GPU if TensorFlow is loaded and sees one.

        Raises:
            DataError: Another shape than [n, d], fewer than 3 rows, NaN or infinity.
        """
        points = check_points(points)
        keep = unique_rows(points)
        n, unique = len(points), len(keep)
        if unique < n:
            points = compact(points, keep) if overwrite else take(points, keep, budget_bytes)
            overwrite = True
        if unique < 3:
            return Dimension(
                0.0,
                self.label,
                n_rows=n,
                n_unique=unique,
                n_used=unique,
                warnings=(_point_like(unique),),
            )
        ids, spread = self._by_parts(points, budget_bytes, threads) if scales else (None, None)
        result = self.measure_distinct(
            points, overwrite=overwrite, budget_bytes=budget_bytes, threads=threads
        )
        return replace(
            result,
            n_rows=n,
            n_unique=unique,
            n_used=result.n_used or unique,
            ids_by_n=ids,
            sd_by_n=spread,
            warnings=(*copies_left_out(n, unique), *result.warnings),
        )

    @property
    @abstractmethod
    def label(self) -> str:
        """The method and its options, as reports show it."""

    @abstractmethod
    def measure_distinct(
        self, points: Array, *, overwrite: bool, budget_bytes: int, threads: int | None
    ) -> Dimension:
        """The dimension of at least 3 distinct, finite rows of float32 or float64.

        `measure` calls it and fills in the counts of rows. Only with `overwrite` may it change
        `points`. NaN as `id` means that these points have no dimension by this method; the
        warnings then say why.
        """

    def _by_parts(
        self, points: Array, budget_bytes: int, threads: int | None
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Mean and spread over disjoint parts of n/2, n/4, n/8 rows in a random but fixed order."""
        order = np.random.default_rng(0).permutation(len(points))
        ids: dict[int, float] = {}
        spread: dict[int, float] = {}
        for parts in PARTS:
            size = len(points) // parts
            if size < 3:
                break
            of_parts = []
            for part in range(parts):
                rows = np.sort(order[part * size : (part + 1) * size])
                result = self.measure_distinct(
                    points[rows], overwrite=True, budget_bytes=budget_bytes, threads=threads
                )
                of_parts.append(result.id)
            ids[size], spread[size] = float(np.mean(of_parts)), float(np.std(of_parts, ddof=1))
        return ids, spread


def copies_left_out(n: int, unique: int) -> tuple[str, ...]:
    """The warning that `n` rows held only `unique` distinct ones; none if all were."""
    if unique == n:
        return ()
    return (f"{n - unique:,} of {n:,} rows are copies of others and were left out",)


def _point_like(unique: int) -> str:
    what = "all rows are the same" if unique == 1 else "only 2 rows are distinct"
    return f"{what}: no dimension but that of a point"
