"""Which of a model's layers a wrapper of TFMOT goes around, and why not around the others."""

from __future__ import annotations

from collections.abc import Callable

from tfcompress._backend.graph._walk import leaf_layers
from tfcompress._backend.tfmot._kernels import matrices
from tfcompress.core._select import Selector, select
from tfcompress.core._technique import Skipped
from tfcompress.core._types import Layer, Model, Variable


def wrappable(
    model: Model,
    only: Selector | None,
    skip: Selector | None,
    *,
    label: str,
    kernels_of: Callable[[Layer], list[Variable]],
    reason_against: Callable[[Layer, list[Variable]], str],
    unknown: str,
) -> tuple[list[Layer], tuple[Skipped, ...]]:
    """The selected layers that can be wrapped, and those with matrices that cannot.

    Args:
        model: A model of either Keras.
        only, skip: The user's selectors.
        label: Who skips.
        kernels_of: A layer → the variables that the wrapper is about; [] for a class it ignores.
        reason_against: A layer and these variables → why not this layer; "" where it can be.
        unknown: The reason for a class that the wrapper ignores.
    """
    layers = leaf_layers(model)
    names = select(layers, only, skip)
    chosen, skipped = [], []
    for layer in layers:
        if layer.name not in names:
            continue
        kernels = kernels_of(layer)
        reason = reason_against(layer, kernels) if kernels else unknown
        if not reason:
            chosen.append(layer)
        elif matrices(layer):
            skipped.append(Skipped(layer.name, type(layer).__name__, label, reason))
    return chosen, tuple(skipped)
