"""How accuracy falls as filters of one layer, or of one residual block, are removed, and the ratios that this suggests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.graph._calls import trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis._blocks import blocks_of
from tfcompress.analysis._sensitivity import measurement
from tfcompress.core import RecipeError

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class FilterCurves:
    """`curves`: name → {ratio: metric}; `layers`: name → the layers whose filters go together; `base`: the whole model's metric."""

    curves: Mapping[str, Mapping[float, float]]
    layers: Mapping[str, tuple[str, ...]]
    base: float
    metric: str
    n: int

    def __getitem__(self, name: str) -> Mapping[float, float]:
        return self.curves[name]

    def plot(self, max_drop: float | None = None, *, path: Any = None) -> Any:
        """A Matplotlib figure: one curve a name, the whole model's metric and what `max_drop` allows; `path` saves it."""
        from tfcompress.analysis._plot import draw_curves

        return draw_curves(self, max_drop, path)


def filter_sensitivity(
    model: Any,
    data: tuple[Any, Any],
    ratios: Sequence[float] = RATIOS,
    by: str = "layer",
    layers: Iterable[str] | None = None,
    *,
    importance: str | Callable[[Any], Any] = "l1",
    metric: str | Callable[[np.ndarray, Any], float] = "accuracy",
    batch_size: int = 64,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> FilterCurves:
    """`metric` on `data` = (x, y) with the least important `ratio` of one layer's filters gone, all others whole, untrained.

    by="layer": a layer, or the layers whose filters can only go together (joined by sums), named `a + b`. by="block": all filters
    made in one residual block, from one sum to the next, named after its Add; filters that several blocks share stay.
    The model computes what `PruneFilters` would leave, by weights that are zero; `model` itself is left as it is.
    `importance` as in PruneFilters ("l1", "l2", "bn_gamma" or a function); `metric` as in `sensitivity`.
    Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017 (arXiv:1608.08710), figure 2.

    Raises ModelError, DataError (rows that do not match), RecipeError (ratio outside [0, 1), unknown name, nothing removable).
    """
    if not ratios or any(not 0 <= ratio < 1 for ratio in ratios):
        raise RecipeError(f"ratios={tuple(ratios)}: expected shares in [0, 1).")
    if by not in ("layer", "block"):
        raise RecipeError(f"by={by!r}: expected 'layer' or 'block'.")
    if importance == "taylor":
        raise RecipeError(
            "importance='taylor' is recorded while a model trains; here choose 'l1', 'l2', 'bn_gamma' or a function."
        )
    copy = _keras.clone(model)
    plan = _filters.plan(
        copy,
        importance=importance,
        ratio=0.0,
        scope="layer",
        round_to=1,
        target_macs=None,
        target_params=None,
        only=None,
        skip=None,
    )
    graph = trace_calls(copy)
    named = _named(plan.groups, blocks_of(graph) if by == "block" else None)
    for name in layers or ():
        if name not in named:
            raise RecipeError(f"layers names {name!r}; filters can go from {', '.join(named)}.")
    chosen = list(named) if layers is None else list(layers)
    measured, count = measurement(graph, data, metric, batch_size)
    curves: dict[str, dict[float, float]] = {}
    with reporter(
        progress, total=len(chosen) * len(ratios) + 1, title=f"sensitivity of filters by {by}"
    ) as step:
        step("whole model")
        base = measured()
        for name in chosen:
            curves[name] = {}
            for ratio in sorted(ratios):
                step(f"{name}: {ratio:.0%}")
                with _filters.silenced(plan.channels, plan.smallest(named[name], ratio)):
                    curves[name][float(ratio)] = measured()
    members = {
        name: tuple(layer.name for group in named[name] for layer in group.layers)
        for name in chosen
    }
    what = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
    return FilterCurves(curves, members, base, what, count)


def suggest_ratios(
    sensitivity: FilterCurves, max_drop: float = 0.02, largest: float = 1.0
) -> dict[str, float]:
    """Layer → ratio for `PruneFilters`: the largest measured one up to which no ratio loses more than `max_drop` of the metric.

    Each curve is of one layer or block alone; together they lose more, so fine-tune. Layers that bear nothing are left out;
    no ratio is above `largest`. Raises RecipeError for a negative `max_drop`.
    """
    if max_drop < 0:
        raise RecipeError(f"max_drop={max_drop}: expected the metric that may be lost, 0 or more.")
    found: dict[str, float] = {}
    for name, curve in sensitivity.curves.items():
        best = 0.0
        for ratio in sorted(curve):
            if sensitivity.base - curve[ratio] > max_drop + 1e-12 or ratio > largest:
                break
            best = ratio
        if best > 0:
            found.update(dict.fromkeys(sensitivity.layers[name], best))
    return found


def _named(
    groups: Sequence[_filters.Group], blocks: Mapping[str, str] | None
) -> dict[str, list[_filters.Group]]:
    """Name → its groups: each alone, or all of one block; a group that lies in several blocks is in none."""
    named: dict[str, list[_filters.Group]] = {}
    for group in groups:
        names = [layer.name for layer in group.layers]
        if blocks is None:
            named[" + ".join(names)] = [group]
            continue
        homes = {blocks.get(name, "") for name in names}
        if len(homes) == 1 and (home := homes.pop()):
            named.setdefault(home, []).append(group)
    if not named:
        raise RecipeError("No residual block has filters of its own that can go; take by='layer'.")
    return named
