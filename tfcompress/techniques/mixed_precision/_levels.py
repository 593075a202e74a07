"""Weights and activations on 1 to 8 bits while a network trains, with a straight-through gradient, as a layer around a layer."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.keras._copy import copy_graph, copy_layer

KERNELS = {
    "Dense": "kernel",
    "Conv1D": "kernel",
    "Conv2D": "kernel",
    "DepthwiseConv2D": "depthwise_kernel",
}
"""Layer classes whose kernel can be put on levels, and its attribute in tf_keras."""
TERNARY = "ternary"
GAUSSIAN_STEP = {2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}
"""Step of the uniform 2^b-level quantizer of least mean square error for unit Gaussian weights (Max, IRE Trans. Inf. Theory 1960)."""

_ORIGINS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def levels_of(
    weights: Any, bits: Any, channels: tuple[int, ...] = (), fit: str = "unit"
) -> tuple[Any, Any]:
    """(kernel on its levels, mask of the gradient) of a float32 kernel, one scale for all of it or for each of the `channels` dimensions.

    c = w − mean(w):
      1 bit    α · sign(c), sign(0) = +1
      ternary  α · sign(c) where |c| > 0.7 mean|c|, else 0; α the mean |c| of the others (Li, Zhang & Liu, arXiv 1605.04711)
      2, 3     (α/n) · k, n = 2^b − 1, with the odd integer k = 2 round((clip(c/r, −1, 1) + 1) · n/2) − n
      4 to 8   (α/n) · k, n = 2^(b−1) − 1, with the integer k = round(clip(c/r, −1, 1) · n): one level fewer, as integer kernels have them
    fit "unit": r = 1 and α = mean|w| (XNOR-Net). fit "gaussian": r = α = the best range for a Gaussian of c's deviation (1 bit: mean|c|).
    Every level is an integer times one float32 step, so that a file can hold exactly these values. The gradient passes where |c| ≤ r.
    """
    import tensorflow as tf

    w = tf.convert_to_tensor(weights)
    axes = [axis for axis in range(len(w.shape)) if axis not in channels]
    centred = w - tf.reduce_mean(w, axes, keepdims=True)
    size, everywhere = tf.abs(centred), tf.ones_like(w)
    if bits == TERNARY:
        chosen = tf.cast(size > 0.7 * tf.reduce_mean(size, axes, keepdims=True), w.dtype)
        count = tf.maximum(tf.reduce_sum(chosen, axes, keepdims=True), 1)
        return tf.reduce_sum(size * chosen, axes, keepdims=True) / count * (
            tf.sign(centred) * chosen
        ), everywhere
    scale = tf.reduce_mean(tf.abs(w) if fit == "unit" else size, axes, keepdims=True)
    if bits == 1:
        return scale * tf.where(centred >= 0, everywhere, -everywhere), everywhere
    n = _ends(bits)
    reach = tf.ones_like(scale)
    if fit == "gaussian":
        deviation = tf.sqrt(tf.reduce_mean(tf.square(centred), axes, keepdims=True))
        reach = scale = tf.maximum(deviation * (GAUSSIAN_STEP[bits] * (2.0**bits - 1) / 2), 1e-12)
    part = tf.clip_by_value(centred / reach, -1.0, 1.0)
    whole = 2 * tf.round((part + 1) * (n / 2)) - n if bits < 4 else tf.round(part * n)
    return (scale / n) * whole, tf.cast(size <= reach, w.dtype)


def _ends(bits: int) -> float:
    """The largest integer k of `bits`-bit weights."""
    return 2.0**bits - 1 if bits < 4 else 2.0 ** (bits - 1) - 1


def weights_on_levels(
    weights: Any, bits: int | str, channels: tuple[int, ...] = (), fit: str = "unit"
) -> Any:
    """`levels_of` the weights, with the straight-through gradient to them."""
    import tensorflow as tf

    @tf.custom_gradient
    def rounded(w):
        values, mask = levels_of(w, bits, channels, fit)
        return values, lambda gradient: gradient * mask

    return rounded(tf.convert_to_tensor(weights))


def activations_on_levels(x: Any, bits: Any) -> Any:
    """sign(x) at 1 bit, round(clip(x)) for ternary, else the nearest of 2^b even levels of [−1, 1]; gradient 1 where |x| ≤ 1, else 0.

    sign(0) is 0, not +1: behind a ReLU every other input would be +1 and nothing of the image would pass.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def rounded(x):
        clipped = tf.clip_by_value(x, -1.0, 1.0)
        n = 2.0**bits - 1 if bits not in (1, TERNARY) else 0.0
        if bits == 1:
            values = tf.sign(x)
        else:
            values = (
                tf.round(clipped)
                if bits == TERNARY
                else tf.round((clipped + 1) * (n / 2)) * (2 / n) - 1
            )
        return values, lambda gradient: gradient * tf.cast(tf.abs(x) <= 1, gradient.dtype)

    return rounded(x)


def kernel_of(layer: Any) -> Any:
    """The kernel variable of a layer in KERNELS, or of the layer inside a LowBit."""
    inner = getattr(layer, "inner", layer)
    return getattr(inner, _attribute(inner))


def _attribute(layer: Any) -> str:
    own = KERNELS[type(layer).__name__]
    return own if hasattr(layer, own) else "kernel"  # Keras 3 calls every kernel so


def channel_axes(layer: Any) -> tuple[int, ...]:
    """The dimensions of a layer's kernel that count its output channels."""
    inner = getattr(layer, "inner", layer)
    rank = len(kernel_of(inner).shape)
    return (rank - 2, rank - 1) if type(inner).__name__ == "DepthwiseConv2D" else (rank - 1,)


@functools.cache
def _low_bit(flavour: str) -> type:
    """The wrapper's class in one Keras; made once, when that Keras is there."""
    import importlib

    keras = importlib.import_module(flavour)
    register = (
        keras.saving.register_keras_serializable
        if flavour == "keras"
        else keras.utils.register_keras_serializable
    )

    @register("tfcompress")
    class LowBit(keras.layers.Layer):
        """A layer whose input is put on `input_bits` levels and whose kernel on `bits` (None: as they are); the float kernel trains on."""

        def __init__(
            self, inner, bits=None, input_bits=None, per_channel=False, fit="unit", **kwargs
        ):
            super().__init__(**kwargs)
            self.inner = keras.layers.deserialize(inner) if isinstance(inner, dict) else inner
            self.bits, self.input_bits, self.per_channel, self.fit = (
                bits,
                input_bits,
                per_channel,
                fit,
            )

        def build(self, input_shape):
            if not self.inner.built:
                self.inner.build(input_shape)
            self.built = True

        def call(self, x):
            if self.input_bits is not None:
                x = activations_on_levels(x, self.input_bits)
            if self.bits is None:
                return self.inner(x)
            name, kernel = _attribute(self.inner), kernel_of(self.inner)
            values = weights_on_levels(
                kernel, self.bits, channel_axes(self.inner) if self.per_channel else (), self.fit
            )
            object.__setattr__(
                self.inner, name, values
            )  # the variable stays tracked, the call reads its values on levels
            try:
                return self.inner.call(x)
            finally:
                object.__setattr__(self.inner, name, kernel)

        def compute_output_shape(self, input_shape):
            return self.inner.compute_output_shape(input_shape)

        def get_config(self):
            own = {
                "bits": self.bits,
                "input_bits": self.input_bits,
                "per_channel": self.per_channel,
                "fit": self.fit,
            }
            return {**super().get_config(), "inner": keras.layers.serialize(self.inner), **own}

    return LowBit


def wrap(
    model: Any,
    bits: Mapping[int, int | str],
    *,
    activations: bool,
    per_channel: bool,
    fit: str,
    origin: Any,
) -> Any:
    """A copy of the flat tf_keras `model` with LowBit around the layers in `bits` (by id); `origin` is what `strip` restores."""
    cls = _low_bit("tf_keras")
    layers = [layer for layer in model.layers if id(layer) in bits]
    made = {
        id(layer): cls(
            copy_layer(layer),
            bits=bits[id(layer)],
            input_bits=bits[id(layer)] if activations else None,
            per_channel=per_channel,
            fit=fit,
            name=layer.name,
        )
        for layer in layers
    }
    wrapped = copy_graph(model, made)
    for layer in layers:
        made[id(layer)].set_weights(layer.get_weights())
    _ORIGINS[wrapped] = origin
    return wrapped


def origin_of(model: Any) -> Any:
    """The model that `wrap` was told of, or None for one that was loaded from a file."""
    return _ORIGINS.get(model)


def wrapped_layers(model: Any) -> list[Any]:
    """The LowBit layers of a model of either Keras."""
    from tfcompress._backend.bridge import leaf_layers

    return [
        layer
        for layer in leaf_layers(model)
        if type(layer).__name__ == "LowBit" and hasattr(layer, "input_bits")
    ]


def unwrap(model: Any) -> tuple[Any, dict[str, int | str]]:
    """(copy of a wrapped flat model with plain layers whose kernels lie on their levels, layer → bits of its input)."""
    layers = wrapped_layers(model)
    made = {id(layer): copy_layer(layer.inner) for layer in layers}
    plain = copy_graph(model, made)
    for layer in layers:
        weights = dict(zip((w.name for w in layer.inner.weights), layer.inner.get_weights()))
        kernel = kernel_of(layer)
        if layer.bits is not None:
            values, _ = levels_of(
                kernel, layer.bits, channel_axes(layer) if layer.per_channel else (), layer.fit
            )
            weights[kernel.name] = np.asarray(values)
        made[id(layer)].set_weights(list(weights.values()))
    return plain, {layer.name: layer.input_bits for layer in layers if layer.input_bits is not None}


def with_input_levels(model: Any, bits: Mapping[int, int | str]) -> Any:
    """A copy of `model` in its own Keras in which the inputs of the layers in `bits` (by id) are put on levels."""
    from tfcompress._backend.bridge import carry_compile, leaf_layers

    cls = _low_bit(package_of(model).__name__)
    layers = [layer for layer in leaf_layers(model) if id(layer) in bits]
    made = {
        id(layer): cls(copy_layer(layer), input_bits=bits[id(layer)], name=layer.name)
        for layer in layers
    }
    copied = copy_graph(model, made)
    for layer in layers:
        made[id(layer)].set_weights(layer.get_weights())
    carry_compile(model, copied)
    return copied


def flat_names(model: Any) -> dict[int, str]:
    """{id of each leaf layer: its name in the flat tf_keras model}; a name used by two nested models is changed there."""
    from tfcompress._backend.bridge import leaf_layers
    from tfcompress._backend.bridge._split import target_names

    names = target_names(model, False)
    return {id(layer): names[id(layer)][0] for layer in leaf_layers(model)}
