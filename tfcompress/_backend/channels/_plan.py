"""Which filters go: importance of every group of coupled channels, and the plan that meets a ratio or a budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.channels._gates import is_gate, score_of, tell_gates
from tfcompress._backend.channels._labels import OUTPUTS, Channels, analyse
from tfcompress._backend.channels._narrow import cost, narrow
from tfcompress.core._errors import RecipeError
from tfcompress.core._select import select

IMPORTANCE = ("l1", "l2", "bn_gamma", "taylor")
MOST, LATENCY_STEPS = 0.999, 6


@dataclass
class Group:
    """Layers whose channels are joined: the roots that may go, their importance, and how many roots there are in all.

    `clamped`: a threshold over all groups would have taken every one of them.
    """

    layers: list[Any]
    roots: np.ndarray
    scores: np.ndarray
    total: int
    clamped: bool = False


@dataclass
class Plan:
    """A model, its channels, its groups, and the root labels to be removed."""

    model: Any
    channels: Channels
    groups: list[Group]
    removed: set[int]
    whole: list[tuple[str, str, str]]

    def make(self) -> Any:
        """The narrowed model, uncompiled."""
        return narrow(self.model, self.channels, self.removed)

    def cost(self, removed: Collection[int] | None = None) -> tuple[int, int]:
        """(parameters, MACs) with `removed` (default: the plan's) gone."""
        return cost(self.channels, self.removed if removed is None else removed)

    def smallest(self, groups: Collection[Group], ratio: float) -> set[int]:
        """The roots that go when `ratio` of each of these groups does."""
        return _by_layer(list(groups), [ratio] * len(groups), 1)

    def kept_whole(self) -> list[tuple[str, str, str]]:
        """(layer, kind, reason) of the layers that lose nothing because they cannot or must not, and of those that keep a rest."""
        rest = [
            (
                layer.name,
                type(layer).__name__,
                "the threshold would take all its filters; the most important ones stay",
            )
            for group in self.groups
            if group.clamped
            for layer in group.layers
        ]
        return self.whole + rest


def plan(
    model: Any,
    *,
    importance: str | Callable[[Any], Any],
    ratio: float | Mapping[str, float] | None,
    scope: str,
    round_to: int,
    target_macs: float | None,
    target_params: float | None,
    target_latency: float | None = None,
    only: Any,
    skip: Any,
    through_norms: bool = False,
    stopwatch: Callable[[Any], Any] | None = None,
) -> Plan:
    """The plan for one model; `stopwatch(model).share(narrowed)` measures for target_latency; RecipeError for an unknown layer, nothing that can be pruned, or a budget out of reach."""
    channels = analyse(model, through_norms)
    chosen = select(list(channels.makers.values()), only, skip)
    groups, whole = _groups(channels, importance, chosen)
    if not groups:
        reasons = (
            "; ".join(f"{layer}: {reason}" for layer, _, reason in whole[:5])
            or "only its outputs are left"
        )
        raise RecipeError(f"No channel of model {model.name!r} can be removed ({reasons}).")
    made = Plan(model, channels, groups, set(), whole)
    if isinstance(ratio, Mapping):
        made.removed = _by_layer(groups, [_ratio_of(group, ratio) for group in groups], round_to)
        unknown = [
            key
            for key in ratio
            if not any(re.fullmatch(key, layer.name) for layer in channels.makers.values())
        ]
        if unknown:
            raise RecipeError(
                f"ratio names {unknown[0]!r}, which matches no layer; there are {', '.join(sorted(chosen)[:12])}, …"
            )
        return made

    def choose(share: float) -> set[int]:
        if scope == "global":
            return _globally(groups, share, round_to, importance != "bn_gamma")
        return _by_layer(groups, [share] * len(groups), round_to)

    if ratio is not None:
        made.removed = choose(ratio)
        return made
    measure, goal = _measure(made, target_macs, target_params, target_latency, stopwatch)
    if goal is None:  # nothing is to go; who asked wants to know what could
        return made
    least = choose(MOST)
    if (left := measure(least)) > goal:
        raise RecipeError(
            f"A budget of {goal:.0%} is out of reach: with every removable filter gone {left:.0%} remain."
        )
    low, high, made.removed = 0.0, MOST, least
    for _ in range(
        20 if target_latency is None else LATENCY_STEPS
    ):  # bisection: cost falls as the ratio rises
        middle = (low + high) / 2
        removed = choose(middle)
        if measure(removed) > goal:
            low = middle
        else:
            high, made.removed = middle, removed
    return made


def _measure(
    made: Plan,
    macs: float | None,
    params: float | None,
    latency: float | None,
    stopwatch: Callable[[Any], Any] | None,
) -> tuple[Callable[[set[int]], float], Any]:
    """(removed roots → share that remains, the share allowed)."""
    if latency is not None and stopwatch is not None:
        watch = stopwatch(made.model)
        return lambda removed: watch.share(narrow(made.model, made.channels, removed)), latency
    which = 0 if params is not None else 1
    whole = max(made.cost(())[which], 1)
    return lambda removed: made.cost(removed)[which] / whole, params if params is not None else macs


@contextmanager
def silenced(channels: Channels, removed: Collection[int]) -> Iterator[None]:
    """While it lasts the model computes what it would without the `removed` roots: every weight that touches them is zero."""
    held = {}
    for site in channels.sites.values():
        held.setdefault(id(site.layer), (site.layer, site.layer.get_weights()))
    try:
        changed = {
            key: [np.array(weight) for weight in weights] for key, (_, weights) in held.items()
        }
        for site in channels.sites.values():
            gone = np.isin(channels.roots(site.ids), list(removed))
            changed[id(site.layer)][site.weight][(slice(None),) * site.axis + (gone,)] = 0
        for key, (layer, _) in held.items():
            layer.set_weights(changed[key])
        yield
    finally:
        for layer, weights in held.values():
            layer.set_weights(weights)


def watch(model: Any, through_norms: bool = False) -> Any:
    """A copy of `model`, uncompiled, with gates behind every layer that makes channels that may go and every BatchNormalization.

    In front of a BatchNormalization in training mode a channel's scale makes no difference, so its gate adds nothing there.
    """
    channels = analyse(model, through_norms)
    watched = set()
    for key, (_, made) in channels.shapes.items():
        telling = (
            key in channels.made or type(channels.layers[key]).__name__ == "BatchNormalization"
        )
        if telling and not set(channels.roots(made.ids).tolist()) <= set(channels.frozen):
            watched.add(key)
    gated = narrow(model, channels, watched=watched)
    tell_gates(gated)
    return gated


def _groups(
    channels: Channels, importance: Any, chosen: set[str]
) -> tuple[list[Group], list[tuple[str, str, str]]]:
    scores = _scores(channels, importance)
    members: dict[int, set[int]] = {}  # root → makers
    for key, ids in channels.made.items():
        for root in channels.roots(ids).tolist():
            members.setdefault(root, set()).add(key)
    together = {key: key for key in channels.made}

    def lead(key: int) -> int:
        while together[key] != key:
            key = together[key]
        return key

    for keys in members.values():
        first, *others = sorted(keys)
        for other in others:
            together[lead(other)] = lead(first)
    parts: dict[int, list[int]] = {}
    for key in channels.made:
        parts.setdefault(lead(key), []).append(key)
    groups, whole = [], []
    for keys in parts.values():
        layers = [channels.makers[key] for key in keys]
        roots = np.unique(np.concatenate([channels.roots(channels.made[key]) for key in keys]))
        left_out = [layer.name for layer in layers if layer.name not in chosen]
        loose = [root for root in roots.tolist() if root not in channels.frozen]
        free = np.array([root for root in loose if root in scores], dtype=np.int64)
        if left_out:
            reason = f"its filters go only together with those of {left_out[0]!r}, which only= or skip= leaves out"
            whole += [
                (layer.name, type(layer).__name__, reason)
                for layer in layers
                if layer.name in chosen
            ]
            continue
        if not len(free):
            reason = (
                "no BatchNormalization scale tells its importance"
                if loose
                else channels.frozen[int(roots[0])]
            )
            if reason != OUTPUTS:  # outputs stay by definition
                whole += [(layer.name, type(layer).__name__, reason) for layer in layers]
            continue
        groups.append(
            Group(layers, free, np.array([scores[int(root)] for root in free]), len(roots))
        )
    return groups, whole


def _scores(channels: Channels, importance: Any) -> dict[int, float]:
    scores: dict[int, float] = {}
    if importance == "taylor":
        for key, layer in channels.layers.items():
            if is_gate(layer):
                for root, value in zip(
                    channels.roots(channels.shapes[key][0].ids).tolist(), score_of(layer).tolist()
                ):
                    scores[root] = scores.get(root, 0.0) + value
        if not any(scores.values()):
            raise RecipeError(
                "No gate saw a gradient: importance='taylor' needs the trainer between apply() and strip()."
            )
        return scores
    for site in channels.sites.values():
        weights = site.layer.get_weights()
        gamma = (
            type(site.layer).__name__ == "BatchNormalization"
            and site.layer.scale
            and site.weight == 0
        )
        if importance == "bn_gamma":
            if not gamma:
                continue
            values = np.abs(weights[0])
        elif not site.makes:
            continue
        elif callable(importance):
            values = np.asarray(importance(site.layer), dtype=np.float64)
            if values.shape != site.ids.shape:
                raise RecipeError(
                    f"importance({site.layer.name!r}) gave shape {values.shape}, expected {site.ids.shape}."
                )
        else:
            kernel = (
                np.moveaxis(weights[site.weight], site.axis, 0)
                .reshape(len(site.ids), -1)
                .astype(np.float64)
            )
            values = np.abs(kernel).sum(1) if importance == "l1" else np.sqrt((kernel**2).sum(1))
        for root, value in zip(channels.roots(site.ids).tolist(), values.tolist()):
            scores[root] = scores.get(root, 0.0) + value
    return scores


def _ratio_of(group: Group, ratios: Mapping[str, float]) -> float:
    found = [
        value
        for layer in group.layers
        for key, value in ratios.items()
        if re.fullmatch(key, layer.name)
    ]
    return max(found, default=0.0)


def _removable(group: Group, wanted: int, round_to: int) -> int:
    """How many of a group's roots go: at least one stays, and what stays is a multiple of `round_to` where it can be."""
    left = max(group.total - min(wanted, len(group.roots)), 1)
    if group.total >= round_to:
        left = max(-(-left // round_to) * round_to, round_to)
    return max(min(group.total - left, len(group.roots)), 0)


def _by_layer(groups: list[Group], ratios: list[float], round_to: int) -> set[int]:
    removed: set[int] = set()
    for group, ratio in zip(groups, ratios):
        count = _removable(group, int(ratio * group.total + 1e-9), round_to)
        removed.update(group.roots[np.argsort(group.scores, kind="stable")[:count]].tolist())
    return removed


def _globally(groups: list[Group], ratio: float, round_to: int, scaled: bool) -> set[int]:
    """One threshold for all; `scaled` scores are divided by their group's mean, so that wide kernels do not win by their size."""
    compared = [
        group.scores / max(float(group.scores.mean()), 1e-30) if scaled else group.scores
        for group in groups
    ]
    everything = np.concatenate(compared)
    smallest = np.argsort(everything, kind="stable")[
        : int(ratio * len(everything) + 1e-9)
    ]  # by rank: equal scores are no reason for more
    goes = np.isin(np.arange(len(everything)), smallest)
    wanted = [
        int(part.sum())
        for part in np.split(goes, np.cumsum([len(scores) for scores in compared])[:-1])
    ]
    removed: set[int] = set()
    for group, count in zip(groups, wanted):
        group.clamped = count == group.total
        order = np.argsort(group.scores, kind="stable")
        removed.update(group.roots[order[: _removable(group, count, round_to)]].tolist())
    return removed
