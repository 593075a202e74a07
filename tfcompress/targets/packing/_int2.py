"""Weights of a few bits on FULLY_CONNECTED's kernel, which CONV_2D 1×1 can use as well; 2 bits."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import ClassVar

from tfcompress._backend.tflite._builder import Builder
from tfcompress._backend.tflite._tree import OperatorTree
from tfcompress.targets.packing._apply import HYBRID, channel_scales
from tfcompress.targets.packing._encoding import NEVER, Costs, Encoding
from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, Layer, old
from tfcompress.targets.packing._stored import StoredWeights


class MatrixBits(Encoding):
    """Weights of `bits` in a tensor of type `kind`, codes from `lowest` on, for FULLY_CONNECTED.

    CONV_2D must never get them: it reads garbage or crashes.
    """

    kind: ClassVar[str]
    bits: ClassVar[int]
    lowest: ClassVar[int]

    def fits(self, layer: Layer, runtime: str) -> bool:
        return layer.matrix and codes_within(layer, self.lowest, 2 ** (self.bits - 1) - 1)

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        return CONSTANT + layer.weights.size * self.bits // 8 + CHANNEL * layer.channels

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes = layer.levels.codes.reshape(layer.channels, layer.inputs)
        scales = channel_scales(layer)
        weight = builder.tensor(codes.shape, self.kind, data=codes, **scales)
        apply_matrix(builder, layer, weight)

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.is_plain(self.kind)


def codes_within(layer: Layer, lowest: int, highest: int) -> bool:
    """Whether every code of a grid lies in lowest…highest."""
    codes = layer.levels.codes
    return layer.grid and bool(codes.min(initial=0) >= lowest and codes.max(initial=0) <= highest)


def apply_matrix(builder: Builder, layer: Layer, weight: int) -> OperatorTree:
    """Append the layer as a FULLY_CONNECTED on weights [out, in]; a CONV_2D keeps its positions."""
    op = copy.copy(layer.op)
    op.inputs = [layer.op.inputs[0], weight, *layer.op.inputs[2:]]
    builder.graph.tensors[weight].name = layer.name
    if layer.kind == "CONV_2D":
        builder.set_options(
            op, "FULLY_CONNECTED", fusedActivationFunction=layer.activation, keepNumDims=True
        )
    builder.ops.append(builder.with_code(op, "FULLY_CONNECTED", HYBRID["FULLY_CONNECTED"]))
    return op


class Int2(MatrixBits):
    """Integers −2…1, four in a byte: binary as ±1, ternary, and the four levels themselves.

    INT2 weights on FULLY_CONNECTED's kernel with 8-bit activations. LiteRT and TensorFlow only.

    XNNPACK takes it with a scale for each channel and inputs in fours.
    """

    name = "int2"
    costs = Costs(0.35, 0.65, NEVER, NEVER)
    kind, bits, lowest = "INT2", 2, -2

    def fits(self, layer: Layer, runtime: str) -> bool:
        return not old(runtime) and layer.inputs % 4 == 0 and super().fits(layer, runtime)
