"""Significance with a picture: the scores of a network's layers, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from tfcompress.core import DataError, Significance

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LayerScores(Significance):
    """What `significance` and `sensitivity` return: a Significance that can be drawn.

    Raises DataError for a score that is not finite.
    """

    def __post_init__(self) -> None:
        require_finite(self.scores)

    def plot(
        self, threshold: float | None = None, *, path: str | PathLike[str] | None = None
    ) -> Figure:
        """A Matplotlib figure: what was measured by layer, and the scores.

        With `threshold`, the layers above it are marked. Dimensions by PCA add the cumulative
        variance by component. `path` saves it, in the format of its ending.
        """
        from tfcompress.analysis._plot import draw

        return draw(self, threshold, path)

    def significant(self, threshold: float) -> list[str]:
        """The layers whose score exceeds `threshold`, in the order of the network."""
        return [layer for layer, score in self.scores.items() if score > threshold]


def require_finite(scores: Mapping[str, float]) -> None:
    """DataError for the first score that is NaN or infinite: nothing may be decided by it."""
    for layer, score in scores.items():
        if not math.isfinite(score):
            raise DataError(
                f"The score of {layer!r} is {score}: expected a finite number; "
                "look at the layer's weights and outputs."
            )
