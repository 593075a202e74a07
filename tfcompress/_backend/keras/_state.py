"""Weights and flags of one layer, read and written in an order that both Kerases share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcompress._backend.graph._flavour import graph_of
from tfcompress._backend.graph._walk import leaf_layers
from tfcompress.core._types import Array, Layer


def _holders(layer: Layer) -> list[Layer]:
    """The layers whose get_weights(), one after another, are the weights of `layer`."""
    if type(layer).__name__ == "Keras3Layer":
        return [layer.inner]
    if graph_of(getattr(layer, "layer", None)) is not None:
        return leaf_layers(layer.layer)
    return [layer]


def get_state(layers: Sequence[Layer]) -> list[Array]:
    """Weights of a list of layers as one flat list of arrays."""
    holders = [holder for layer in layers for holder in _holders(layer)]
    return [np.asarray(array) for holder in holders for array in holder.get_weights()]


def set_state(layers: Sequence[Layer], arrays: Sequence[Array]) -> None:
    """Write `arrays`, a flat list, into the layers; ValueError if number or shapes differ."""
    holders = [holder for layer in layers for holder in _holders(layer)]
    expected = [tuple(weight.shape) for holder in holders for weight in holder.weights]
    given = [array.shape for array in arrays]
    if expected != given:
        raise ValueError(f"weights have shapes {given}, the layer takes {expected}")
    rest = list(arrays)
    for holder in holders:
        count = len(holder.weights)
        if count:
            holder.set_weights(rest[:count])
        rest = rest[count:]
        if type(holder).__name__ == "Normalization" and count:
            holder.finalize_state()


def copy_trainable(source: Layer, target: Layer) -> None:
    """Give `target`, a copy of `source`, the trainable flags of it and of the layers inside it."""
    inside = getattr(target, "inner", target)
    sources, targets = list(source._flatten_layers()), list(inside._flatten_layers())
    same_count = len(sources) == len(targets)
    pairs = list(zip(sources, targets)) if same_count else [(source, inside)]
    for one, other in pairs:
        if other.trainable != one.trainable:
            other.trainable = one.trainable
    if target.trainable != source.trainable:
        target.trainable = source.trainable


def build_like(source: Layer, target: Layer) -> None:
    """Build what Keras 3 leaves unbuilt in a copy until its first run: layers as activations."""
    for one, other in zip(source._flatten_layers(), target._flatten_layers()):
        if one.built and not other.built and one.weights:
            other.build_from_config(one.get_build_config())


def copy_state(source: Layer, target: Layer) -> None:
    """Copy the weights of `source` into `target`, a copy of it in the same Keras."""
    build_like(source, target)
    set_state([target], get_state([source]))


def transfer(source: Layer, targets: Sequence[Layer]) -> None:
    """Copy the weights of `source` into the tf_keras layers made from it; ValueError on misfit."""
    has_none = not any(target.weights for target in targets)
    if type(source).__name__ == "Normalization" and has_none:
        return
    for target in targets:
        if hasattr(target, "inner"):
            build_like(source, target.inner)
    set_state(targets, get_state([source]))
