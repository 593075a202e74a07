"""Layers that only scale and shift their channels, as layers that 8 bit has a form of."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcompress._backend.tfmot._quantizers import classes
from tfcompress.core._types import Array, Layer

SMALLEST_DEVIATION = 1e-7  # that Normalization divides by


def replacement(layer: Layer) -> tuple[Layer, Any]:
    """(layer, config) to stand for a lone BatchNormalization, Rescaling or Normalization x·slope +
    offset, by its name.

    On images a 1×1 depthwise convolution, one operation in the file; else an `Affine`, a
    multiplication and an addition.
    """
    import tf_keras

    trainable = layer.trainable and type(layer).__name__ == "BatchNormalization"
    if layer._inbound_nodes[0].keras_inputs[0].shape.rank == 4:
        return tf_keras.layers.DepthwiseConv2D(1, name=layer.name, trainable=trainable), None
    affine = classes().Affine(name=layer.name, trainable=trainable)
    return affine, classes().AffineConfig([], ["activation"], True)


def coefficients(layer: Layer) -> tuple[Array, Array]:
    """(slope, offset), each [channels], of what the layer computes at inference."""
    channels = layer._inbound_nodes[0].keras_inputs[0].shape[-1]
    of_kind = {"Rescaling": _rescaling, "BatchNormalization": _batch_normalization}
    slope, offset = of_kind.get(type(layer).__name__, _normalization)(layer)
    return _by_channel(slope, channels), _by_channel(offset, channels)


def _by_channel(values: Any, channels: int) -> Array:
    return np.broadcast_to(np.reshape(values, -1), channels).astype("float32")


def _rescaling(layer: Layer) -> tuple[Any, Any]:
    return np.asarray(layer.scale, float), np.asarray(layer.offset, float)


def _batch_normalization(layer: Layer) -> tuple[Any, Any]:
    """γ/√(σ² + ε) and β − μ·slope, with the moving averages μ and σ²."""
    deviation = np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    slope = (np.asarray(layer.gamma) if layer.scale else 1.0) / deviation
    shift = np.asarray(layer.beta) if layer.center else 0.0
    return slope, shift - np.asarray(layer.moving_mean) * slope


def _normalization(layer: Layer) -> tuple[Any, Any]:
    """1/σ and −μ/σ; σ and μ where the layer is inverted."""
    mean = np.asarray(layer.mean)
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), SMALLEST_DEVIATION)
    if getattr(layer, "invert", False):
        return deviation, mean
    return 1 / deviation, -mean / deviation
