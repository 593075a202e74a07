"""Which layer of a model stands behind which layer of its flat tf_keras twin, or of its copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfcompress._backend.bridge._split import target_names
from tfcompress._backend.graph._walk import leaf_layers, operations
from tfcompress._backend.tfmot._kernels import matrices, value


def flat_names(model: Any, layers: Iterable[Any]) -> set[str]:
    """The names that `layers` of `model` get in the flat tf_keras model (two nested models may use one name)."""
    names = target_names(model, False)
    return {name for layer in layers for name in names[id(layer)]}


def users_layers(model: Any) -> dict[str, Any]:
    """The layer or operation of `model` behind every layer of the flat, split tf_keras model, by the latter's name."""
    names = target_names(model, True)
    return {name: operation for operation in operations(model) for name in names[id(operation)]}


def kernels_by_name(model: Any) -> dict[str, np.ndarray]:
    """The first matrix of every layer of `model`, of both parts of a SeparableConv2D, by its name in the flat, split model."""
    names, found = target_names(model, True), {}
    for layer in leaf_layers(model):
        parts = 2 if type(layer).__name__ == "SeparableConv2D" else 1
        found.update(
            (name, value(kernel)) for name, kernel in zip(names[id(layer)][:parts], matrices(layer))
        )
    return found


def paired(before: Any, after: Any) -> list[tuple[Any, Any]]:
    """The leaf layers of two models of one structure, two and two."""
    old, new = leaf_layers(before), leaf_layers(after)
    if [layer.name for layer in old] == [layer.name for layer in new]:
        return list(zip(old, new))
    by_name = {layer.name: layer for layer in new}
    return [(layer, by_name[layer.name]) for layer in old if layer.name in by_name]
