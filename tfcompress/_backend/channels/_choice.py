"""The filters that go: the least important of every group, or of all, to a ratio or a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tfcompress._backend.channels._groups import Group
from tfcompress.core._errors import RecipeError
from tfcompress.core._types import Array

MOST = 0.999


@dataclass
class Choice:
    """The root labels that go, and the groups of which a threshold would have taken every one."""

    removed: set[int] = field(default_factory=set)
    emptied: list[Group] = field(default_factory=list)


def within_budget(
    goal: float,
    remaining: Callable[[set[int]], float],
    choose: Callable[[float], Choice],
    steps: int,
) -> Choice:
    """The least that meets the budget, by bisection: what remains falls as the ratio rises."""
    best = choose(MOST)
    left = remaining(best.removed)
    if left > goal:
        raise RecipeError(
            f"A budget of {goal:.0%} is out of reach: "
            f"with every removable filter gone {left:.0%} remain."
        )
    low, high = 0.0, MOST
    for _ in range(steps):
        middle = (low + high) / 2
        choice = choose(middle)
        if remaining(choice.removed) > goal:
            low = middle
        else:
            high, best = middle, choice
    return best


def by_layer(groups: list[Group], ratios: list[float], round_to: int) -> Choice:
    """The least important share of every group."""
    removed: set[int] = set()
    for group, ratio in zip(groups, ratios):
        removed.update(_least_important(group, _count(ratio, group.total), round_to))
    return Choice(removed)


def globally(groups: list[Group], ratio: float, round_to: int, by_mean: bool) -> Choice:
    """The least important share of all channels, by one threshold.

    by_mean: scores are divided by their group's mean, so that wide kernels do not win by size.
    """
    compared = [_over_mean(group.scores) if by_mean else group.scores for group in groups]
    scores = np.concatenate(compared)
    # By rank, not by value: equal scores are no reason for more to go.
    smallest = np.argsort(scores, kind="stable")[: _count(ratio, len(scores))]
    goes = np.isin(np.arange(len(scores)), smallest)
    ends = np.cumsum([len(group.scores) for group in groups])
    choice = Choice()
    for group, part in zip(groups, np.split(goes, ends[:-1])):
        count = int(part.sum())
        if count == group.total:
            choice.emptied.append(group)
        choice.removed.update(_least_important(group, count, round_to))
    return choice


def _over_mean(scores: Array) -> Array:
    return scores / max(float(scores.mean()), 1e-30)


def _count(ratio: float, total: int) -> int:
    return int(ratio * total + 1e-9)


def _least_important(group: Group, wanted: int, round_to: int) -> list[int]:
    """The roots of a group that go where `wanted` should.

    At least one stays, and what stays is a multiple of `round_to` where it can be.
    """
    left = max(group.total - min(wanted, len(group.roots)), 1)
    if group.total >= round_to:
        left = max(-(-left // round_to) * round_to, round_to)
    count = max(min(group.total - left, len(group.roots)), 0)
    return group.roots[np.argsort(group.scores, kind="stable")[:count]].tolist()
