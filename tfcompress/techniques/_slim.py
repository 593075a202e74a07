"""Network slimming: BatchNormalization scales are trained towards zero, and the channels behind the smallest are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import narrow
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._select import check_selector


@dataclass(frozen=True, eq=False)
class Slim(Technique):
    """Trains with λ·Σ|γ| on BatchNormalization scales added to the loss, then removes the `ratio` of channels with the smallest |γ|.

    λ is `l1`; instead of a ratio, `target_macs` in (0, 1) is the share of multiply-accumulates that may remain. One threshold holds
    for the whole network; channels that must go together (residual sums) share the sum of their |γ|.
    Channels without a BatchNormalization behind them stay. What is left of a group is never empty, and a multiple of `round_to`
    where it was at least that. Fine-tune afterwards: a recipe goes on with FineTune() or with a technique that trains.
    Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017 (arXiv:1708.06519).

    Raises RecipeError for a ratio outside [0, 1), a negative λ, an unknown layer, or a model without BatchNormalization scales.
    """

    ratio: float | None = None
    l1: float = 1e-4
    round_to: int = 1
    target_macs: float | None = None
    only: str | Sequence[str] | Callable | None = None
    skip: str | Sequence[str] | Callable | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.REQUIRED

    def __post_init__(self):
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

    def apply(self, model: Any) -> Any:
        """A copy of `model` whose BatchNormalization scales are penalised, compiled as it is."""
        self._plan(model, budget=False)

        def penalise(layer: Any, config: dict) -> None:
            if _scaled(layer) and not config["gamma_regularizer"]:
                config["gamma_regularizer"] = {"class_name": "L1", "config": {"l1": self.l1}}

        new = narrow(model, analyse(model), edit=penalise)
        _keras.carry_compile(model, new, learns_anew=True)
        return new

    def strip(self, model: Any) -> Any:
        """The model without the channels whose |γ| is below the threshold, and without the penalty."""

        def relieve(layer: Any, config: dict) -> None:
            regularizer = config.get("gamma_regularizer")
            if (
                _scaled(layer)
                and regularizer
                and abs(regularizer["config"].get("l1", -1) - self.l1) <= 1e-6 * self.l1
            ):
                config["gamma_regularizer"] = None

        plan = self._plan(model)
        new = narrow(model, plan.channels, plan.removed, edit=relieve)
        _keras.carry_compile(model, new, removes=True)
        return new

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers whose channels all stay: no scale behind them, coupled to something that cannot be followed, or not selected."""
        return tuple(
            Skipped(layer, kind, self.label, reason)
            for layer, kind, reason in self._plan(model, budget=False).kept_whole()
        )

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """No layer is empty, and the removed share of the channels that could go is `ratio` or less; `value` is the share that remains."""
        kept, had = (
            sum(len(ids) for ids in analyse(model).made.values()) for model in (after, before)
        )
        if kept > had or ((self.ratio or 0) > 0.05 and kept == had and self.round_to == 1):
            raise InvariantError(
                f"{self.label}: {kept:,} of {had:,} channels are left, expected fewer."
            )
        return (Check(self.label, "share of the channels that remains", kept / had, 1.0),)

    def _plan(self, model: Any, budget: bool = True) -> Any:
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


def _scaled(layer: Any) -> bool:
    return type(layer).__name__ == "BatchNormalization" and layer.scale
