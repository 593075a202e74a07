"""Which variables of a Keras layer, of either flavour, TFMOT prunes and clusters."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

_KERNELS = {
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Dense"), ("kernel",)
    ),
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), ("kernel",)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("pointwise_kernel",)),
    "Embedding": ("embeddings",),
    "MultiHeadAttention": tuple(
        f"_{part}_dense.kernel" for part in ("query", "key", "value", "output")
    ),
}
_RECURRENT = ("GRU", "LSTM", "RNN", "SimpleRNN")
_CELLS = ("GRUCell", "LSTMCell", "SimpleRNNCell")


def prunable(layer: Any) -> list[Any]:
    """The variables of `layer` that TFMOT can prune: kernels, not biases, not depthwise kernels; []
    for none.
    """
    if hasattr(layer, "get_prunable_weights"):  # TFMOT's own contract for custom layers
        return list(layer.get_prunable_weights())
    return _kernels(layer)


def clusterable(layer: Any) -> list[Any]:
    """The variables of `layer` that TFMOT can cluster: kernels, not biases, not depthwise kernels;
    [] for none.
    """
    if _stock(layer) and type(layer).__name__ == "Bidirectional":
        return _of_cells([layer.forward_layer.cell, layer.backward_layer.cell])
    if _stock(layer) and type(layer).__name__ == "Conv1DTranspose":
        return [layer.kernel]
    return _kernels(layer)


def matrices(layer: Any) -> list[Any]:
    """The variables of `layer` of two and more dimensions: what compression could be about."""
    return [weight for weight in layer.weights if len(weight.shape) >= 2]


def value(variable: Any) -> np.ndarray:
    """The numbers in a variable of either Keras."""
    return np.asarray(variable.numpy())


def _kernels(layer: Any) -> list[Any]:
    if not _stock(layer):
        return []
    kind = type(layer).__name__
    if kind in _RECURRENT:
        return _of_cells(getattr(layer.cell, "cells", [layer.cell]))
    return [attrgetter(path)(layer) for path in _KERNELS.get(kind, ())]


def _of_cells(cells: list[Any]) -> list[Any]:
    if any(type(cell).__name__ not in _CELLS for cell in cells):
        return []
    return [getattr(cell, name) for cell in cells for name in ("kernel", "recurrent_kernel")]


def _stock(layer: Any) -> bool:
    """Whether the class is Keras's own: TFMOT knows classes exactly, not their subclasses."""
    return type(layer).__module__.partition(".")[0] in ("keras", "tf_keras")
