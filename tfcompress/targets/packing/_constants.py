"""Constants of a `.tflite` followed through the operators that unpack them, computed in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._tree import Sparsity, TensorTree
from tfcompress.core import ConversionError
from tfcompress.core._types import Array
from tfcompress.targets.packing._levels import broadcast
from tfcompress.targets.packing._weight_file import (
    DECODE,
    Operator,
    Place,
    Unpack,
    WeightFile,
    items,
    scales,
)

COMPRESSED = 1
"""The schema's number of a sparse tensor's compressed dimension."""

ONE_OPERAND = ("CUMSUM", "RESHAPE", "STRIDED_SLICE", "TILE", "TRANSPOSE")
"""Operators whose other inputs say how the first is laid out; they hold no weights."""

TABLES = {("GATHER", 0), (DECODE, 1)}
"""(operator, input) of tables that codes look up; they are no payload."""


class Unpacked:
    """Follows one weight tensor of `file` to its stored values and notes what was read on the way.

    Attributes:
        operators: names of the operators passed, from the weights back to what is stored.
        types: types of the constants read, in the same order.
        sparsity: how the stored values are sparse, or None.
        payload: bytes of codes, indices and masks: what each weight takes.
        total: bytes of everything: payload, tables and scales.
    """

    def __init__(self, file: WeightFile):
        self.file = file
        self.operators: list[str] = []
        self.types: list[str] = []
        self.sparsity: Sparsity = None
        self.payload = 0
        self.total = 0
        self._values: dict[Place, Array] = {}
        self._open: set[Place] = set()

    def values(self, place: Place, table: bool = False) -> Array:
        """The stored or computed values of a tensor; `table`: codes look up its rows."""
        if place not in self._values:
            self._values[place] = self._compute(place, table)
        return self._values[place]

    def _compute(self, place: Place, table: bool) -> Array:
        tensor = self.file.tensor(place)
        self.file.refuse_huge(self.file.shape(place))
        stored = flatbuffer.constant(self.file.model, tensor)
        if stored is not None:
            self._note(place, table)
            return stored if tensor.sparsity is None else _densify(tensor, stored)
        if place in self._open or place not in self.file.producers:
            raise ConversionError(
                f"The .tflite is damaged: nothing in it gives tensor {place[1]} of subgraph"
                f" {place[0]} its values. Write or download the file again."
            )
        self._open.add(place)
        values = self._follow(self.file.producers[place])
        self._open.remove(place)
        return values

    def _follow(self, operator: Operator) -> Array:
        self.operators.append(operator.kind)
        if operator.kind == "READ_VARIABLE":
            name = self.file.variable((operator.graph, operator.inputs[0]))
            return self.values(self.file.assigned[name])
        inputs = [self._input(operator, place) for place in range(len(operator.inputs))]
        return self.file.unpack[operator.kind](operator, inputs, self.file)

    def _input(self, operator: Operator, place: int) -> Array:
        index = (operator.graph, operator.inputs[place])
        if place > 0 and operator.kind in ONE_OPERAND:
            return Unpacked(self.file).values(index)
        is_table = (operator.kind, place) in TABLES
        # A list of values that GATHER reads is no table: those have rows.
        is_list = operator.kind == "GATHER" and len(self.file.shape(index)) == 1
        return self.values(index, table=is_table and not is_list)

    def _note(self, place: Place, table: bool) -> None:
        tensor = self.file.tensor(place)
        size = len(self.file.model.buffers[tensor.buffer].data)
        if tensor.sparsity is not None:
            self.sparsity = tensor.sparsity
            size += _index_bytes(tensor.sparsity)
        self.types.append(self.file.type(place))
        self.total += size + 12 * len(scales(tensor))
        if not table:
            self.payload += size


def scale_and_zero(tensor: TensorTree, dimensions: int) -> tuple[Array, Array]:
    """(scale, zero point) shaped to multiply a tensor's values; (1, 0) where it has none."""
    scale = scales(tensor)
    if not len(scale):
        return np.ones(1, np.float32), np.zeros(1, np.int32)
    axis = tensor.quantization.quantizedDimension if len(scale) > 1 else 0
    zero = np.asarray(list(items(tensor.quantization.zeroPoint)) or [0], np.int32)
    if dimensions == 0:
        return scale[:1].reshape(()), zero[:1].reshape(())
    return broadcast(scale, dimensions, axis), broadcast(zero, dimensions, axis)


def real_values(tensor: TensorTree, values: Array) -> Array:
    """The real numbers, float32, that a tensor's stored values stand for."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    scale, zero = scale_and_zero(tensor, values.ndim)
    return ((values.astype(np.int32) - zero).astype(np.float32) * scale).astype(np.float32)


def _cast(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return inputs[0].astype(np.int64)


def _concatenate(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return np.concatenate(inputs, axis=operator.tree.builtinOptions.axis)


def _cumulate(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return np.cumsum(inputs[0], axis=int(inputs[1]))


def _densified(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return inputs[0]  # a sparse constant is made dense when it is read


def _dequantize(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return real_values(file.tensor((operator.graph, operator.inputs[0])), inputs[0])


def _gather(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    table, positions = inputs
    file.refuse_huge([*positions.shape, *table.shape[1:]])
    return table[positions]


def _multiply(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    file.refuse_huge(np.broadcast_shapes(*(values.shape for values in inputs)))
    return inputs[0] * inputs[1]


def _reshape(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return inputs[0].reshape(file.shape((operator.graph, operator.outputs[0])))


def _slice(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    values, begins, ends, steps = inputs
    options = operator.tree.builtinOptions
    parts = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps)):
        whole_begin, whole_end = options.beginMask >> axis & 1, options.endMask >> axis & 1
        parts.append(slice(None if whole_begin else begin, None if whole_end else end, int(step)))
    return values[tuple(parts)]


def _tile(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    values, times = inputs
    file.refuse_huge([*values.shape, *times.tolist()])
    return np.tile(values, times)


def _transpose(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return np.transpose(inputs[0], inputs[1])


UNPACK: Mapping[str, Unpack] = {
    "CAST": _cast,
    "CONCATENATION": _concatenate,
    "CUMSUM": _cumulate,
    "DENSIFY": _densified,
    "DEQUANTIZE": _dequantize,
    "GATHER": _gather,
    "MUL": _multiply,
    "RESHAPE": _reshape,
    "STRIDED_SLICE": _slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
}
"""Operators that unpack constants, and what each computes. READ_VARIABLE is followed as well."""


def _index_bytes(sparsity: Sparsity) -> int:
    vectors = [
        vector
        for part in sparsity.dimMetadata
        for vector in (part.arraySegments, part.arrayIndices)
        if vector is not None
    ]
    return sum(np.asarray(vector.values).nbytes for vector in vectors)


def _densify(tensor: TensorTree, stored: Array) -> Array:
    """The dense array of values stored as CSR in the last traversed dimension, or in blocks."""
    sparsity, shape = tensor.sparsity, [int(n) for n in tensor.shape]
    (rows,) = [part for part in sparsity.dimMetadata if part.format == COMPRESSED]
    segments = np.asarray(rows.arraySegments.values, np.int64)
    indices = np.asarray(rows.arrayIndices.values, np.int64)
    if segments[-1] != len(indices) or (np.diff(segments) < 0).any():
        raise ConversionError(
            "The .tflite is damaged: the rows of a sparse tensor do not add up to its"
            f" {len(indices):,} indices. Write or download the file again."
        )
    at = np.repeat(np.arange(len(segments) - 1), np.diff(segments))
    if len(items(sparsity.blockMap)):
        width = int(sparsity.dimMetadata[-1].denseSize)
        blocks = np.zeros((shape[0], shape[1] // width, width), stored.dtype)
        blocks[at, indices] = stored.reshape(-1, width)
        return blocks.reshape(shape)
    order = [int(i) for i in sparsity.traversalOrder]
    turned = np.zeros([shape[i] for i in order], stored.dtype)
    turned.reshape(len(segments) - 1, -1)[at, indices] = stored
    return np.ascontiguousarray(np.transpose(turned, np.argsort(order)))
