"""The graphs of a `.tflite`: a loop and its condition are graphs of their own.

An interpreter names the operations of the main graph alone, so the others are read from the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress._backend.tflite._flatbuffer import schema

STORED_AS = {"FLOAT32": "f4", "FLOAT16": "f2", "FLOAT64": "f8", "INT64": "i8", "INT32": "i4"}
STORED_AS |= {"INT16": "i2", "INT8": "i1", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4"}
STORED_AS |= {"INT4": "i1", "INT2": "i1", "UINT4": "u1", "BOOL": "?"}
"""Tensor type by name → the NumPy type that holds one of its values."""


@dataclass(frozen=True)
class Graph:
    """One graph: its operations in order, tensors by index, and which of them come in and go out.

    `numbers` are the whole numbers that the file stores (tensor → value). `called` are the graphs
    that an operation runs (its index → places of graphs): condition and body of a `WHILE`,
    the two sides of an `IF`.
    """

    ops: tuple[OpInfo, ...]
    tensors: Mapping[int, TensorInfo]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    numbers: Mapping[int, int]
    called: Mapping[int, tuple[int, ...]]

    def shape(self, index: int) -> tuple[int, ...]:
        """The tensor's shape with 1 for what is dynamic; () for an optional input left out."""
        if index not in self.tensors:
            return ()
        return tuple(size or 1 for size in self.tensors[index].shape)


def read_graphs(data: bytes) -> tuple[Graph, ...]:
    """Every graph in the bytes of a `.tflite`, the main one first; no weights are copied.

    Raises ImportError where no reader is installed (ai-edge-litert brings it).
    """
    kit = schema()
    model = kit.Model.GetRootAs(data, 0)
    kinds = _names(kit.BuiltinOperator)
    codes = []
    for place in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(place)
        codes.append(kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])
    graphs = [model.Subgraphs(place) for place in range(model.SubgraphsLength())]
    return tuple(_graph(kit, model, graph, codes) for graph in graphs)


def rounds(outer: Graph, op: OpInfo, condition: Graph, body: Graph) -> int | None:
    """How often a `WHILE` runs its body: until its counter reaches its limit; None where unknown.

    The condition is `counter < limit`, or several such joined by AND, of which the first one
    reached ends the loop: rounds = min ⌈(limit − start) / step⌉.
    """
    if any(inner.kind not in ("LESS", "LOGICAL_AND") for inner in condition.ops):
        return None
    counts: list[int] = []
    for less in condition.ops:
        if less.kind == "LESS":
            count = _rounds_until(outer, op, condition, body, less)
            if count is None:
                return None
            counts.append(count)
    return min(counts, default=None)


def _rounds_until(
    outer: Graph, op: OpInfo, condition: Graph, body: Graph, less: OpInfo
) -> int | None:
    """Rounds until `counter < limit` no longer holds; None where one of its numbers is unknown."""
    counter, limit = less.inputs
    if counter not in condition.inputs:
        return None
    place = condition.inputs.index(counter)
    start, step = outer.numbers.get(op.inputs[place]), _step(body, place)
    end = condition.numbers.get(limit)
    if end is None and limit in condition.inputs:
        carried = condition.inputs.index(limit)
        if is_unchanged(body, carried):
            end = outer.numbers.get(op.inputs[carried])
    if start is None or end is None or step is None or step <= 0:
        return None
    return max(0, math.ceil((end - start) / step))


def is_unchanged(body: Graph, place: int) -> bool:
    """Whether the loop hands its variable at `place` on as it came."""
    return body.outputs[place] == body.inputs[place]


def _step(body: Graph, place: int) -> int | None:
    """What a round adds to the loop variable at `place`; None where it does anything else."""
    for op in body.ops:
        if op.kind == "ADD" and op.outputs[0] == body.outputs[place]:
            others = [index for index in op.inputs if index != body.inputs[place]]
            return body.numbers.get(others[0]) if len(others) == 1 else None
    return None


def _graph(kit: Any, model: Any, graph: Any, codes: list[str]) -> Graph:
    types = _names(kit.TensorType)
    tensors: dict[int, TensorInfo] = {}
    numbers: dict[int, int] = {}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        tensors[index] = info = _tensor(index, tensor, types)
        stored = model.Buffers(tensor.Buffer())
        if info.dtype.kind == "i" and stored.DataLength() == info.dtype.itemsize:
            raw = stored.DataAsNumpy().tobytes()
            numbers[index] = int(np.frombuffer(raw, info.dtype)[0])
    ops: list[OpInfo] = []
    called: dict[int, tuple[int, ...]] = {}
    for index in range(graph.OperatorsLength()):
        op = graph.Operators(index)
        ends = _indices(op.InputsAsNumpy()), _indices(op.OutputsAsNumpy())
        ops.append(OpInfo(index, codes[op.OpcodeIndex()], *ends))
        if places := _called(kit, op, ops[-1].kind):
            called[index] = places
    inputs, outputs = _indices(graph.InputsAsNumpy()), _indices(graph.OutputsAsNumpy())
    return Graph(tuple(ops), tensors, inputs, outputs, numbers, called)


def _called(kit: Any, op: Any, kind: str) -> tuple[int, ...]:
    """Places of the graphs that an operation runs."""
    table = op.BuiltinOptions()
    if table is None or kind not in ("WHILE", "IF"):
        return ()
    options = kit.WhileOptions() if kind == "WHILE" else kit.IfOptions()
    options.Init(table.Bytes, table.Pos)
    if kind == "WHILE":
        return options.CondSubgraphIndex(), options.BodySubgraphIndex()
    return options.ThenSubgraphIndex(), options.ElseSubgraphIndex()


def _tensor(index: int, tensor: Any, types: Mapping[int, str]) -> TensorInfo:
    signature = _indices(tensor.ShapeSignatureAsNumpy()) or _indices(tensor.ShapeAsNumpy())
    shape = tuple(size if size >= 0 else None for size in signature)
    quantization, scales = tensor.Quantization(), np.array([])
    if quantization is not None and quantization.ScaleLength() > 0:
        scales = quantization.ScaleAsNumpy()
    dtype = np.dtype(STORED_AS.get(types[tensor.Type()], "O"))
    return TensorInfo(
        index, (tensor.Name() or b"").decode(), shape, dtype, scales, np.zeros(len(scales), int)
    )


def _indices(values: Any) -> tuple[int, ...]:
    """A vector of the file as numbers; the reader gives 0 for one that is not there."""
    return () if isinstance(values, int) else tuple(int(value) for value in values)


def _names(enumeration: type) -> dict[int, str]:
    """A generated enumeration's names by value."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
