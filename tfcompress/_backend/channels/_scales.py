"""BatchNormalization scales: which channels they govern, and the penalty that makes them small."""

from __future__ import annotations

import functools

from tfcompress._backend.channels._labels import Channels
from tfcompress._backend.graph._flavour import from_keras, keras_module
from tfcompress._backend.graph._walk import GraphCall, ModelGraph, flatten
from tfcompress.core._types import Layer, Model

Makers = frozenset[int]
PRODUCTS = ("multiply", "mul", "__mul__", "rmul", "__rmul__")


def has_scale(layer: Layer) -> bool:
    """Whether `layer` is Keras's BatchNormalization with a γ."""
    return (
        type(layer).__name__ == "BatchNormalization"
        and from_keras(type(layer))
        and bool(layer.scale)
    )


def unscaled_makers(model: Model, channels: Channels) -> Makers:
    """Ids of the layers whose channels reach another kernel without a BatchNormalization scale.

    What such a layer adds to a sum is there whatever the γ of the other summands: they do not tell
    what the network loses with the channel.
    """
    read: set[int] = set()

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, object]) -> list[Makers]:
        inputs = [leaf for leaf in flatten([args, kwargs]) if isinstance(leaf, frozenset)]
        unscaled = frozenset[int]().union(*inputs)
        if id(call.op) in channels.own_labels:
            read.update(unscaled)
            unscaled = frozenset([id(call.op)])
        elif has_scale(call.op) or (_is_product(call.op) and not all(inputs)):
            unscaled = frozenset()  # zero where γ is
        return [unscaled] * len(call.outputs)

    graph = ModelGraph(model)
    graph.run([frozenset[int]()] * len(graph.inputs), visit)
    return frozenset(read)


def _is_product(op: Layer) -> bool:
    """Whether a layer or operation multiplies its inputs element by element."""
    symbol = str(getattr(op, "symbol", "")).rpartition(".")[2]  # a tf_keras TFOpLambda's function
    return type(op).__name__ == "Multiply" or symbol in PRODUCTS


def scale_penalty(flavour: str, strength: float) -> object:
    """The regularizer strength · Σ|γ| of one Keras, told from a user's own L1 by its class."""
    return penalty_class(flavour)(strength)


def is_penalised(layer: Layer) -> bool:
    """Whether `layer` carries a `scale_penalty`."""
    return isinstance(getattr(layer, "gamma_regularizer", None), _ScalePenalty)


class _ScalePenalty:
    """Marks the penalty that was put on a scale, so that only it is taken away again."""


@functools.cache
def penalty_class(flavour: str) -> type:
    """The marked L1 of one Keras, registered as tfcompress>ScalePenalty."""
    keras = keras_module(flavour)
    home = keras.saving if flavour == "keras" else keras.utils
    penalty_class = type("ScalePenalty", (_ScalePenalty, keras.regularizers.L1), {})
    return home.register_keras_serializable("tfcompress")(penalty_class)
