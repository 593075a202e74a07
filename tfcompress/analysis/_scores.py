"""Significance with a picture: the scores of a network's layers, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfcompress.core import Significance


@dataclass(frozen=True)
class LayerScores(Significance):
    """What `significance` and `sensitivity` return: a Significance that can be drawn."""

    def plot(self, threshold: float | None = None, *, path: Any = None) -> Any:
        """A Matplotlib figure: what was measured by layer, the scores with `threshold` and the layers above it marked.

        Dimensions by PCA add the cumulative variance by component. `path` saves it (format by its ending).
        """
        from tfcompress.analysis._plot import draw

        return draw(self, threshold, path)

    def significant(self, threshold: float) -> list[str]:
        """The layers whose score exceeds `threshold`, in the order of the network."""
        return [layer for layer, score in self.scores.items() if score > threshold]
