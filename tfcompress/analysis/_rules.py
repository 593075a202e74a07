"""Choices made by significance when a recipe runs: bits by layer, and which layers are significant or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress.analysis._bits import FLOAT, allocate_bits
from tfcompress.analysis._scores import LayerScores
from tfcompress.analysis._significance import significance
from tfcompress.analysis.dimension._estimator import Estimator
from tfcompress.analysis.dimension._pca import PCADimension
from tfcompress.analysis.dimension._two_nn import TwoNN
from tfcompress.core import RecipeError, Rule

TWO_NN = TwoNN()
LABELS = {TwoNN: "twonn", PCADimension: "pca"}


@dataclass(frozen=True, eq=False)
class _BySignificance(Rule):
    by: Estimator = TWO_NN
    view: str = "flatten"
    rule: str = "change"
    inputs: int = 2000

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.by, Estimator):
            raise RecipeError(
                f"{type(self).__name__}(by={self.by!r}): a rule is data, so it takes TwoNN() or PCADimension()."
            )
        if self.view not in ("flatten", "channels") or self.rule not in ("change", "rise"):
            raise RecipeError(
                f"view={self.view!r}, rule={self.rule!r}: view is 'flatten' or 'channels', rule is 'change' or 'rise'."
            )
        if isinstance(self.inputs, bool) or not isinstance(self.inputs, int) or self.inputs < 100:
            raise RecipeError(
                f"inputs={self.inputs!r}: a dimension needs at least 100 inputs, better 2,000."
            )

    @property
    def label(self) -> str:
        """`twonn` or `pca`."""
        return LABELS.get(type(self.by), type(self.by).__name__.lower())

    def scores(self, model: Any, x: Any) -> LayerScores:
        """The significance that decides."""
        return significance(model, x, self.by, self.view, self.rule, progress=False)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class SignificanceBits(_BySignificance):
    """Bits by layer from `significance(model, x, by, view, rule)`: for MixedPrecision.

    Above `threshold`: `significant` bits, else `other`; first and last layers float (the thesis' rule). With `budget_bytes` or
    `mean_bits` instead: the optimum of `allocate_bits` among `choices`. Raises RecipeError as `allocate_bits` does.
    """

    threshold: float | None = None
    significant: int = 2
    other: int = 1
    budget_bytes: float | None = None
    mean_bits: float | None = None
    choices: Sequence[int] = (1, 2, 4, 8, FLOAT)

    def __post_init__(self):
        super().__post_init__()
        if (
            sum(value is not None for value in (self.threshold, self.budget_bytes, self.mean_bits))
            > 1
        ):
            raise RecipeError(
                "SignificanceBits: give one of threshold, budget_bytes and mean_bits."
            )

    @property
    def label(self) -> str:
        """`twonn-mixed21`; with a budget `twonn-mixed`."""
        budget = self.budget_bytes is not None or self.mean_bits is not None
        return f"{super().label}-mixed" + ("" if budget else f"{self.significant}{self.other}")

    def decide(self, model: Any, x: Any) -> dict[str, int]:
        """{layer: bits}."""
        scores = self.scores(model, x)
        if self.budget_bytes is not None or self.mean_bits is not None:
            return allocate_bits(
                scores,
                budget_bytes=self.budget_bytes,
                mean_bits=self.mean_bits,
                choices=self.choices,
            )
        return allocate_bits(scores, self.threshold, self.significant, self.other)


@dataclass(frozen=True, eq=False)
class SignificantLayers(_BySignificance):
    """Names of the layers whose significance is above `threshold` (`significant=False`: not above it), the first and last never.

    For `only=` and `skip=` of techniques. Raises RecipeError when there is no such layer; the message holds the scores.
    """

    threshold: float = 20.0
    significant: bool = True

    def decide(self, model: Any, x: Any) -> tuple[str, ...]:
        """The layers' names in the order of the network."""
        scores = self.scores(model, x)
        ends = scores.details["ends"]
        found = tuple(
            name
            for name, score in scores.scores.items()
            if name not in ends and (score > self.threshold) == self.significant
        )
        if not found:
            said = ", ".join(
                f"{name} {score:.1f}" for name, score in scores.scores.items() if name not in ends
            )
            side = "above" if self.significant else "at or below"
            raise RecipeError(
                f"No layer has a significance {side} {self.threshold:g} ({said}; first and last never count): move the threshold."
            )
        return found
