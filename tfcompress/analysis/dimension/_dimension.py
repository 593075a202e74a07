"""What an estimator answers: a dimension with its interval, counts and warnings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Dimension:
    """The dimension `id` of a set of points, as `method` sees it.

    Fields:
        ci: The 95 % interval, where the method has one.
        n_rows, n_unique, n_used: Rows given, distinct ones, ones that the estimate is made of.
        ids_by_n, sd_by_n: Mean and standard deviation of `id` over disjoint parts of n rows
            (only with `scales=True`).
        mean_r1, max_mu: Mean distance to the nearest neighbour and largest ratio r2/r1 (TwoNN).
        pr: Participation ratio (Σλ)²/Σλ², which unlike `id` hardly depends on n (PCA).
        curve: Cumulative variance as pairs (number of components, fraction) (PCA).
        warnings: What to know before believing `id`.
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
        data: dict[str, Any] = {}
        for key, value in asdict(self).items():
            if value is None or value == ():
                continue
            data[key] = _with_text_keys(value) if isinstance(value, dict) else value
        return data


def _with_text_keys(by_rows: dict[int, float]) -> dict[str, float]:
    """JSON has no integer keys."""
    return {str(rows): value for rows, value in by_rows.items()}
