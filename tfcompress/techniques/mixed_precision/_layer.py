"""LowBit: a layer around a layer, whose input and kernel are put on levels while it trains."""

from __future__ import annotations

import copy
import functools
from typing import Any

from tfcompress._backend.graph._flavour import from_keras, keras_module, package_of
from tfcompress._backend.keras._autocast import stored_precision
from tfcompress.core._types import Layer, Tensor, Variable
from tfcompress.techniques.mixed_precision._levels import (
    Width,
    activations_on_levels,
    weights_on_levels,
)

KERNELS = {
    "Dense": "kernel",
    "Conv1D": "kernel",
    "Conv2D": "kernel",
    "DepthwiseConv2D": "depthwise_kernel",
}
"""Keras's own layer classes whose kernel can be put on levels, and its attribute in tf_keras."""


def has_levels(layer: Layer) -> bool:
    """Whether the kernel of `layer` can be put on levels: a class of Keras's own in KERNELS."""
    return type(layer).__name__ in KERNELS and from_keras(type(layer))


def kernel_name(layer: Layer) -> str:
    """The attribute that holds the kernel of a layer in KERNELS: Keras 3 calls every one so."""
    name = KERNELS[type(layer).__name__]
    return name if hasattr(layer, name) else "kernel"


def kernel_of(layer: Layer) -> Variable:
    """The kernel variable of a layer in KERNELS, or of the layer inside a LowBit."""
    inner = getattr(layer, "inner", layer)
    return getattr(inner, kernel_name(inner))


def channel_axes(layer: Layer) -> tuple[int, ...]:
    """The dimensions of a layer's kernel that count its output channels."""
    inner = getattr(layer, "inner", layer)
    rank = len(kernel_of(inner).shape)
    return (rank - 2, rank - 1) if type(inner).__name__ == "DepthwiseConv2D" else (rank - 1,)


@functools.cache
def low_bit_class(flavour: str) -> type:
    """The class LowBit of one Keras ("keras" or "tf_keras"), registered as tfcompress>LowBit."""
    keras = keras_module(flavour)
    home = keras.saving if flavour == "keras" else keras.utils
    layer_class = type("LowBit", (_LowBit, keras.layers.Layer), {"__doc__": _LowBit.__doc__})
    return home.register_keras_serializable("tfcompress")(layer_class)


class _LowBit:
    """A layer with its input on `input_bits` levels and its kernel on `bits` (None: as they are).

    The float kernel of `inner` is what trains. `per_channel` and `fit` are as in `levels_of`.
    Masks, the activity loss and the dtype are those of `inner`. Only tf_keras's class takes `bits`.
    """

    name: str
    compute_dtype: str

    def __init__(
        self,
        inner: Layer | dict[str, Any],
        bits: Width | None = None,
        input_bits: Width | None = None,
        per_channel: bool = False,
        fit: str = "unit",
        **options: object,
    ):
        super().__init__(**options)
        layers = package_of(self).layers
        layer: Layer = layers.deserialize(inner) if isinstance(inner, dict) else inner
        self.inner = layer
        self.bits, self.input_bits = bits, input_bits
        self.per_channel, self.fit = per_channel, fit
        self.supports_masking = layer.supports_masking
        if bits is not None:  # else `inner` is called as a layer and adds its own activity loss
            self.activity_regularizer = layer.activity_regularizer

    def build(self, input_shape: tuple) -> None:
        """Build `inner`, whose variables are the only ones."""
        if not self.inner.built:
            self.inner.build(input_shape)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """`inner` on levels: x of its input's shape → its output."""
        if self.input_bits is not None:
            x = activations_on_levels(x, self.input_bits)
        if self.bits is None:
            return self.inner(x)
        # A copy of the Python object for this call alone: replicas and threads share `inner`.
        levelled = copy.copy(self.inner)
        object.__setattr__(levelled, kernel_name(self.inner), self._kernel_on_levels(self.bits))
        return levelled.call(x)

    def _kernel_on_levels(self, bits: Width) -> Tensor:
        """The kernel on levels, computed in the variable's own float32 as in the stripped model."""
        import tensorflow as tf

        channels = channel_axes(self.inner) if self.per_channel else ()
        with stored_precision():
            values = weights_on_levels(kernel_of(self.inner), bits, channels, self.fit)
        return tf.cast(values, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The output shape of `inner`."""
        return self.inner.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """All options; `inner` as its own Keras serializes it."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return {
            **config,
            "inner": package_of(self).layers.serialize(self.inner),
            "bits": self.bits,
            "input_bits": self.input_bits,
            "per_channel": self.per_channel,
            "fit": self.fit,
        }
