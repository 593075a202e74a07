"""Layers and configs of an 8-bit model beside TFMOT's own, and two of its classes mended.

This file imports TFMOT: import it inside functions only, after `load()`.
"""

from __future__ import annotations

from typing import Any

import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import (
    quantize_layer,
    quantize_wrapper,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_configs as configs,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry as registry,
)

from tfcompress.core._types import Tensor


@tf_keras.utils.register_keras_serializable("tfcompress")
class OutputConfig(configs.Default8BitOutputQuantizeConfig):
    """Of a layer without weights only the output is quantized; `quantize_output=False` where it
    keeps its input's range.
    """


@tf_keras.utils.register_keras_serializable("tfcompress")
class Affine(tf_keras.layers.Layer):
    """x·slope + offset along the last axis; `activation` is where the product gets a range of its
    own.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = tf_keras.activations.linear

    def build(self, input_shape: Any) -> None:
        self.slope = self.add_weight("slope", shape=(input_shape[-1],), initializer="ones")
        self.offset = self.add_weight("offset", shape=(input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs * self.slope) + self.offset

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@tf_keras.utils.register_keras_serializable("tfcompress")
class AffineConfig(registry.Default8BitQuantizeConfig):
    """TFMOT's 8-bit config under a name of its own, so that nothing takes it for that of a layer
    with a kernel.
    """


class QuantizeLayer(quantize_layer.QuantizeLayer):
    """TFMOT's, which never says that it is built: reading a `.keras` file builds it twice, with
    twice the variables.

    Whole numbers (ids, uint8 images), which have no range, pass as they are.
    """

    def build(self, input_shape: Any) -> None:
        if not self.built:
            super().build(input_shape)
            self.built = True

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        return super().call(inputs, training) if inputs.dtype.is_floating else inputs


class QuantizeWrapperV2(quantize_wrapper.QuantizeWrapperV2):
    """TFMOT's, which lists the weights of its layer before that is built, so that a `.keras` file
    has more of them.
    """

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
        super().build(input_shape)


# They stand in for TFMOT's when a file is read, and are saved as TFMOT's again.
QuantizeLayer.__module__ = quantize_layer.QuantizeLayer.__module__
QuantizeWrapperV2.__module__ = quantize_wrapper.QuantizeWrapperV2.__module__
