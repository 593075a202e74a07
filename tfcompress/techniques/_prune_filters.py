"""Structured pruning: whole filters are removed, with everything that depends on them, so that the network really shrinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend import filters as _filters
from tfcompress._backend import keras as _keras
from tfcompress._backend.select import check_selector
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training


@dataclass(frozen=True, eq=False)
class PruneFilters(Technique):
    """Removes the least important filters of Dense, Conv and SeparableConv layers and what depends on them.

    Filter c of a layer with kernel W has importance Σ|W_c| ("l1"), √ΣW_c² ("l2") or |γ_c| of the BatchNormalization behind it
    ("bn_gamma"); filters that must go together (residual sums, depthwise convolutions, gates) share the sum over their members.
    `ratio` of the filters goes: of every group of joined layers (`scope="layer"`) or of all at once ("global"; l1 and l2 are then
    divided by their group's mean); a mapping from layer name or regular expression to ratio sets it by layer. Instead,
    `target_macs` or `target_params` in (0, 1) is the share of multiply-accumulates or parameters that may remain.
    What is left of a group is a multiple of `round_to` where it was at least that, and never empty. One shot; a trainer fine-tunes.
    Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017 (arXiv:1608.08710); coupling after Fang et al., DepGraph, CVPR 2023.

    Raises RecipeError for a ratio outside [0, 1), an unknown layer or importance, two goals at once, or a budget out of reach.
    """

    ratio: float | Mapping[str, float] | None = None
    importance: str | Callable[[Any], Any] = "l1"
    scope: str = "layer"
    round_to: int = 1
    target_macs: float | None = None
    target_params: float | None = None
    only: str | Sequence[str] | Callable | None = None
    skip: str | Sequence[str] | Callable | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.OPTIONAL

    def __post_init__(self):
        if self.ratio is None and self.target_macs is None and self.target_params is None:
            object.__setattr__(self, "ratio", 0.3)
        super().__post_init__()
        goals = [name for name in ("ratio", "target_macs", "target_params") if getattr(self, name) is not None]
        if len(goals) > 1:
            raise RecipeError(f"PruneFilters takes one of ratio, target_macs and target_params, got {', '.join(goals)}.")
        ratios = self.ratio.values() if isinstance(self.ratio, Mapping) else [] if self.ratio is None else [self.ratio]
        for ratio in ratios:
            if not 0 <= ratio < 1:
                raise RecipeError(f"PruneFilters(ratio={ratio}): the share of filters to remove must be in [0, 1).")
        for name in ("target_macs", "target_params"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) <= 1:
                raise RecipeError(f"PruneFilters({name}={getattr(self, name)}): the share to remain must be in (0, 1].")
        if not callable(self.importance) and self.importance not in _filters.IMPORTANCE:
            raise RecipeError(f"PruneFilters(importance={self.importance!r}): expected {', '.join(_filters.IMPORTANCE)} or a function.")
        if self.scope not in ("layer", "global"):
            raise RecipeError(f"PruneFilters(scope={self.scope!r}): expected 'layer' or 'global'.")
        if self.round_to < 1:
            raise RecipeError(f"PruneFilters(round_to={self.round_to}): expected a positive number of filters.")
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def apply(self, model: Any) -> Any:
        """A narrower model with the layer names of `model`, compiled as it is; nested models are inlined."""
        plan = self._plan(model)
        new = plan.make()
        _keras.carry_compile(model, new)
        return new

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers whose filters all stay: coupled to something that cannot be followed, or not selected."""
        return tuple(Skipped(layer, kind, self.label, reason) for layer, kind, reason in self._plan(model).kept_whole())

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """Parameters of `after` are those the plan computed; `value` is the share of MACs that remains."""
        plan = self._plan(before)
        parameters, macs = plan.cost()
        if after.count_params() != parameters:
            raise InvariantError(f"{self.label}: the pruned model has {after.count_params():,} parameters, computed were {parameters:,}.")
        _, whole = plan.cost(removed=())
        return (Check(self.label, "share of the multiply-accumulates that remains", macs / max(whole, 1), 1.0),)

    def _plan(self, model: Any) -> Any:
        _keras.require_graph(model)
        return _filters.plan(
            model,
            importance=self.importance,
            ratio=self.ratio,
            scope=self.scope,
            round_to=self.round_to,
            target_macs=self.target_macs,
            target_params=self.target_params,
            only=self.only,
            skip=self.skip,
        )

    @property
    def label(self) -> str:
        """`filters30` for a ratio of 0.3, `macs50` and `params50` for what may remain."""
        for name in ("target_macs", "target_params"):
            if getattr(self, name) is not None:
                return f"{name.removeprefix('target_')}{round(100 * getattr(self, name))}"
        return "filters" if isinstance(self.ratio, Mapping) else f"filters{round(100 * float(self.ratio or 0))}"
