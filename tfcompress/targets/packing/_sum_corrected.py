"""Symmetric levels without a zero, w = s(2u + 1).

The integers u are stored and s·Σx is added, since a zero point of ½ cannot be written.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress._backend.tflite._tree import OperatorTree
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import apply, channel_scales
from tfcompress.targets.packing._behind import only_consumer
from tfcompress.targets.packing._encoding import NEVER, Costs, Encoding
from tfcompress.targets.packing._int2 import apply_matrix
from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, OP, TENSOR, Layer, old
from tfcompress.targets.packing._levels import broadcast
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._weight_file import Operator, Place, WeightFile


class SumCorrected(Encoding):
    """y = (2s·u)·x + b + s·Σx.

    For a CONV_2D, Σx is over channels and window: SUM, then a 1 → 1 convolution with ones, so that
    padding counts as zero.
    """

    bits: int

    def fits(self, layer: Layer, runtime: str) -> bool:
        odd = layer.levels.kind == "grid" and bool((layer.levels.codes % 2).all())
        if not odd or layer.kind == "DEPTHWISE_CONV_2D" or layer.grouped:
            return False
        # The kernel would flatten its input, SUM would not.
        return not layer.dense or layer.input_shape[-1] == layer.inputs

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        scales = 4 * len(layer.levels.scale)
        channels = CHANNEL * (layer.channels if self.bits == 2 else len(layer.levels.scale))
        window = 0 if layer.matrix else OP + TENSOR + CONSTANT + 4 * layer.inputs
        codes = layer.weights.size * self.bits // 8
        return 3 * (OP + TENSOR + CONSTANT) + codes + channels + scales + window

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        halves = ((layer.levels.codes.astype(np.int16) - 1) // 2).astype(np.int8)
        op = self._apply_halves(builder, layer, halves)
        output = layer.op.outputs[0]
        main = builder.copy_tensor(output)
        op.outputs = [main]
        builder.set_activation(op, 0)
        total = _sum_over_channels(builder, layer)
        if not layer.matrix:
            total = _sum_over_window(builder, layer, total)
        scale = layer.levels.scale
        correction = builder.copy_tensor(output, channels=len(scale))
        builder.op("MUL", [builder.constant(scale), total], correction)
        builder.op("ADD", [main, correction], output, fusedActivationFunction=layer.activation)

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.type == f"INT{self.bits}" and _correction(stored) is not None

    def read(self, stored: StoredWeights) -> Array:
        correction = _correction(stored)
        if correction is None:
            return stored.values
        place = (correction.graph, correction.inputs[0])
        scale = np.asarray(flatbuffer.constant(stored.file.model, stored.file.tensor(place)))
        return stored.values + broadcast(scale, stored.values.ndim, stored.operand.axis)

    def helpers(self, file: WeightFile) -> list[Operator]:
        """The convolutions of Σx with ones."""
        windows = []
        for operator in file.operators:
            total = _scaled_total(file, (operator.graph, operator.input(1)))
            producer = None if total is None else file.producers.get(total)
            if operator.kind == "ADD" and producer is not None and producer.kind == "CONV_2D":
                windows.append(producer)
        return windows

    @abstractmethod
    def _apply_halves(self, builder: Builder, layer: Layer, halves: Array) -> OperatorTree:
        """Append the operator on the stored integers u."""


class Int2Sum(SumCorrected):
    """u in INT2 on FULLY_CONNECTED's kernel: the levels ±1, ±3."""

    name = "int2-sum"
    costs = Costs(0.4, 0.7, NEVER, NEVER)
    bits = 2

    def fits(self, layer: Layer, runtime: str) -> bool:
        whole = layer.matrix and layer.inputs % 4 == 0 and layer.largest_code <= 3
        return not old(runtime) and whole and super().fits(layer, runtime)

    def _apply_halves(self, builder: Builder, layer: Layer, halves: Array) -> OperatorTree:
        shape = (layer.channels, layer.inputs)
        scales = channel_scales(layer, times=2)
        return apply_matrix(builder, layer, builder.tensor(shape, "INT2", data=halves, **scales))


class Int8Sum(SumCorrected):
    """u in INT8 → DEQUANTIZE → the float kernel: levels up to ±255.

    u = −128 occurs, which integer kernels do not take; INT4 kernels do not take −8 either.
    """

    name = "int8-sum"
    costs = Costs(1.0, 1.05, 1.0, 1.1)
    bits = 8

    def fits(self, layer: Layer, runtime: str) -> bool:
        return 127 < layer.largest_code <= 255 and super().fits(layer, runtime)

    def _apply_halves(self, builder: Builder, layer: Layer, halves: Array) -> OperatorTree:
        scale = layer.levels.scale * np.float32(2)
        stored = builder.tensor(halves.shape, "INT8", data=halves, scale=scale, axis=layer.axis)
        return apply(builder, layer, builder.dequantize(stored))


def _sum_over_channels(builder: Builder, layer: Layer) -> int:
    total = builder.tensor([*layer.input_shape[:-1], 1])
    last = builder.constant(np.array([len(layer.input_shape) - 1], np.int32))
    builder.op("SUM", [layer.op.inputs[0], last], total, keepDims=True)
    return total


def _sum_over_window(builder: Builder, layer: Layer, total: int) -> int:
    window = builder.copy_tensor(layer.op.outputs[0], channels=1)
    ones = builder.constant(np.ones((1, *layer.weights.shape[1:3], 1), np.float32))
    zero = builder.constant(np.zeros(1, np.float32))
    builder.same_op(layer.op, [total, ones, zero], window, layer.kind, 1)
    builder.set_activation(builder.ops[-1], 0)
    return window


def _correction(stored: StoredWeights) -> Operator | None:
    """The MUL of Σx by the scales that is added to the weights' operator, or None."""
    file, operator = stored.file, stored.operand.operator
    consumer = only_consumer(stored)
    if consumer is None or consumer.kind != "ADD":
        return None
    place = (consumer.graph, consumer.input(1))
    total = _scaled_total(file, place)
    if total is None or _summed(file, total) != (operator.graph, operator.inputs[0]):
        return None
    return file.producers[place]


def _scaled_total(file: WeightFile, place: Place) -> Place | None:
    """What the tensor at `place` multiplies by a constant first input, if it is a Σx; or None."""
    producer = file.producers.get(place)
    if producer is None or producer.kind != "MUL":
        return None
    if not file.is_stored((producer.graph, producer.inputs[0])):
        return None
    total = (producer.graph, producer.inputs[1])
    return None if _summed(file, total) is None else total


def _summed(file: WeightFile, total: Place) -> Place | None:
    """The x of Σx, over channels or also over a window; None for any other tensor."""
    producer = file.producers.get(total)
    if producer is not None and producer.kind == "CONV_2D":
        producer = file.producers.get((producer.graph, producer.inputs[0]))
    if producer is None or producer.kind != "SUM":
        return None
    return producer.graph, producer.inputs[0]
