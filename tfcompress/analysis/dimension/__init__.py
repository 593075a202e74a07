"""Estimators of how many dimensions a layer's activations fill, and their names.

A new estimator is a file here, its test, and its import and its place in `ESTIMATORS` below.
"""

from __future__ import annotations

from typing import NamedTuple

from tfcompress.analysis.dimension._dimension import Dimension
from tfcompress.analysis.dimension._estimator import Estimator, ScoreRule, View
from tfcompress.analysis.dimension._pca import PCADimension
from tfcompress.analysis.dimension._two_nn import TwoNN
from tfcompress.core import RecipeError

__all__ = ["ESTIMATORS", "Dimension", "Estimator", "NamedEstimator", "by_name"]
__all__ += ["PCADimension", "TwoNN"]

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.word: estimator for estimator in (TwoNN, PCADimension)
}
"""Every estimator by its name."""


class NamedEstimator(NamedTuple):
    """What an estimator's name stands for: the estimator with the view and rule of its paper."""

    by: Estimator
    view: View
    rule: ScoreRule


def by_name(name: str) -> NamedEstimator:
    """What `name` stands for in recipes, commands, study files and `significance(by=name)`.

    "twonn": TwoNN of whole inputs, its change (the thesis'). "pca": components for 99 % of the
    variance of positions, their rise (Chakraborty et al. 2020). Raises RecipeError for others.
    """
    estimator = ESTIMATORS.get(name)
    if estimator is None:
        raise RecipeError(f"by={name!r} is no estimator: the names are {', '.join(ESTIMATORS)}.")
    return NamedEstimator(estimator(), estimator.view, estimator.rule)
