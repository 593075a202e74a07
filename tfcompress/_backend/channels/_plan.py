"""Which filters go: the plan that meets a ratio or a budget, by the importance of every channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tfcompress._backend.channels._choice import Choice, by_layer, globally, within_budget
from tfcompress._backend.channels._gates import tell_gates
from tfcompress._backend.channels._groups import Group, Whole, grouped
from tfcompress._backend.channels._importance import Importance, scores_of
from tfcompress._backend.channels._labels import Channels, analyse
from tfcompress._backend.channels._narrow import cost, narrow
from tfcompress._backend.channels._scales import has_scale, unscaled_makers
from tfcompress.core._errors import RecipeError
from tfcompress.core._select import Selector, select
from tfcompress.core._types import Model

BISECTIONS, LATENCY_BISECTIONS = 20, 6
EMPTIED = "the threshold would take all its filters; the most important ones stay"


class Stopwatch(Protocol):
    """Measures the share of the whole model's latency that another model takes."""

    def share(self, model: Model) -> float: ...


@dataclass
class Plan:
    """A model, its channels, the groups that may lose some, what goes and what stays whole."""

    model: Model
    channels: Channels
    groups: list[Group]
    whole: list[Whole]
    choice: Choice = field(default_factory=Choice)

    @property
    def removed(self) -> set[int]:
        """The root labels that go."""
        return self.choice.removed

    def make(self) -> Model:
        """The narrowed model, uncompiled."""
        return narrow(self.model, self.channels, self.removed)

    def cost(self, removed: Collection[int] | None = None) -> tuple[int, int]:
        """Parameters and MACs of one example with `removed` (default: the plan's) gone."""
        return cost(self.channels, self.removed if removed is None else removed)

    def smallest(self, groups: Collection[Group], ratio: float) -> set[int]:
        """The roots that go when `ratio` of each of these groups does."""
        return by_layer(list(groups), [ratio] * len(groups), 1).removed

    def kept_whole(self) -> list[Whole]:
        """The layers that lose nothing because they cannot or must not, or keep only a rest."""
        emptied = [layer for group in self.choice.emptied for layer in group.layers]
        return self.whole + [(layer.name, type(layer).__name__, EMPTIED) for layer in emptied]


def plan(
    model: Model,
    *,
    importance: Importance,
    ratio: float | Mapping[str, float] | None,
    scope: str,
    round_to: int,
    target_macs: float | None,
    target_params: float | None,
    target_latency: float | None = None,
    only: Selector | None,
    skip: Selector | None,
    through_norms: bool = False,
    stopwatch: Callable[[Model], Stopwatch] | None = None,
) -> Plan:
    """The plan for one model; without a ratio and a target nothing goes.

    Options are those of `PruneFilters`; `stopwatch(model)` measures for `target_latency`.

    Raises RecipeError for an unknown layer, nothing that can be pruned, or a budget out of reach;
    ModelError where an importance is not finite.
    """
    planned = _what_may_go(model, importance, only, skip, through_norms)
    choose = _chooser(planned.groups, scope, round_to, importance)
    goals = (target_macs, target_params, target_latency)
    if isinstance(ratio, Mapping):
        ratios = _ratios_by_group(planned, ratio)
        planned.choice = by_layer(planned.groups, ratios, round_to)
    elif ratio is not None:
        planned.choice = choose(ratio)
    elif any(goal is not None for goal in goals):
        remaining, goal = _measure(planned, *goals, stopwatch)
        steps = BISECTIONS if target_latency is None else LATENCY_BISECTIONS
        planned.choice = within_budget(goal, remaining, choose, steps)
    return planned


def _what_may_go(
    model: Model,
    importance: Importance,
    only: Selector | None,
    skip: Selector | None,
    through_norms: bool,
) -> Plan:
    """The plan by which nothing goes; RecipeError where nothing could."""
    channels = analyse(model, through_norms)
    chosen = select(list(channels.makers.values()), only, skip)
    scores = scores_of(channels, importance)
    if importance == "bn_gamma":
        scores = _governed(scores, model, channels)
    groups, whole = grouped(channels, scores, chosen)
    if not groups:
        reasons = "; ".join(f"{layer}: {reason}" for layer, _, reason in whole[:5])
        raise RecipeError(
            f"No channel of model {model.name!r} can be removed "
            f"({reasons or 'only its outputs are left'})."
        )
    return Plan(model, channels, groups, whole)


def _chooser(
    groups: list[Group], scope: str, round_to: int, importance: Importance
) -> Callable[[float], Choice]:
    """A function from a ratio to what goes, by layer or by one threshold for all."""

    def choose(ratio: float) -> Choice:
        if scope == "global":
            return globally(groups, ratio, round_to, by_mean=importance != "bn_gamma")
        return by_layer(groups, [ratio] * len(groups), round_to)

    return choose


def _governed(scores: dict[int, float], model: Model, channels: Channels) -> dict[int, float]:
    """The scores of the roots whose every channel passes a BatchNormalization scale."""
    ungoverned: set[int] = set()
    for key in unscaled_makers(model, channels):
        ungoverned.update(channels.roots(channels.own_labels[key]).tolist())
    return {root: score for root, score in scores.items() if root not in ungoverned}


def _ratios_by_group(planned: Plan, ratios: Mapping[str, float]) -> list[float]:
    """The ratio of every group: the largest that a name or expression gives to one of its layers.

    0 where none does. RecipeError for a name or expression that matches no layer.
    """
    makers = planned.channels.makers.values()
    for key in ratios:
        if not any(re.fullmatch(key, layer.name) for layer in makers):
            names = ", ".join(sorted(layer.name for layer in makers)[:12])
            raise RecipeError(f"ratio names {key!r}, which matches no layer; there are {names}, …")
    return [_ratio_of(group, ratios) for group in planned.groups]


def _ratio_of(group: Group, ratios: Mapping[str, float]) -> float:
    given = [0.0]
    for key, value in ratios.items():
        if any(re.fullmatch(key, layer.name) for layer in group.layers):
            given.append(value)
    return max(given)


def _measure(
    planned: Plan,
    macs: float | None,
    params: float | None,
    latency: float | None,
    stopwatch: Callable[[Model], Stopwatch] | None,
) -> tuple[Callable[[set[int]], float], float]:
    """A function from removed roots to the share that remains, and the share allowed."""
    if latency is not None and stopwatch is not None:
        watched = stopwatch(planned.model)
        model, channels = planned.model, planned.channels
        return lambda removed: watched.share(narrow(model, channels, removed)), latency
    which, goal = (1, macs) if params is None else (0, params)
    assert goal is not None  # one of the three is given, and latency comes with its stopwatch
    whole = max(planned.cost(())[which], 1)
    return lambda removed: planned.cost(removed)[which] / whole, goal


@contextmanager
def silenced(channels: Channels, removed: Collection[int]) -> Iterator[None]:
    """Inside, the model computes what it would without the `removed` roots.

    Every weight that touches them is zero.
    """
    layers = {id(site.layer): site.layer for site in channels.sites.values()}
    held = {key: layer.get_weights() for key, layer in layers.items()}
    try:
        silent = {key: list(map(np.array, weights)) for key, weights in held.items()}
        for site in channels.sites.values():
            gone = np.isin(channels.roots(site.ids), list(removed))
            silent[id(site.layer)][site.weight][(slice(None),) * site.axis + (gone,)] = 0
        for key, layer in layers.items():
            layer.set_weights(silent[key])
        yield
    finally:
        for key, layer in layers.items():
            layer.set_weights(held[key])


def watch(model: Model, through_norms: bool = False) -> Model:
    """A copy of `model`, uncompiled, with gates where a channel that may go is made or normalised.

    In front of a BatchNormalization in training mode a channel's scale makes no difference, so that
    its gate adds nothing there.
    """
    channels = analyse(model, through_norms)
    watched = set()
    for key, (_, given) in channels.shapes.items():
        tells = key in channels.own_labels or has_scale(channels.layers[key])
        if tells and not set(channels.roots(given.ids).tolist()) <= set(channels.frozen):
            watched.add(key)
    gated = narrow(model, channels, watched=watched)
    tell_gates(gated)
    return gated
