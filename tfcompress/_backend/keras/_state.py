"""Weights and flags of one layer, read and written in an order that both Kerases share."""

import numpy as np

from tfcompress._backend.graph._flavour import graph_of
from tfcompress._backend.graph._walk import leaf_layers


def _holders(layer):
    """The layers whose get_weights(), one after another, are the weights of `layer`."""
    if type(layer).__name__ == "Keras3Layer":
        return [layer.inner]
    if graph_of(getattr(layer, "layer", None)) is not None:
        return leaf_layers(layer.layer)
    return [layer]


def get_state(layers):
    """Weights of a list of layers as one flat list of arrays."""
    return [
        np.asarray(array)
        for layer in layers
        for holder in _holders(layer)
        for array in holder.get_weights()
    ]


def set_state(layers, arrays):
    """Write `arrays`, a flat list, into the layers; ValueError if number or shapes differ."""
    holders = [holder for layer in layers for holder in _holders(layer)]
    wanted = [tuple(weight.shape) for holder in holders for weight in holder.weights]
    given = [array.shape for array in arrays]
    if wanted != given:
        raise ValueError(f"weights have shapes {given}, the layer takes {wanted}")
    rest = list(arrays)
    for holder in holders:
        count = len(holder.weights)
        if count:
            holder.set_weights(rest[:count])
        rest = rest[count:]
        if type(holder).__name__ == "Normalization" and count:
            holder.finalize_state()


def copy_trainable(source, target):
    """Give `target` (a copy of layer `source`) the trainable flags of `source` and of the layers inside it."""
    inside = getattr(target, "inner", target)
    ours, theirs = list(source._flatten_layers()), list(inside._flatten_layers())
    pairs = zip(ours, theirs) if len(ours) == len(theirs) else [(source, inside)]
    for a, b in pairs:
        if b.trainable != a.trainable:
            b.trainable = a.trainable
    if target.trainable != source.trainable:
        target.trainable = source.trainable


def build_like(source, target):
    """Build what Keras 3 leaves unbuilt in `target`, a copy of `source`, until its first run: a layer used as an activation."""
    for a, b in zip(source._flatten_layers(), target._flatten_layers()):
        if a.built and not b.built and a.weights:
            b.build_from_config(a.get_build_config())


def copy_state(source, target):
    """Copy the weights of `source` into `target`, a copy of it in the same Keras."""
    build_like(source, target)
    set_state([target], get_state([source]))


def transfer(source, targets):
    """Copy the weights of layer `source` into the tf_keras layers `targets` made from it; ValueError if they do not fit."""
    if type(source).__name__ == "Normalization" and not any(target.weights for target in targets):
        return
    for target in targets:
        if hasattr(target, "inner"):
            build_like(source, target.inner)
    set_state(targets, get_state([source]))
