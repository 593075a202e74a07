"""Choices made by significance when a recipe runs: bits by layer, and which layers matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfcompress.analysis._bits import FLOAT, allocate_bits
from tfcompress.analysis._scores import LayerScores
from tfcompress.analysis._significance import require_view_and_rule, significance
from tfcompress.analysis.dimension import Estimator, TwoNN
from tfcompress.analysis.dimension._estimator import ScoreRule, View
from tfcompress.core import RecipeError, Rule
from tfcompress.core._types import Data, Model

TWO_NN = TwoNN()


@dataclass(frozen=True, eq=False)
class _BySignificance(Rule):
    """The options of `significance`; `SignificanceBits(*by_name("pca"))` takes a name's three."""

    by: Estimator = TWO_NN
    view: View = "flatten"
    rule: ScoreRule = "change"
    inputs: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.by, Estimator):
            raise RecipeError(
                f"{type(self).__name__}(by={self.by!r}): a rule is data, "
                "so it takes TwoNN() or another Estimator."
            )
        require_view_and_rule(self.view, self.rule)
        if isinstance(self.inputs, bool) or not isinstance(self.inputs, int) or self.inputs < 100:
            raise RecipeError(
                f"inputs={self.inputs!r}: a dimension needs at least 100 inputs, better 2,000."
            )

    @property
    def label(self) -> str:
        """The estimator's name: `twonn` or `pca`."""
        return self.by.word or type(self.by).__name__.lower()

    def scores(self, model: Model, x: Data) -> LayerScores:
        """The significance that decides."""
        return significance(model, x, self.by, self.view, self.rule, progress=False)


@dataclass(frozen=True, eq=False)
class SignificanceBits(_BySignificance):
    """Bits by layer from `significance(model, x, by, view, rule)`: for MixedPrecision.

    Above `threshold`: `significant` bits, else `other`; first and last layers float (the thesis'
    rule). With `budget_bytes` or `mean_bits` instead: the optimum of `allocate_bits` among
    `choices`. Raises RecipeError as `allocate_bits` does.
    """

    threshold: float | None = None
    significant: int = 2
    other: int = 1
    budget_bytes: float | None = None
    mean_bits: float | None = None
    choices: Sequence[int] = (1, 2, 4, 8, FLOAT)

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = (self.threshold, self.budget_bytes, self.mean_bits)
        if sum(limit is not None for limit in limits) > 1:
            raise RecipeError(
                "SignificanceBits: give one of threshold, budget_bytes and mean_bits."
            )

    @property
    def label(self) -> str:
        """`twonn-mixed21`; with a budget `twonn-mixed`."""
        bits = "" if self._has_budget else f"{self.significant}{self.other}"
        return f"{super().label}-mixed{bits}"

    def decide(self, model: Model, x: Data) -> dict[str, int]:
        """{layer: bits}."""
        scores = self.scores(model, x)
        if self._has_budget:
            return allocate_bits(
                scores,
                budget_bytes=self.budget_bytes,
                mean_bits=self.mean_bits,
                choices=self.choices,
            )
        return allocate_bits(scores, self.threshold, self.significant, self.other)

    @property
    def _has_budget(self) -> bool:
        return self.budget_bytes is not None or self.mean_bits is not None


@dataclass(frozen=True, eq=False)
class SignificantLayers(_BySignificance):
    """Names of the layers whose significance is above `threshold`; the first and last never.

    `significant=False`: those not above it. For `only=` and `skip=` of techniques. Raises
    RecipeError when there is no such layer; the message holds the scores.
    """

    threshold: float = 20.0
    significant: bool = True

    def decide(self, model: Model, x: Data) -> tuple[str, ...]:
        """The layers' names in the order of the network."""
        scores = self.scores(model, x)
        ends = scores.details["ends"]
        inner = {name: score for name, score in scores.scores.items() if name not in ends}
        chosen = tuple(
            name for name, score in inner.items() if (score > self.threshold) == self.significant
        )
        if not chosen:
            listed = ", ".join(f"{name} {score:.1f}" for name, score in inner.items())
            side = "above" if self.significant else "at or below"
            raise RecipeError(
                f"No layer has a significance {side} {self.threshold:g} "
                f"({listed}; first and last never count): move the threshold."
            )
        return chosen
