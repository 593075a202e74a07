"""Integers −127..127 in a byte each, given to the integer kernel or unpacked once to floats."""

import numpy as np

from tfcompress.targets.packing._layer import (
    CHANNEL,
    CONSTANT,
    HYBRID,
    OP,
    TENSOR,
    Encoding,
    apply,
    apply_scaled,
    channel_scales,
    old,
    one_scale,
    scaling_bytes,
)


class Int8(Encoding):
    """INT8 weights on the kernel that rounds its float input to 8 bits, each row by its own range.

    tflite_runtime 2.14 ignores a FULLY_CONNECTED's channel scales without a word: there the tensor has one scale and a MUL follows.
    A CONV_2D whose channel scales are all equal gives zeros there: it gets that one scale.
    """

    name = "int8"

    def fits(self, layer, runtime):
        return layer.grid and layer.kind != "DEPTHWISE_CONV_2D"

    def size(self, layer, shared):
        return CONSTANT + layer.weights.size + max(CHANNEL * layer.channels, scaling_bytes(layer))

    def write(self, b, layer, runtime):
        codes = layer.levels.codes.astype(np.int8)
        if layer.kind == "FULLY_CONNECTED" and old(runtime):
            scale, factor = one_scale(layer.levels)
            return apply_scaled(
                b, layer, b.tensor(codes.shape, "INT8", data=codes, scale=scale), factor, HYBRID
            )
        scales = channel_scales(layer)
        if old(runtime) and (scales["scale"] == scales["scale"][0]).all():
            scales = {"scale": scales["scale"][:1]}
        apply(b, layer, b.tensor(codes.shape, "INT8", data=codes, **scales), HYBRID)


class Int8Float(Encoding):
    """INT8 weights → DEQUANTIZE → the float kernel: exact arithmetic, and XNNPACK unpacks once."""

    name = "int8-dequantize"

    def fits(self, layer, runtime):
        return layer.grid

    def size(self, layer, shared):
        return CONSTANT + TENSOR + OP + layer.weights.size + CHANNEL * len(layer.levels.scale)

    def write(self, b, layer, runtime):
        codes = layer.levels.codes.astype(np.int8)
        packed = b.tensor(
            codes.shape, "INT8", data=codes, scale=layer.levels.scale, axis=layer.axis
        )
        apply(b, layer, b.dequantize(packed))
