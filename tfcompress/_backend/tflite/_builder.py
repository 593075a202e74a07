"""New operators, tensors and constants for a `.tflite` being rewritten."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import Any

import numpy as np

from tfcompress._backend.tflite._flatbuffer import SMALL_TYPES, pack_bits, schema

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


class Builder:
    """Appends to one subgraph of a `ModelT`; tensors are given and returned as indices.

    `ops` collects the operators in order of execution. Without a model, an empty one with a subgraph `main` is begun.
    """

    def __init__(self, model: Any = None, subgraph: int = 0):
        s = schema()
        if model is None:
            model = s.ModelT(
                version=3,
                operatorCodes=[],
                subgraphs=[],
                buffers=[s.BufferT()],
                description="tfcompress",
            )
        self.model = model
        if not model.subgraphs:
            self.new_subgraph("main")
        self.graph = model.subgraphs[subgraph]
        self.ops: list[Any] = []
        self.first_ops: list[Any] = []
        """Operators that must come before all of `ops`, such as CALL_ONCE."""
        self.shared: dict[Any, int] = {}
        """Tensors and subgraphs made once for several layers, by any key."""

    def new_subgraph(self, name: str) -> int:
        """Index of a new, empty subgraph."""
        self.model.subgraphs.append(
            schema().SubGraphT(tensors=[], operators=[], inputs=[], outputs=[], name=name)
        )
        return len(self.model.subgraphs) - 1

    @contextmanager
    def inside(self, subgraph: int):
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
        shape: Any,
        kind: str = "FLOAT32",
        *,
        data: np.ndarray | None = None,
        sparsity: Any = None,
        **grid: Any,
    ) -> int:
        """A tensor of `shape` and type `kind`; `scale` (with `zero_point`, `axis`) quantizes it, `data` makes it constant.

        INT2 and INT4 `data` are given as integers and packed here. Scale and zero point always get the same length.
        """
        s = schema()
        tensor = s.TensorT(
            shape=[int(n) for n in shape],
            type=getattr(s.TensorType, kind),
            hasRank=True,
            sparsity=sparsity,
        )
        if "scale" in grid:
            scale = np.atleast_1d(np.asarray(grid["scale"], np.float32))
            zero = np.broadcast_to(
                np.asarray(grid.get("zero_point", 0), np.int64), scale.shape
            ).copy()
            tensor.quantization = s.QuantizationParametersT(
                scale=scale, zeroPoint=zero, quantizedDimension=grid.get("axis", 0)
            )
        if data is not None:
            stored = (
                pack_bits(data, SMALL_TYPES[kind])
                if kind in SMALL_TYPES
                else np.ascontiguousarray(data)
            )
            raw = np.frombuffer(stored.tobytes(), np.uint8)
            self.model.buffers.append(s.BufferT(data=raw))
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: Any) -> int:
        """A constant tensor of `values`' own shape and dtype (float32, or any integer)."""
        values = np.asarray(values)
        return self.tensor(values.shape, values.dtype.name.upper(), data=values)

    def shape(self, tensor: int) -> list[int]:
        """A tensor's static shape."""
        shape = self.graph.tensors[tensor].shape
        return [int(n) for n in (shape if shape is not None else ())]

    def op(
        self, name: str, inputs: list[int], output: int | None, version: int = 1, **options
    ) -> int | None:
        """Append builtin operator `name`; `options` are the fields of its options table. Returns `output`."""
        s = schema()
        made = s.OperatorT(
            opcodeIndex=self._code(name, version),
            inputs=list(inputs),
            outputs=[] if output is None else [output],
        )
        if _OPTIONS[name] is not None:
            made.builtinOptionsType = getattr(s.BuiltinOptions, _OPTIONS[name] + "Options")
            made.builtinOptions = getattr(s, _OPTIONS[name] + "OptionsT")(**options)
        self.ops.append(made)
        return output

    def copy_tensor(self, tensor: int, channels: int | None = None) -> int:
        """A new unnamed tensor of the same type and shape, or with another last dimension."""
        made = copy.copy(self.graph.tensors[tensor])
        made.name, made.shape = "", self.shape(tensor)
        if made.shapeSignature is not None:
            made.shapeSignature = [int(n) for n in made.shapeSignature]
        if channels is not None:
            made.shape[-1] = channels
            if made.shapeSignature is not None:
                made.shapeSignature[-1] = channels
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def same_op(self, like: Any, inputs: list[int], output: int, name: str, version: int) -> None:
        """Append an operator with the options of `like`."""
        made = copy.copy(like)
        made.inputs, made.outputs = list(inputs), [output]
        self.ops.append(self.with_code(made, name, version))

    def set_options(self, op: Any, name: str, **options) -> None:
        """Give `op` fresh options of builtin `name`."""
        op.builtinOptionsType = getattr(schema().BuiltinOptions, _OPTIONS[name] + "Options")
        op.builtinOptions = getattr(schema(), _OPTIONS[name] + "OptionsT")(**options)

    def set_activation(self, op: Any, activation: int) -> None:
        """Give `op` options of its own with this fused activation."""
        op.builtinOptions = copy.copy(op.builtinOptions)
        op.builtinOptions.fusedActivationFunction = activation

    def with_code(self, op: Any, name: str, version: int) -> Any:
        """`op` set to builtin `name` of `version` (a hybrid or float kernel is chosen by it on some runtimes)."""
        op.opcodeIndex = self._code(name, version)
        return op

    def reshape(self, tensor: int, shape: Any, kind: str, **grid) -> int:
        """`tensor` in another static shape."""
        shape = [int(n) for n in shape]
        out = self.tensor(shape, kind, **grid)
        self.op("RESHAPE", [tensor, self.constant(np.array(shape, np.int32))], out, newShape=shape)
        return out

    def gather(self, table: int, positions: int, kind: str, version: int = 1, **grid) -> int:
        """Rows of `table` at `positions`: shape of positions + shape of a row."""
        out = self.tensor(self.shape(positions) + self.shape(table)[1:], kind, **grid)
        self.op("GATHER", [table, positions], out, version, axis=0)
        return out

    def dequantize(self, tensor: int) -> int:
        """`tensor` as float32. Op version 2 is taken by every runtime, per-channel scales included."""
        out = self.tensor(self.shape(tensor))
        self.op("DEQUANTIZE", [tensor], out, 2)
        return out

    def cast(self, tensor: int, kind: str) -> int:
        """`tensor` as another type."""
        out = self.tensor(self.shape(tensor), kind)
        target = getattr(schema().TensorType, kind)
        self.op(
            "CAST", [tensor], out, inDataType=self.graph.tensors[tensor].type, outDataType=target
        )
        return out

    def sparse(
        self, values: np.ndarray, order: list[int] | None, block: int = 1
    ) -> tuple[Any, np.ndarray]:
        """(SparsityParameters, the values that are stored) of `values`: CSR in the last dimension of the traversal `order`,

        or, with `block`, of a matrix [out, in] whose inputs are cut into dense blocks of that many.
        """
        s = schema()
        if block > 1:
            cells = values.reshape(values.shape[0], -1, block)
            full, order, blocks = (cells != 0).any(axis=2), [0, 1, 2], [1]
            outer, inner = [values.shape[0]], [block]
        else:
            order = list(range(values.ndim)) if order is None else order
            turned = np.transpose(values, order)
            cells = turned.reshape(-1, turned.shape[-1])
            full, blocks = cells != 0, []
            outer, inner = turned.shape[:-1], []
        rows = s.DimensionMetadataT(format=s.DimensionType.SPARSE_CSR)
        rows.arraySegmentsType, rows.arraySegments = _index_vector(
            np.append(0, np.cumsum(full.sum(axis=1)))
        )
        rows.arrayIndicesType, rows.arrayIndices = _index_vector(np.nonzero(full)[1])
        dense = [
            [s.DimensionMetadataT(format=s.DimensionType.DENSE, denseSize=int(n)) for n in part]
            for part in (outer, inner)
        ]
        made = s.SparsityParametersT(
            traversalOrder=list(order), blockMap=blocks, dimMetadata=[*dense[0], rows, *dense[1]]
        )
        return made, np.ascontiguousarray(cells[full])

    def _code(self, name: str, version: int) -> int:
        s = schema()
        builtin = getattr(s.BuiltinOperator, name)
        for index, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == builtin and code.version == version:
                return index
        self.model.operatorCodes.append(
            s.OperatorCodeT(
                builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=version
            )
        )
        return len(self.model.operatorCodes) - 1


def _index_vector(values):
    """(union type, vector) in the narrowest of the schema's three index types."""
    s, most = schema(), int(values.max(initial=0))
    name, dtype = (
        ("Uint8", np.uint8)
        if most < 256
        else ("Uint16", np.uint16)
        if most < 65536
        else ("Int32", np.int32)
    )
    return getattr(s.SparseIndexVector, f"{name}Vector"), getattr(s, f"{name}VectorT")(
        values=values.astype(dtype)
    )
