"""New operators, tensors and constants for a `.tflite` being rewritten."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from tfcompress._backend.tflite._flatbuffer import SMALL_TYPES, custom_name, pack_bits, schema
from tfcompress._backend.tflite._sparse import sparse_values
from tfcompress._backend.tflite._tree import ModelTree, OperatorTree, QuantizationTree, Sparsity
from tfcompress.core._types import Array, ArrayLike

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OPTIONS = {
    "ADD": "Add",
    "ASSIGN_VARIABLE": "AssignVariable",
    "CALL_ONCE": "CallOnce",
    "CAST": "Cast",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "CUMSUM": "Cumsum",
    "DENSIFY": "Densify",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DEQUANTIZE": "Dequantize",
    "FULLY_CONNECTED": "FullyConnected",
    "GATHER": "Gather",
    "LOGISTIC": None,
    "MAX_POOL_2D": "Pool2D",
    "MUL": "Mul",
    "READ_VARIABLE": "ReadVariable",
    "RESHAPE": "Reshape",
    "STRIDED_SLICE": "StridedSlice",
    "SUM": "Reducer",
    "TILE": "Tile",
    "VAR_HANDLE": "VarHandle",
}
"""Builtin operator → its options table (`None`: the operator has none)."""

HIGHEST_OLD_CODE = 127
"""Operator codes above this stand in a field of their own."""


class Quantization(TypedDict, total=False):
    """How a tensor is quantized: real = scale · (stored − zero_point), along `axis`."""

    scale: ArrayLike
    zero_point: ArrayLike
    axis: int


class Builder:
    """Appends to one subgraph of a `ModelT`; tensors are given and returned as indices.

    `ops` collects the operators in order of execution. Without a model, an empty one with a
    subgraph `main` is begun.
    """

    def __init__(self, model: ModelTree = None, subgraph: int = 0):
        kit = schema()
        if model is None:
            model = kit.ModelT(
                version=3,
                operatorCodes=[],
                subgraphs=[],
                buffers=[kit.BufferT()],
                description="tfcompress",
            )
        self.model = model
        if not model.subgraphs:
            self.new_subgraph("main")
        self.graph = model.subgraphs[subgraph]
        self.ops: list[OperatorTree] = []
        self.first_ops: list[OperatorTree] = []
        """Operators that must come before all of `ops`, such as CALL_ONCE."""
        self.shared: dict[Hashable, int] = {}
        """Tensors and subgraphs that several layers use, by any key."""

    def new_subgraph(self, name: str) -> int:
        """Index of a new, empty subgraph."""
        self.model.subgraphs.append(
            schema().SubGraphT(tensors=[], operators=[], inputs=[], outputs=[], name=name)
        )
        return len(self.model.subgraphs) - 1

    @contextmanager
    def inside(self, subgraph: int) -> Iterator[Builder]:
        """Meanwhile tensors and operators go to another subgraph, behind the operators it has."""
        before, ops = self.graph, self.ops
        self.graph = self.model.subgraphs[subgraph]
        self.ops = self.graph.operators
        try:
            yield self
        finally:
            self.graph, self.ops = before, ops

    def tensor(
        self,
        shape: Sequence[int] | Array,
        kind: str = "FLOAT32",
        *,
        data: Array | None = None,
        sparsity: Sparsity = None,
        **grid: Unpack[Quantization],
    ) -> int:
        """A new tensor.

        Args:
            shape: its static shape.
            kind: its type.
            data: makes it constant; integers for INT2 and INT4, which are packed here.
            sparsity: which of its values `data` holds.
            grid: quantizes it; scale and zero point always get the same length.
        """
        kit = schema()
        tensor = kit.TensorT(
            shape=[int(n) for n in shape],
            type=getattr(kit.TensorType, kind),
            hasRank=True,
            sparsity=sparsity,
        )
        if "scale" in grid:
            tensor.quantization = _quantization(**grid)
        if data is not None:
            is_small = kind in SMALL_TYPES
            stored = pack_bits(data, SMALL_TYPES[kind]) if is_small else np.ascontiguousarray(data)
            raw = np.frombuffer(stored.tobytes(), np.uint8)
            self.model.buffers.append(kit.BufferT(data=raw))
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: ArrayLike) -> int:
        """A constant tensor of `values`' own shape and dtype (float32, or any integer)."""
        values = np.asarray(values)
        return self.tensor(values.shape, values.dtype.name.upper(), data=values)

    def shape(self, tensor: int) -> list[int]:
        """A tensor's static shape."""
        shape = self.graph.tensors[tensor].shape
        return [int(n) for n in (shape if shape is not None else ())]

    def op(
        self,
        name: str,
        inputs: Sequence[int],
        output: int | None,
        version: int = 1,
        **options: object,
    ) -> int | None:
        """Append builtin operator `name` and return `output`.

        `options` are the fields of its options table.
        """
        op = schema().OperatorT(
            opcodeIndex=self._code(name, version),
            inputs=list(inputs),
            outputs=[] if output is None else [output],
        )
        if _OPTIONS[name] is not None:
            self.set_options(op, name, **options)
        self.ops.append(op)
        return output

    def custom_op(self, name: str, inputs: Sequence[int], output: int) -> int:
        """Append the custom operator called `name` and return `output`."""
        op = schema().OperatorT(
            opcodeIndex=self._code("CUSTOM", 1, name), inputs=list(inputs), outputs=[output]
        )
        self.ops.append(op)
        return output

    def copy_tensor(self, tensor: int, channels: int | None = None) -> int:
        """A new unnamed tensor of the same type and shape, or with another last dimension."""
        twin = copy.copy(self.graph.tensors[tensor])
        twin.name, twin.shape = "", self.shape(tensor)
        if twin.shapeSignature is not None:
            twin.shapeSignature = [int(n) for n in twin.shapeSignature]
        if channels is not None:
            twin.shape[-1] = channels
            if twin.shapeSignature is not None:
                twin.shapeSignature[-1] = channels
        self.graph.tensors.append(twin)
        return len(self.graph.tensors) - 1

    def same_op(
        self, like: OperatorTree, inputs: Sequence[int], output: int, name: str, version: int
    ) -> None:
        """Append an operator with the options of `like`."""
        op = copy.copy(like)
        op.inputs, op.outputs = list(inputs), [output]
        self.ops.append(self.with_code(op, name, version))

    def set_options(self, op: OperatorTree, name: str, **options: object) -> None:
        """Give `op` fresh options of builtin `name`."""
        op.builtinOptionsType = getattr(schema().BuiltinOptions, f"{_OPTIONS[name]}Options")
        op.builtinOptions = getattr(schema(), f"{_OPTIONS[name]}OptionsT")(**options)

    def set_activation(self, op: OperatorTree, activation: int) -> None:
        """Give `op` options of its own with this fused activation."""
        op.builtinOptions = copy.copy(op.builtinOptions)
        op.builtinOptions.fusedActivationFunction = activation

    def with_code(self, op: OperatorTree, name: str, version: int) -> OperatorTree:
        """`op` set to builtin `name` of `version`, by which some runtimes choose the kernel."""
        op.opcodeIndex = self._code(name, version)
        return op

    def reshape(
        self, tensor: int, shape: Sequence[int] | Array, kind: str, **grid: Unpack[Quantization]
    ) -> int:
        """`tensor` in another static shape."""
        sizes = [int(n) for n in shape]
        out = self.tensor(sizes, kind, **grid)
        self.op("RESHAPE", [tensor, self.constant(np.array(sizes, np.int32))], out, newShape=sizes)
        return out

    def gather(
        self, table: int, positions: int, kind: str, version: int = 1, **grid: Unpack[Quantization]
    ) -> int:
        """Rows of `table` at `positions`: shape of positions + shape of a row."""
        out = self.tensor(self.shape(positions) + self.shape(table)[1:], kind, **grid)
        self.op("GATHER", [table, positions], out, version, axis=0)
        return out

    def dequantize(self, tensor: int) -> int:
        """`tensor` as float32; every runtime takes version 2, per-channel scales included."""
        out = self.tensor(self.shape(tensor))
        self.op("DEQUANTIZE", [tensor], out, 2)
        return out

    def cast(self, tensor: int, kind: str) -> int:
        """`tensor` as another type."""
        out = self.tensor(self.shape(tensor), kind)
        source, target = self.graph.tensors[tensor].type, getattr(schema().TensorType, kind)
        self.op("CAST", [tensor], out, inDataType=source, outDataType=target)
        return out

    def sparse(
        self, values: Array, order: Sequence[int] | None, block: int = 1
    ) -> tuple[Sparsity, Array]:
        """How `values` are stored without their zeros, and the values that are; `sparse_values`."""
        return sparse_values(values, order, block)

    def _code(self, name: str, version: int, custom: str | None = None) -> int:
        """The index of an operator's code, added where the model has none."""
        kit = schema()
        builtin = getattr(kit.BuiltinOperator, name)
        wanted = builtin, version, custom
        for index, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.version, custom_name(code)) == wanted:
                return index
        self.model.operatorCodes.append(
            kit.OperatorCodeT(
                customCode=custom,
                builtinCode=builtin,
                deprecatedBuiltinCode=min(builtin, HIGHEST_OLD_CODE),
                version=version,
            )
        )
        return len(self.model.operatorCodes) - 1


def _quantization(scale: ArrayLike, zero_point: ArrayLike = 0, axis: int = 0) -> QuantizationTree:
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    zeros = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy()
    return schema().QuantizationParametersT(scale=scales, zeroPoint=zeros, quantizedDimension=axis)
