"""Models with LowBit around some of their layers, and without it again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfcompress._backend.bridge import carry_compile, leaf_layers, target_names
from tfcompress._backend.graph._flavour import flavour
from tfcompress._backend.keras._copy import copy_graph, copy_layer
from tfcompress.core._types import Array, Layer, Model
from tfcompress.techniques.mixed_precision._layer import channel_axes, kernel_of, low_bit_class
from tfcompress.techniques.mixed_precision._levels import Width, levels_of


def wrap(
    flat: Model, bits: Mapping[int, Width], *, activations: bool, per_channel: bool, fit: str
) -> Model:
    """A copy of the flat tf_keras model `flat` with LowBit around some of its layers.

    Args:
        flat: A model of `to_tf_keras(flatten=True)`.
        bits: Layer id → width.
        activations: Whether the inputs of these layers are put on their width too.
        per_channel: Whether every output channel has a scale of its own.
        fit: "unit" or "gaussian", as in `levels_of`.
    """
    layers = [layer for layer in flat.layers if id(layer) in bits]
    wrappers = {}
    for layer in layers:
        width = bits[id(layer)]
        input_bits = width if activations else None
        wrappers[id(layer)] = _low_bit(
            layer, bits=width, input_bits=input_bits, per_channel=per_channel, fit=fit
        )
    return _copy_with(flat, layers, wrappers)


def with_input_levels(model: Model, bits: Mapping[int, Width]) -> Model:
    """A copy of `model`, in its own Keras and compiled as it is, with some inputs on levels.

    `bits`: id of each layer whose input is put on levels → width.
    """
    layers = [layer for layer in leaf_layers(model) if id(layer) in bits]
    wrappers = {id(layer): _low_bit(layer, input_bits=bits[id(layer)]) for layer in layers}
    copied = _copy_with(model, layers, wrappers)
    carry_compile(model, copied)
    return copied


def unwrap(model: Model) -> tuple[Model, dict[str, Width]]:
    """A copy of a wrapped flat model with plain layers whose kernels lie on their levels.

    With it, the width of the input of every layer that had one, by the layer's name.
    """
    wrappers = wrapped_layers(model)
    plain_layers = {id(wrapper): copy_layer(wrapper.inner) for wrapper in wrappers}
    plain = copy_graph(model, plain_layers)
    for wrapper in wrappers:
        plain_layers[id(wrapper)].set_weights(_weights_on_levels(wrapper))
    input_bits = {
        wrapper.name: wrapper.input_bits for wrapper in wrappers if wrapper.input_bits is not None
    }
    return plain, input_bits


def wrapped_layers(model: Model) -> list[Layer]:
    """The LowBit layers of a model of either Keras."""
    return [
        layer
        for layer in leaf_layers(model)
        if type(layer).__name__ == "LowBit" and hasattr(layer, "input_bits")
    ]


def flat_names(model: Model) -> dict[int, str]:
    """The name of each leaf layer, by its id, in the flat tf_keras model.

    A name that two nested models use is changed there.
    """
    names = target_names(model, False)
    return {id(layer): names[id(layer)][0] for layer in leaf_layers(model)}


def _low_bit(layer: Layer, **options: Width | bool | None) -> Layer:
    """LowBit around a copy of `layer`, with its name and dtype policy, without its weights."""
    wrapper_class = low_bit_class(flavour(layer))
    return wrapper_class(copy_layer(layer), name=layer.name, dtype=layer.dtype_policy, **options)


def _copy_with(model: Model, layers: list[Layer], wrappers: dict[int, Layer]) -> Model:
    """A copy of `model` with wrappers in the place of `layers`, each with its layer's weights."""
    copied = copy_graph(model, wrappers)
    for layer in layers:
        wrappers[id(layer)].set_weights(layer.get_weights())
    return copied


def _weights_on_levels(wrapper: Layer) -> list[Array]:
    """The weights of the layer inside a LowBit in its own order, the kernel on its levels."""
    weights = wrapper.inner.get_weights()
    if wrapper.bits is None:
        return weights
    kernel = kernel_of(wrapper)
    channels = channel_axes(wrapper) if wrapper.per_channel else ()
    levels, _ = levels_of(kernel, wrapper.bits, channels, wrapper.fit)
    place = next(i for i, weight in enumerate(wrapper.inner.weights) if weight is kernel)
    weights[place] = np.asarray(levels)
    return weights
