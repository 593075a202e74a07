"""Indices of a few bits, decoded from look-up tables on microcontrollers, in slices of a layer."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder, Quantization
from tfcompress._backend.tflite._tree import OperatorTree
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import apply
from tfcompress.targets.packing._encoding import NEVER, Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer
from tfcompress.targets.packing._slices import MOST_SLICES, slices_of
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._tables import (
    HEADER_BYTES,
    MOST_BITS,
    bits_of,
    decode,
    encode,
)
from tfcompress.targets.packing._weight_file import (
    DECODE,
    DECODE_NAME,
    Operator,
    WeightFile,
    scales,
)


def _decode(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    """The weights that a DECODE operator of a file gives."""
    place = (operator.graph, operator.outputs[0])
    tensor, shape = file.tensor(place), file.shape(place)
    axis = int(tensor.quantization.quantizedDimension) if len(scales(tensor)) > 1 else None
    return decode(inputs[0], inputs[1], shape, axis)


class Lookup(Encoding):
    """⌈log₂ n⌉ bits a weight for n different values, in the layer or in each of its channels.

    An int8 layer's weights are decoded by TensorFlow Lite for Microcontrollers right before they
    are used, into the memory that activations share; no other runtime has the operator. A layer in
    k slices is k operators, each on the weights of some output channels, and a CONCATENATION: the
    slices are decoded one after the other into the same memory.
    """

    name = "lookup"
    costs = Costs(NEVER, NEVER, NEVER, NEVER)
    unpack = {DECODE: _decode}

    def __init__(self, slices: int = 1):
        self.slices = slices

    def in_slices(self, slices: int) -> Lookup:
        """The same encoding, decoded in so many slices."""
        return Lookup(slices)

    def fits(self, layer: Layer, runtime: str) -> bool:
        if runtime != "micro" or not layer.integer or self.slices > most_slices(layer):
            return False
        return bits_of(layer.levels.codes, table_axis(layer)) <= MOST_BITS

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        axis = table_axis(layer)
        bits = bits_of(layer.levels.codes, axis)
        tables = (1 if axis is None else layer.channels) * 2**bits
        operators = OP + TENSOR + 2 * CONSTANT + HEADER_BYTES
        if self.slices > 1:
            operators += OP + TENSOR + CONSTANT
        return layer.weights.size * bits // 8 + tables + self.slices * operators

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        if self.slices == 1:
            apply(builder, layer, _decoded(builder, layer, 0, layer.channels))
            return
        bounds = np.linspace(0, layer.channels, self.slices + 1).astype(int).tolist()
        output = layer.op.outputs[0]
        parts = []
        for start, stop in pairwise(bounds):
            op = apply(builder, layer, _decoded(builder, layer, start, stop))
            op.outputs = [builder.copy_tensor(output, stop - start)]
            _slice_bias(builder, op, start, stop)
            parts += op.outputs
        builder.op("CONCATENATION", parts, output, axis=len(builder.shape(output)) - 1)

    def recognizes(self, stored: StoredWeights) -> bool:
        return DECODE in stored.operators

    def helpers(self, file: WeightFile) -> list[Operator]:
        """All slices of a layer but the first, which stands for it."""
        others: list[Operator] = []
        for operator in file.operators:
            parts = slices_of(file, operator)
            if parts[0] is not operator and operator in parts:
                others.append(operator)
        return others


def most_slices(layer: Layer) -> int:
    """In how many slices of output channels a layer can be computed from one input."""
    if layer.kind == "DEPTHWISE_CONV_2D" or layer.grouped:
        return 1
    return min(MOST_SLICES, layer.channels)


def table_axis(layer: Layer) -> int | None:
    """The dimension along which each channel has a table: that of the scales, if it has several.

    A table's mode must be that of the tensor's quantization, which tells some versions of the
    runtime where a channel's table is.
    """
    return layer.axis if len(layer.levels.scale) > 1 else None


def _decoded(builder: Builder, layer: Layer, start: int, stop: int) -> int:
    """The weights of output channels `start` to `stop` as a DECODE operator gives them."""
    channels = slice(start, stop)
    where = [slice(None)] * layer.weights.ndim
    where[layer.axis] = channels
    codes = layer.levels.codes[tuple(where)].astype(np.int8)
    scale = layer.levels.scale
    scale = scale[channels] if len(scale) > 1 else scale
    has_axis = len(scale) > 1
    stored = encode(codes, layer.axis if has_axis else None)
    quantization: Quantization = {"scale": scale, "axis": layer.axis if has_axis else 0}
    weights = builder.tensor(codes.shape, "INT8", **quantization)
    return builder.custom_op(DECODE_NAME, [builder.constant(data) for data in stored], weights)


def _slice_bias(builder: Builder, op: OperatorTree, start: int, stop: int) -> None:
    """Give an operator the bias of output channels `start` to `stop` only."""
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return
    tensor = builder.graph.tensors[op.inputs[2]]
    values = flatbuffer.constant(builder.model, tensor)
    assert values is not None  # a layer's bias is constant
    scale = scales(tensor)
    scale = scale[start:stop] if len(scale) > 1 else scale
    kind = flatbuffer.tensor_type(tensor)
    op.inputs[2] = builder.tensor([stop - start], kind, data=values[start:stop], scale=scale)
