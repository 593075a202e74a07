"""How accuracy falls as filters of a layer or a residual block go, and the ratios this suggests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from tfcompress._backend import bridge as _keras
from tfcompress._backend.channels import _plan as _filters
from tfcompress._backend.graph._calls import trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis._blocks import blocks_of
from tfcompress.analysis._metric import Measurement, Metric
from tfcompress.core import RecipeError
from tfcompress.core._types import ArrayLike, Data, Layer, Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Groups = Mapping[str, list[_filters.Group]]


@dataclass(frozen=True)
class FilterCurves:
    """What `filter_sensitivity` measured.

    curves: name → {ratio: metric}; layers: name → the layers whose filters go together; base: the
    whole model's metric; n: the number of rows it was measured on.
    """

    curves: Mapping[str, Mapping[float, float]]
    layers: Mapping[str, tuple[str, ...]]
    base: float
    metric: str
    n: int

    def __getitem__(self, name: str) -> Mapping[float, float]:
        return self.curves[name]

    def plot(
        self, max_drop: float | None = None, *, path: str | PathLike[str] | None = None
    ) -> Figure:
        """A Matplotlib figure: a curve a name, the whole model's metric, what `max_drop` allows.

        `path` saves it, in the format of its ending.
        """
        from tfcompress.analysis._plot import draw_curves

        return draw_curves(self, max_drop, path)


def filter_sensitivity(
    model: Model,
    data: tuple[Data, Data],
    ratios: Sequence[float] = RATIOS,
    by: str = "layer",
    layers: Iterable[str] | None = None,
    *,
    importance: str | Callable[[Layer], ArrayLike] = "l1",
    metric: Metric = "accuracy",
    batch_size: int = 64,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> FilterCurves:
    """`metric` with the least important filters of one layer gone, all others whole, untrained.

    The model computes what `PruneFilters` would leave, by weights that are zero; `model` itself is
    left as it is. Source: Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017
    (arXiv:1608.08710), figure 2.

    Args:
        model: A Sequential or Functional model of either Keras.
        data: (x, y).
        ratios: Shares of the filters in [0, 1) that go.
        by: "layer": a layer, or the layers whose filters can only go together (joined by sums),
            named `a + b`. "block": all filters inside one residual block, from one sum to the
            next, named after its Add; filters that several blocks share stay.
        layers: Names of curves to measure; None takes all.
        importance: As in PruneFilters: "l1", "l2", "bn_gamma" or a function.
        metric, batch_size: As in `sensitivity`.
        progress: As in `compress`.

    Raises:
        ModelError: A model without a graph.
        DataError: Inputs or labels that do not fit, or a metric that is not finite.
        RecipeError: A ratio outside [0, 1), an unknown name, or nothing that can go.
    """
    _require_options(ratios, by, importance)
    copy = _keras.clone(model)
    plan = _whole_plan(copy, importance)
    graph = trace_calls(copy)
    groups = _named(plan.groups, blocks_of(graph) if by == "block" else None)
    chosen = _chosen(groups, layers)
    measured = Measurement(graph, data, metric, batch_size)
    curves: dict[str, dict[float, float]] = {name: {} for name in chosen}
    title = f"sensitivity of filters by {by}"
    with reporter(progress, total=len(chosen) * len(ratios) + 1, title=title) as step:
        step("whole model")
        base = measured()
        for name in chosen:
            for ratio in sorted(ratios):
                step(f"{name}: {ratio:.0%}")
                with _filters.silenced(plan.channels, plan.smallest(groups[name], ratio)):
                    curves[name][float(ratio)] = measured()
    members = {name: tuple(_names(groups[name])) for name in chosen}
    return FilterCurves(curves, members, base, measured.name, measured.rows)


def _whole_plan(model: Model, importance: str | Callable[[Layer], ArrayLike]) -> _filters.Plan:
    """Which filters can go together and how important they are; none of them goes yet."""
    return _filters.plan(
        model,
        importance=importance,
        ratio=0.0,
        scope="layer",
        round_to=1,
        target_macs=None,
        target_params=None,
        only=None,
        skip=None,
    )


def suggest_ratios(
    sensitivity: FilterCurves, max_drop: float = 0.02, largest: float = 1.0
) -> dict[str, float]:
    """Layer → ratio for `PruneFilters`: the largest up to which no ratio loses too much.

    Each curve is of one layer or block alone; together they lose more, so fine-tune. Layers that
    bear nothing are left out.

    Args:
        sensitivity: What `filter_sensitivity` measured.
        max_drop: What the metric may lose, 0 or more.
        largest: No ratio is above it.

    Raises:
        RecipeError: A negative `max_drop`, or `largest` outside [0, 1].
    """
    require_max_drop(max_drop)
    if not 0 <= largest <= 1:
        raise RecipeError(f"largest={largest}: expected a share in [0, 1].")
    ratios: dict[str, float] = {}
    for name, curve in sensitivity.curves.items():
        best = 0.0
        for ratio in sorted(curve):
            if sensitivity.base - curve[ratio] > max_drop + 1e-12 or ratio > largest:
                break
            best = ratio
        if best > 0:
            ratios.update(dict.fromkeys(sensitivity.layers[name], best))
    return ratios


def require_max_drop(max_drop: float) -> None:
    """RecipeError unless `max_drop` is a number of 0 or more; for checks before measuring."""
    if not max_drop >= 0:
        raise RecipeError(f"max_drop={max_drop}: expected the metric that may be lost, 0 or more.")


def _require_options(ratios: Sequence[float], by: str, importance: object) -> None:
    if not ratios or any(not 0 <= ratio < 1 for ratio in ratios):
        raise RecipeError(f"ratios={tuple(ratios)}: expected shares in [0, 1).")
    if by not in ("layer", "block"):
        raise RecipeError(f"by={by!r}: expected 'layer' or 'block'.")
    if importance == "taylor":
        raise RecipeError(
            "importance='taylor' is recorded while a model trains; "
            "here choose 'l1', 'l2', 'bn_gamma' or a function."
        )


def _chosen(groups: Groups, layers: Iterable[str] | None) -> list[str]:
    """The names asked for, or all; RecipeError for one that there is not."""
    chosen = list(groups) if layers is None else list(layers)
    for name in chosen:
        if name not in groups:
            raise RecipeError(f"layers names {name!r}; filters can go from {', '.join(groups)}.")
    return chosen


def _named(
    groups: Sequence[_filters.Group], blocks: Mapping[str, str] | None
) -> dict[str, list[_filters.Group]]:
    """Name → its groups: each alone, or all of one block; one that lies in several is in none."""
    named: dict[str, list[_filters.Group]] = {}
    for group in groups:
        names = _names([group])
        if blocks is None:
            named[" + ".join(names)] = [group]
            continue
        homes = {blocks.get(name, "") for name in names}
        if len(homes) == 1 and (home := homes.pop()):
            named.setdefault(home, []).append(group)
    if not named:
        raise RecipeError("No residual block has filters of its own that can go; take by='layer'.")
    return named


def _names(groups: Iterable[_filters.Group]) -> list[str]:
    return [layer.name for group in groups for layer in group.layers]
