"""Layers that only scale and shift their channels, as layers that 8 bit has a form of."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcompress._backend.tfmot._quantizers import classes


def replacement(layer: Any) -> tuple[Any, Any]:
    """(layer, config) to stand for a lone BatchNormalization, Rescaling or Normalization x·slope + offset, by its name.

    On images a 1×1 depthwise convolution, one operation in the file; else an `Affine`, a multiplication and an addition.
    """
    import tf_keras

    trainable = layer.trainable and type(layer).__name__ == "BatchNormalization"
    if layer._inbound_nodes[0].keras_inputs[0].shape.rank == 4:
        return tf_keras.layers.DepthwiseConv2D(1, name=layer.name, trainable=trainable), None
    made = classes()
    return made.Affine(name=layer.name, trainable=trainable), made.AffineConfig(
        [], ["activation"], True
    )


def coefficients(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """(slope, offset), each [channels], of what the layer computes at inference."""
    channels = layer._inbound_nodes[0].keras_inputs[0].shape[-1]
    kind = type(layer).__name__
    if kind == "Rescaling":
        slope, offset = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
    else:
        batch = kind == "BatchNormalization"
        mean = np.asarray(layer.moving_mean if batch else layer.mean)
        variance = np.asarray(layer.moving_variance if batch else layer.variance)
        spread = np.sqrt(variance + layer.epsilon) if batch else np.maximum(np.sqrt(variance), 1e-7)
        slope = (np.asarray(layer.gamma) if batch and layer.scale else 1.0) / spread
        offset = (np.asarray(layer.beta) if batch and layer.center else 0.0) - mean * slope
        if getattr(layer, "invert", False):
            slope, offset = spread, mean
    slope, offset = (
        np.broadcast_to(np.reshape(part, -1), channels).astype("float32")
        for part in (slope, offset)
    )
    return slope, offset
