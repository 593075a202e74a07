"""Structured pruning: whole filters go, with all that depends on them: the network shrinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.channels._gates import hold_weights, step_by_step
from tfcompress._backend.channels._importance import IMPORTANCE
from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import cost as model_cost
from tfcompress._backend.tflite._stopwatch import Stopwatch
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._counts import is_count
from tfcompress.core._select import Selector, check_selector
from tfcompress.core._types import ArrayLike, Callback, Layer, Model

GOALS = ("target_macs", "target_params", "target_latency")


@dataclass(frozen=True, eq=False)
class PruneFilters(Technique):
    """Removes the least important filters of Dense, Conv and SeparableConv layers.

    What depends on them goes too. Filters that must go together (residual sums, depthwise
    convolutions, gates) share the sum of their importance. With kernel W and outputs a_c of filter
    c, its importance is

        l1        Σ|W_c|
        l2        √ΣW_c²
        bn_gamma  |γ_c| of the BatchNormalization behind it; without one it stays
        taylor    the mean over batches of (Σ a_c · ∂L/∂a_c)²

    Args:
        ratio: The share of the filters that goes; a mapping from layer name or regular expression
            to ratio sets it by layer. 0.3 where no target is given.
        importance: One of these words, or a function of the layer → [filters].
        scope: `ratio` of every group of joined "layer"s, or of all at once ("global"; all but γ are
            then divided by their group's mean).
        round_to: What is left of a group is a multiple of this where it was at least that, and
            never empty.
        target_macs, target_params: Instead of a ratio, the share of multiply-accumulates or
            parameters that may remain, (0, 1].
        target_latency: Likewise, of the time that a float32 file takes on this machine (batch 1,
            one thread), measured.
        batches: With "taylor" the trainer comes before the removal: for so many batches it only
            asks for gradients (weights stay), with None it trains to its end; fine-tuning is the
            next step's.
        through_norms: Let channels go that a LayerNormalization reads, although its statistics
            change with their number.
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer.

    One shot: a trainer fine-tunes what is left; `in_steps(n)` are n values to fine-tune between.

    Raises:
        RecipeError: for a ratio outside [0, 1), an unknown layer or importance, two goals at once,
            or a budget out of reach.
        ModelError: where an importance is NaN or infinite.

    Source: Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710;
    Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv:1906.10771;
    coupling after Fang et al., DepGraph, CVPR 2023.
    """

    ratio: float | Mapping[str, float] | None = None
    importance: str | Callable[[Layer], ArrayLike] = "l1"
    scope: str = "layer"
    round_to: int = 1
    target_macs: float | None = None
    target_params: float | None = None
    target_latency: float | None = None
    batches: int | None = 50
    through_norms: bool = False
    only: Selector | None = None
    skip: Selector | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in ("ratio", *GOALS)):
            object.__setattr__(self, "ratio", 0.3)
        super().__post_init__()
        self._check_goals()
        if not callable(self.importance) and self.importance not in IMPORTANCE:
            raise RecipeError(
                f"PruneFilters(importance={self.importance!r}): "
                f"expected {', '.join(IMPORTANCE)} or a function."
            )
        if self.scope not in ("layer", "global"):
            raise RecipeError(f"PruneFilters(scope={self.scope!r}): expected 'layer' or 'global'.")
        if self.round_to < 1:
            raise RecipeError(f"PruneFilters(round_to={self.round_to}): expected at least 1.")
        if self.batches is not None and not is_count(self.batches):
            raise RecipeError(
                f"PruneFilters(batches={self.batches!r}): "
                "expected a whole number of at least 1, or None."
            )
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def _check_goals(self) -> None:
        """RecipeError for two goals at once, or one out of range."""
        given = [name for name in ("ratio", *GOALS) if getattr(self, name) is not None]
        if len(given) > 1:
            raise RecipeError(
                f"PruneFilters takes one of ratio, {', '.join(GOALS)}, got {', '.join(given)}."
            )
        ratios = self.ratio.values() if isinstance(self.ratio, Mapping) else [self.ratio]
        for ratio in ratios:
            if ratio is not None and not 0 <= ratio < 1:
                raise RecipeError(f"PruneFilters(ratio={ratio}): expected a share in [0, 1).")
        for name in GOALS:
            target = getattr(self, name)
            if target is not None and not 0 < target <= 1:
                raise RecipeError(
                    f"PruneFilters({name}={target}): the share to remain must be in (0, 1]."
                )

    @property
    def _watches(self) -> bool:
        """Whether gates record the importance while a trainer runs."""
        return self.importance == "taylor"

    @property
    def training(self) -> Training:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Needed where the importance is gradients'; else it fine-tunes what is left."""
        return Training.REQUIRED if self._watches else Training.OPTIONAL

    def in_steps(self, count: int) -> tuple[PruneFilters, ...]:
        """`count` values that together remove what this one does, each the same share of the rest.

        A ratio r becomes 1 − (1 − r)^(1/n), a budget t becomes t^(1/n). With "taylor" all but the
        first record while the trainer fine-tunes what the step before left. Write
        `Recipe([*PruneFilters(target_macs=0.5).in_steps(3), …], target)`.
        """
        if count < 1:
            raise RecipeError(f"in_steps({count}): expected at least 1.")
        first = replace(self, **self._goal_of_one_step(count))
        later = replace(first, batches=None) if self._watches else first
        return (first, *[later] * (count - 1))

    def _goal_of_one_step(self, count: int) -> dict[str, float | dict[str, float]]:
        """The option that holds the goal, with its value for one of `count` steps."""
        for name in GOALS:
            target = getattr(self, name)
            if target is not None:
                return {name: target ** (1 / count)}
        if isinstance(self.ratio, Mapping):
            return {"ratio": {key: _one_step(value, count) for key, value in self.ratio.items()}}
        return {"ratio": _one_step(self.ratio or 0, count)}

    def apply(self, model: Model) -> Model:
        """A narrower model with the layer names of `model`, compiled as it is.

        Nested models are laid flat. With "taylor" the model keeps its width and has gates that
        record the importance; `strip` narrows it.
        """
        plan = self._plan(model, budget=not self._watches)
        new = _filters.watch(model, self.through_norms) if self._watches else plan.make()
        _keras.carry_compile(model, new, removes=not self._watches, whole=model)
        if self.callbacks():
            step_by_step(new)
        return new

    def callbacks(self) -> list[Callback]:
        """With "taylor", what keeps the weights and ends the training after `batches` batches."""
        return [hold_weights(self.batches)] if self._watches and self.batches else []

    def strip(self, model: Model) -> Model:
        """With "taylor", the narrower model; else `model`, which is it already."""
        if not self._watches:
            return model
        narrower = self._plan(model, recorded=True).make()
        _keras.carry_compile(model, narrower, removes=True)
        return narrower

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Layers whose filters all stay: coupled to what cannot be followed, or is left out.

        Those that a threshold over all layers would have emptied too, where that is known before
        training and measuring.
        """
        plan = self._plan(model, budget=not self._watches and self.target_latency is None)
        return tuple(
            Skipped(layer, kind, self.label, reason) for layer, kind, reason in plan.kept_whole()
        )

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """No more multiply-accumulates and parameters than allowed; `value` is the share of MACs.

        Raises InvariantError where a budget is not met or parameters are not as computed.
        """
        had_params, had_macs = model_cost(analyse(before))
        params, macs = model_cost(analyse(after))
        if after.count_params() != params or params > had_params:
            raise InvariantError(
                f"{self.label}: {after.count_params():,} parameters, "
                f"computed {params:,}, before {had_params:,}."
            )
        shares = {
            "target_macs": macs / max(had_macs, 1),
            "target_params": params / max(had_params, 1),
        }
        for name, share in shares.items():
            goal = getattr(self, name)
            if goal is not None and share > goal:
                raise InvariantError(f"{self.label}: {share:.1%} remain, {name}={goal}.")
        what = "share of the multiply-accumulates that remains"
        return (Check(self.label, what, shares["target_macs"], self.target_macs or 1.0),)

    def _plan(self, model: Model, budget: bool = True, recorded: bool = False) -> _filters.Plan:
        """What goes; without `budget` nothing does, and only what could is looked for."""
        _keras.require_graph(model)
        return _filters.plan(
            model,
            importance="l1" if self._watches and not recorded else self.importance,
            ratio=self.ratio if budget or isinstance(self.ratio, Mapping) else None,
            scope=self.scope,
            round_to=self.round_to,
            target_macs=self.target_macs if budget else None,
            target_params=self.target_params if budget else None,
            target_latency=self.target_latency if budget else None,
            only=self.only,
            skip=self.skip,
            through_norms=self.through_norms,
            stopwatch=Stopwatch,
        )

    @property
    def label(self) -> str:
        """`filters30` for a ratio of 0.3; `macs50`, `params50` and `latency50` for what may remain.

        Then `taylor` with that importance.
        """
        suffix = "taylor" if self._watches else ""
        for name in GOALS:
            target = getattr(self, name)
            if target is not None:
                return f"{name.removeprefix('target_')}{round(100 * target)}{suffix}"
        if isinstance(self.ratio, Mapping):
            return f"filters{suffix}"
        return f"filters{round(100 * float(self.ratio or 0))}{suffix}"


def _one_step(ratio: float, count: int) -> float:
    """The ratio that, applied `count` times to what is left, removes `ratio` in all."""
    return 1 - (1 - ratio) ** (1 / count)
