"""Layers whose channels can only go together, and what of them may go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tfcompress._backend.channels._labels import OUTPUTS, Channels
from tfcompress.core._types import Array, Layer

Whole: TypeAlias = "tuple[str, str, str]"
"""A layer that loses nothing: its name, its class and the reason."""
NO_SCALE = "no BatchNormalization scale tells its importance, or that of what it is summed with"


@dataclass
class Group:
    """Layers whose channels are joined: the roots that may go, their importance, and all roots."""

    layers: list[Layer]
    roots: Array
    scores: Array
    total: int


def grouped(
    channels: Channels, scores: Mapping[int, float], chosen: Collection[str]
) -> tuple[list[Group], list[Whole]]:
    """The groups that may lose channels, and the layers that stay whole.

    Args:
        channels: The model's channels.
        scores: Root label → importance; roots without one stay.
        chosen: Names of the layers that may lose channels.
    """
    groups: list[Group] = []
    whole: list[Whole] = []
    for keys in _joined_makers(channels):
        layers = [channels.makers[key] for key in keys]
        roots = np.unique(
            np.concatenate([channels.roots(channels.own_labels[key]) for key in keys])
        )
        free = [root for root in roots.tolist() if root in scores and root not in channels.frozen]
        reason = _reason_to_stay(channels, layers, roots, free, chosen)
        if reason is None:
            values = np.array([scores[root] for root in free])
            groups.append(Group(layers, np.array(free, np.int64), values, len(roots)))
        elif reason != OUTPUTS:  # outputs stay by definition
            names = [layer for layer in layers if layer.name in chosen]
            whole += [(layer.name, type(layer).__name__, reason) for layer in names]
    return groups, whole


def _reason_to_stay(
    channels: Channels, layers: list[Layer], roots: Array, free: list[int], chosen: Collection[str]
) -> str | None:
    """Why no channel of joined layers may go; None where some may."""
    left_out = [layer.name for layer in layers if layer.name not in chosen]
    if left_out:
        return (
            f"its filters go only together with those of {left_out[0]!r}, "
            "which only= or skip= leaves out"
        )
    if free:
        return None
    if all(root in channels.frozen for root in roots.tolist()):
        return channels.frozen[int(roots[0])]
    return NO_SCALE


def _joined_makers(channels: Channels) -> list[list[int]]:
    """Ids of the layers that make channels, those that share a root label together."""
    joined: list[tuple[list[int], set[int]]] = []
    for key, ids in channels.own_labels.items():
        keys, roots = [key], set(channels.roots(ids).tolist())
        apart = []
        for other_keys, other_roots in joined:
            if roots.isdisjoint(other_roots):
                apart.append((other_keys, other_roots))
            else:
                keys, roots = other_keys + keys, other_roots | roots
        joined = [*apart, (keys, roots)]
    places = {key: place for place, key in enumerate(channels.own_labels)}
    groups = [sorted(keys, key=places.__getitem__) for keys, _ in joined]
    return sorted(groups, key=lambda keys: places[keys[0]])
