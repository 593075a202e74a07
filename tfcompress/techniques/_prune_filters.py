"""Structured pruning: whole filters are removed, with everything that depends on them, so that the network really shrinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.channels._gates import hold_weights, step_by_step
from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import cost as model_cost
from tfcompress._backend.tflite._stopwatch import Stopwatch
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._select import check_selector

GOALS = ("target_macs", "target_params", "target_latency")


@dataclass(frozen=True, eq=False)
class PruneFilters(Technique):
    """Removes the least important filters of Dense, Conv and SeparableConv layers and what depends on them.

    Filter c of a layer with kernel W has importance Σ|W_c| ("l1"), √ΣW_c² ("l2"), |γ_c| of the BatchNormalization behind it
    ("bn_gamma"), Σ_batches (Σ a_c·∂L/∂a_c)² of its outputs a_c ("taylor"), or what a function of the layer says, [filters];
    filters that must go together (residual sums, depthwise convolutions, gates) share the sum over their members.
    `ratio` of the filters goes: of every group of joined layers (`scope="layer"`) or of all at once ("global"; all but γ are then
    divided by their group's mean); a mapping from layer name or regular expression to ratio sets it by layer. Instead,
    `target_macs` or `target_params` in (0, 1) is the share of multiply-accumulates or parameters that may remain, `target_latency`
    that of the time a float32 file takes on this machine (batch 1, one thread), measured.
    Channels that a LayerNormalization reads stay, as its statistics would change with their number; `through_norms` lets them go too.
    What is left of a group is a multiple of `round_to` where it was at least that, and never empty. One shot: a trainer fine-tunes
    what is left; `in_steps(n)` are n values to fine-tune between. With "taylor" the trainer comes before the removal: for `batches`
    batches it only asks for gradients (weights stay), with None it trains to its end; fine-tuning is the next step's.
    Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017 (arXiv:1608.08710); Molchanov et al., Importance Estimation for
    Neural Network Pruning, CVPR 2019 (arXiv:1906.10771); coupling after Fang et al., DepGraph, CVPR 2023.

    Raises RecipeError for a ratio outside [0, 1), an unknown layer or importance, two goals at once, or a budget out of reach.
    """

    ratio: float | Mapping[str, float] | None = None
    importance: str | Callable[[Any], Any] = "l1"
    scope: str = "layer"
    round_to: int = 1
    target_macs: float | None = None
    target_params: float | None = None
    target_latency: float | None = None
    batches: int | None = 50
    through_norms: bool = False
    only: str | Sequence[str] | Callable | None = None
    skip: str | Sequence[str] | Callable | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE

    def __post_init__(self):
        if all(getattr(self, name) is None for name in ("ratio", *GOALS)):
            object.__setattr__(self, "ratio", 0.3)
        super().__post_init__()
        goals = [name for name in ("ratio", *GOALS) if getattr(self, name) is not None]
        if len(goals) > 1:
            raise RecipeError(
                f"PruneFilters takes one of ratio, {', '.join(GOALS)}, got {', '.join(goals)}."
            )
        ratios = (
            self.ratio.values()
            if isinstance(self.ratio, Mapping)
            else []
            if self.ratio is None
            else [self.ratio]
        )
        for ratio in ratios:
            if not 0 <= ratio < 1:
                raise RecipeError(
                    f"PruneFilters(ratio={ratio}): the share of filters to remove must be in [0, 1)."
                )
        for name in GOALS:
            if getattr(self, name) is not None and not 0 < getattr(self, name) <= 1:
                raise RecipeError(
                    f"PruneFilters({name}={getattr(self, name)}): the share to remain must be in (0, 1]."
                )
        if not callable(self.importance) and self.importance not in _filters.IMPORTANCE:
            raise RecipeError(
                f"PruneFilters(importance={self.importance!r}): expected {', '.join(_filters.IMPORTANCE)} or a function."
            )
        if self.scope not in ("layer", "global"):
            raise RecipeError(f"PruneFilters(scope={self.scope!r}): expected 'layer' or 'global'.")
        if self.round_to < 1:
            raise RecipeError(
                f"PruneFilters(round_to={self.round_to}): expected a positive number of filters."
            )
        if self.batches is not None and (
            isinstance(self.batches, bool) or not isinstance(self.batches, int) or self.batches < 1
        ):
            raise RecipeError(
                f"PruneFilters(batches={self.batches!r}): expected a whole number of at least 1, or None."
            )
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    @property
    def training(self) -> Training:
        """Needed where the importance is gradients'; else it fine-tunes what is left."""
        return Training.REQUIRED if self._watches else Training.OPTIONAL

    def in_steps(self, count: int) -> tuple[PruneFilters, ...]:
        """`count` values that together remove what this one does: each the same share of what the one before left.

        A ratio r becomes 1 − (1 − r)^(1/n), a budget t becomes t^(1/n). With "taylor" all but the first record while the trainer
        fine-tunes what the step before left. Write `Recipe([*PruneFilters(target_macs=0.5).in_steps(3), …], target)`.
        """
        if count < 1:
            raise RecipeError(f"in_steps({count}): expected at least 1.")
        goal = next(name for name in ("ratio", *GOALS) if getattr(self, name) is not None)
        value: Any = getattr(self, goal)
        if isinstance(value, Mapping):
            value = {key: 1 - (1 - ratio) ** (1 / count) for key, ratio in value.items()}
        else:
            value = 1 - (1 - value) ** (1 / count) if goal == "ratio" else value ** (1 / count)
        first: Any = replace(self, **{goal: value})
        return (
            first,
            *(replace(first, batches=None) if self._watches else first for _ in range(count - 1)),
        )

    def apply(self, model: Any) -> Any:
        """A narrower model with the layer names of `model`, compiled as it is; nested models are inlined.

        With "taylor" a model of the same width with gates that record the importance, which `strip` narrows.
        """
        plan = self._plan(model, budget=not self._watches)
        new = _filters.watch(model, self.through_norms) if self._watches else plan.make()
        _keras.carry_compile(model, new, removes=not self._watches)
        if self.callbacks():
            step_by_step(new)
        return new

    def callbacks(self) -> list:
        """With "taylor", what keeps the weights and ends the training after `batches` batches."""
        return [hold_weights(self.batches)] if self._watches and self.batches else []

    def strip(self, model: Any) -> Any:
        """With "taylor", the narrower model; else `model`, which is it already."""
        if not self._watches:
            return model
        new = self._plan(model, recorded=True).make()
        _keras.carry_compile(model, new, removes=True)
        return new

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers whose filters all stay: coupled to something that cannot be followed or is left out; and those that a threshold
        over all layers would have emptied, where that is known before training and measuring."""
        plan = self._plan(model, budget=not self._watches and self.target_latency is None)
        return tuple(
            Skipped(layer, kind, self.label, reason) for layer, kind, reason in plan.kept_whole()
        )

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """No more multiply-accumulates and parameters than computed or allowed; `value` is the share of MACs that remains."""
        (had_params, had_macs), (params, macs) = (
            model_cost(analyse(model)) for model in (before, after)
        )
        if after.count_params() != params or params > had_params:
            raise InvariantError(
                f"{self.label}: {after.count_params():,} parameters, computed {params:,}, before {had_params:,}."
            )
        for name, share in (
            ("target_macs", macs / max(had_macs, 1)),
            ("target_params", params / max(had_params, 1)),
        ):
            if (goal := getattr(self, name)) is not None and share > goal:
                raise InvariantError(f"{self.label}: {share:.1%} remain, {name}={goal}.")
        return (
            Check(
                self.label,
                "share of the multiply-accumulates that remains",
                macs / max(had_macs, 1),
                self.target_macs or 1.0,
            ),
        )

    def _plan(self, model: Any, budget: bool = True, recorded: bool = False) -> Any:
        """What goes; without `budget` nothing does, and only what could is looked for."""
        _keras.require_graph(model)
        goals = {name: getattr(self, name) if budget else None for name in GOALS}
        ratio = self.ratio if budget or isinstance(self.ratio, Mapping) else None
        importance = "l1" if self._watches and not recorded else self.importance
        options = {
            "scope": self.scope,
            "round_to": self.round_to,
            "only": self.only,
            "skip": self.skip,
        }
        options["through_norms"] = self.through_norms
        return _filters.plan(
            model, importance=importance, ratio=ratio, stopwatch=Stopwatch, **goals, **options
        )

    @property
    def _watches(self) -> bool:
        return self.importance == "taylor"

    @property
    def label(self) -> str:
        """`filters30` for a ratio of 0.3, `macs50`, `params50` and `latency50` for what may remain; then `taylor` with that importance."""
        after = "taylor" if self._watches else ""
        for name in GOALS:
            if getattr(self, name) is not None:
                return f"{name.removeprefix('target_')}{round(100 * getattr(self, name))}{after}"
        return f"filters{'' if isinstance(self.ratio, Mapping) else round(100 * float(self.ratio or 0))}{after}"
