"""Network slimming: scales are trained towards zero, and the channels of the smallest removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import narrow
from tfcompress._backend.channels._scales import has_scale, is_penalised, scale_penalty
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._select import Selector, check_selector
from tfcompress.core._types import Layer, Model


@dataclass(frozen=True, eq=False)
class Slim(Technique):
    """Trains with λ·Σ|γ| added to the loss, then removes the channels with the smallest |γ|.

    γ are the scales of BatchNormalization. One threshold holds for the whole network; channels that
    must go together (residual sums) share the sum of their |γ|, and stay where one of them reaches
    the sum without a scale, as a shortcut's convolution may: no γ tells what it is worth.
    Fine-tune afterwards: a recipe goes on with `finetune` or with a technique that trains.

    Args:
        ratio: The share of the channels that may go which goes, in [0, 1); 0.5 where no target is.
        l1: λ. A BatchNormalization with a `gamma_regularizer` of the user's own keeps that.
        round_to: What is left of a group is a multiple of this where it was at least that, and
            never empty.
        target_macs: Instead of a ratio, the share of multiply-accumulates that may remain, (0, 1].
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer.

    Raises:
        RecipeError: for a ratio outside [0, 1), a negative λ, an unknown layer, or a model without
            a scale that tells what may go.
        ModelError: where a γ is NaN or infinite.

    Source: Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV
    2017, arXiv:1708.06519.
    """

    ratio: float | None = None
    l1: float = 1e-4
    round_to: int = 1
    target_macs: float | None = None
    only: Selector | None = None
    skip: Selector | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.REQUIRED

    def __post_init__(self) -> None:
        if self.ratio is None and self.target_macs is None:
            object.__setattr__(self, "ratio", 0.5)
        super().__post_init__()
        if self.ratio is not None and self.target_macs is not None:
            raise RecipeError("Slim takes one of ratio and target_macs, got both.")
        if self.target_macs is not None and not 0 < self.target_macs <= 1:
            raise RecipeError(
                f"Slim(target_macs={self.target_macs}): the share to remain must be in (0, 1]."
            )
        if self.ratio is not None and not 0 <= self.ratio < 1:
            raise RecipeError(
                f"Slim(ratio={self.ratio}): the share of channels to remove must be in [0, 1)."
            )
        if self.l1 < 0:
            raise RecipeError(f"Slim(l1={self.l1}): λ must not be negative.")
        if self.round_to < 1:
            raise RecipeError(
                f"Slim(round_to={self.round_to}): expected a positive number of channels."
            )
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def apply(self, model: Model) -> Model:
        """A copy of `model` whose BatchNormalization scales are penalised, compiled as it is."""
        self._plan(model, budget=False)
        penalty = scale_penalty(_keras.flavour(model), self.l1)

        def penalise(layer: Layer, config: dict[str, Any]) -> None:
            if has_scale(layer) and layer.gamma_regularizer is None:
                config["gamma_regularizer"] = penalty

        penalised = narrow(model, analyse(model), edit=penalise)
        _keras.carry_compile(model, penalised, learns_anew=True)
        return penalised

    def strip(self, model: Model) -> Model:
        """The model without the channels whose |γ| is below the threshold, and without penalty."""

        def relieve(layer: Layer, config: dict[str, Any]) -> None:
            if is_penalised(layer):
                config["gamma_regularizer"] = None

        plan = self._plan(model)
        slim = narrow(model, plan.channels, plan.removed, edit=relieve)
        _keras.carry_compile(model, slim, removes=True)
        return slim

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Layers whose channels all stay: without a scale, coupled to one without, not selected."""
        return tuple(
            Skipped(layer, kind, self.label, reason)
            for layer, kind, reason in self._plan(model, budget=False).kept_whole()
        )

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """No layer is empty, and channels are gone; `value` is the share of them that remains."""
        had, kept = (_channel_count(model) for model in (before, after))
        groups = self._plan(before, budget=False).groups
        asked = (self.ratio or 0) * sum(len(group.roots) for group in groups)
        # A threshold leaves at least one channel of each group.
        must_lose = self.round_to == 1 and asked >= len(groups) + 1
        if kept > had or (must_lose and kept == had):
            raise InvariantError(
                f"{self.label}: {kept:,} of {had:,} channels are left, expected fewer."
            )
        return (Check(self.label, "share of the channels that remains", kept / had, 1.0),)

    def _plan(self, model: Model, budget: bool = True) -> _filters.Plan:
        """What goes; without `budget` nothing does, and only what could is looked for."""
        _keras.require_graph(model)
        return _filters.plan(
            model,
            importance="bn_gamma",
            ratio=self.ratio if budget else None,
            scope="global",
            round_to=self.round_to,
            target_macs=self.target_macs if budget else None,
            target_params=None,
            only=self.only,
            skip=self.skip,
        )

    @property
    def label(self) -> str:
        """`slim70` for a ratio of 0.7; `slimmacs50` where half of the MACs may remain."""
        if self.target_macs is not None:
            return f"slimmacs{round(100 * self.target_macs)}"
        return f"slim{round(100 * float(self.ratio or 0))}"


def _channel_count(model: Model) -> int:
    """The channels that all layers of `model` make."""
    return sum(len(ids) for ids in analyse(model).own_labels.values())
