"""Which layer of a model stands behind which layer of its flat tf_keras twin, or of its copy."""

from __future__ import annotations

from collections.abc import Iterable

from tfcompress._backend.bridge._split import target_names
from tfcompress._backend.graph._walk import leaf_layers, operations
from tfcompress._backend.tfmot._kernels import matrices, value
from tfcompress.core._types import Array, Layer, Model


def flat_names(model: Model, layers: Iterable[Layer]) -> set[str]:
    """The names that `layers` of `model` get in the flat tf_keras model.

    Two nested models may use one name, which is then unique there.
    """
    names = target_names(model, False)
    return {name for layer in layers for name in names[id(layer)]}


def users_layers(model: Model) -> dict[str, Layer]:
    """The layer or operation of `model` behind every layer of the flat, split twin, by its name."""
    names = target_names(model, True)
    return {name: operation for operation in operations(model) for name in names[id(operation)]}


def kernels_by_name(model: Model) -> dict[str, Array]:
    """The first matrix of every layer, by its name in the flat, split twin.

    Both parts of a SeparableConv2D have one.
    """
    names = target_names(model, True)
    kernels: dict[str, Array] = {}
    for layer in leaf_layers(model):
        parts = 2 if type(layer).__name__ == "SeparableConv2D" else 1
        for name, kernel in zip(names[id(layer)][:parts], matrices(layer)):
            kernels[name] = value(kernel)
    return kernels


def paired(before: Model, after: Model) -> list[tuple[Layer, Layer]]:
    """The leaf layers of two models of one structure, two and two."""
    old, new = leaf_layers(before), leaf_layers(after)
    if [layer.name for layer in old] == [layer.name for layer in new]:
        return list(zip(old, new))
    by_name = {layer.name: layer for layer in new}
    return [(layer, by_name[layer.name]) for layer in old if layer.name in by_name]
