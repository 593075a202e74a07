"""Integers −2..1, four in a byte: binary as ±1, ternary, and the four levels themselves. LiteRT and TensorFlow only."""

from __future__ import annotations

import copy
from typing import Any

from tfcompress.targets.packing._layer import (
    CHANNEL,
    CONSTANT,
    HYBRID,
    OP,
    TENSOR,
    Encoding,
    Layer,
    apply,
    channel_scales,
    old,
)


def within(layer: Layer, low: int, high: int) -> bool:
    """Whether every code lies in low..high."""
    return layer.grid and bool(
        layer.levels.codes.min(initial=0) >= low and layer.levels.codes.max(initial=0) <= high
    )


def apply_matrix(b: Any, layer: Layer, weight: int) -> Any:
    """The layer as a FULLY_CONNECTED on weights [out, in]; a CONV_2D 1×1 keeps its positions. Returns the operator."""
    op = copy.copy(layer.op)
    op.inputs = [layer.op.inputs[0], weight, *layer.op.inputs[2:]]
    b.graph.tensors[weight].name = layer.name
    if layer.kind == "CONV_2D":
        b.set_options(
            op, "FULLY_CONNECTED", fusedActivationFunction=layer.activation, keepNumDims=True
        )
    b.ops.append(b.with_code(op, "FULLY_CONNECTED", HYBRID["FULLY_CONNECTED"]))
    return op


class MatrixBits(Encoding):
    """Weights of `bits` in a tensor of type `kind`, given to FULLY_CONNECTED. CONV_2D must never get them: it reads garbage or crashes."""

    kind: str
    bits: int
    low: int

    def fits(self, layer, runtime):
        return layer.matrix and within(layer, self.low, 2 ** (self.bits - 1) - 1)

    def size(self, layer, shared):
        return CONSTANT + layer.weights.size * self.bits // 8 + CHANNEL * layer.channels

    def write(self, b, layer, runtime):
        codes = layer.levels.codes.reshape(layer.channels, layer.inputs)
        apply_matrix(
            b, layer, b.tensor(codes.shape, self.kind, data=codes, **channel_scales(layer))
        )


class DequantizedBits(Encoding):
    """Weights of `bits` → DEQUANTIZE → the float kernel: exact for any operator, slower than a kernel of its own."""

    kind: str
    bits: int

    def fits(self, layer, runtime):
        return not old(runtime) and within(layer, -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1)

    def size(self, layer, shared):
        return (
            CONSTANT
            + TENSOR
            + OP
            + layer.weights.size * self.bits // 8
            + CHANNEL * len(layer.levels.scale)
        )

    def write(self, b, layer, runtime):
        codes = layer.levels.codes
        packed = b.tensor(
            codes.shape, self.kind, data=codes, scale=layer.levels.scale, axis=layer.axis
        )
        apply(b, layer, b.dequantize(packed))


class Int2(MatrixBits):
    """INT2 weights on FULLY_CONNECTED's kernel with 8-bit activations; XNNPACK takes it with a scale per channel and inputs in fours."""

    name = "int2"
    kind, bits, low = "INT2", 2, -2

    def fits(self, layer, runtime):
        return not old(runtime) and layer.inputs % 4 == 0 and super().fits(layer, runtime)


class Int2Float(DequantizedBits):
    """INT2 weights → DEQUANTIZE → the float kernel, for any operator."""

    name = "int2-dequantize"
    kind, bits = "INT2", 2
