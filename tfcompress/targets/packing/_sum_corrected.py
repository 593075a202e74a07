"""Symmetric levels without a zero, w = s(2u + 1): the integers u are stored and s·Σx is added, since a zero point of ½ cannot be."""

from __future__ import annotations

import numpy as np

from tfcompress.targets.packing._int2 import apply_matrix
from tfcompress.targets.packing._layer import (
    CHANNEL,
    CONSTANT,
    OP,
    TENSOR,
    Encoding,
    apply,
    channel_scales,
    old,
)


class SumCorrected(Encoding):
    """y = (2s·u)·x + b + s·Σx: u in INT2 on FULLY_CONNECTED's kernel (levels ±1, ±3), or in INT8 → DEQUANTIZE on the float one.

    The second is for levels up to ±255, where u = −128 occurs, which integer kernels do not take; INT4 kernels do not take −8 either.
    For a CONV_2D, Σx is over channels and window: SUM, then a 1 → 1 convolution with ones, so that padding counts as zero.
    """

    def __init__(self, bits: int):
        self.bits = bits
        self.kind = f"INT{bits}"
        self.name = f"int{bits}-sum"

    def fits(self, layer, runtime):
        if (
            layer.levels.kind != "grid"
            or not (layer.levels.codes % 2).all()
            or layer.kind == "DEPTHWISE_CONV_2D"
        ):
            return False
        if layer.kind == "FULLY_CONNECTED" and layer.input_shape[-1] != layer.inputs:
            return False  # the kernel would flatten its input, SUM would not
        most = int(np.abs(layer.levels.codes).max())
        if self.bits == 2:
            return not old(runtime) and layer.matrix and most <= 3 and layer.inputs % 4 == 0
        return 127 < most <= 255

    def size(self, layer, shared):
        scales = 4 * len(layer.levels.scale)
        channels = CHANNEL * (layer.channels if self.bits == 2 else len(layer.levels.scale))
        window = 0 if layer.matrix else OP + TENSOR + CONSTANT + 4 * layer.inputs
        return (
            3 * (OP + TENSOR)
            + 3 * CONSTANT
            + layer.weights.size * self.bits // 8
            + channels
            + scales
            + window
        )

    def write(self, b, layer, runtime):
        out, x = layer.op.outputs[0], layer.op.inputs[0]
        halves = ((layer.levels.codes.astype(np.int16) - 1) // 2).astype(np.int8)
        if self.bits == 2:
            shape = (layer.channels, layer.inputs)
            op = apply_matrix(
                b, layer, b.tensor(shape, "INT2", data=halves, **channel_scales(layer, times=2))
            )
        else:
            scale = layer.levels.scale * np.float32(2)
            apply(
                b,
                layer,
                b.dequantize(
                    b.tensor(halves.shape, "INT8", data=halves, scale=scale, axis=layer.axis)
                ),
            )
            op = b.ops[-1]
        main = b.copy_tensor(out)
        op.outputs = [main]
        b.set_activation(op, 0)
        total = b.tensor([*layer.input_shape[:-1], 1])
        b.op(
            "SUM",
            [x, b.constant(np.array([len(layer.input_shape) - 1], np.int32))],
            total,
            keepDims=True,
        )
        if not layer.matrix:
            window = b.copy_tensor(out, channels=1)
            ones = b.constant(np.ones((1, *layer.weights.shape[1:3], 1), np.float32))
            b.same_op(
                layer.op, [total, ones, b.constant(np.zeros(1, np.float32))], window, layer.kind, 1
            )
            b.set_activation(b.ops[-1], 0)
            total = window
        scale = layer.levels.scale
        correction = b.copy_tensor(out, channels=len(scale))
        b.op("MUL", [total, b.constant(scale)], correction)
        b.op("ADD", [main, correction], out, fusedActivationFunction=layer.activation)
