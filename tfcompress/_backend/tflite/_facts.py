"""What a `.tflite` holds, read without copying its weights: operators, tensors, their types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfcompress._backend.tflite._flatbuffer import enum_names, require_identifier, schema
from tfcompress._backend.tflite._tree import FlatTable
from tfcompress.core._errors import ConversionError

KERNEL_INPUT = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
    "CONV_3D": 1,
    "CONV_3D_TRANSPOSE": 1,
}
"""Operators with a kernel, and which of their inputs it is."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: `kind` is its type (`INT8`), `constant` whether the file holds its values."""

    name: str
    kind: str
    shape: tuple[int, ...]
    constant: bool

    @property
    def size(self) -> int:
        """Number of elements (an unknown dimension counts as 1)."""
        return math.prod(abs(n) for n in self.shape)


@dataclass(frozen=True)
class Op:
    """One operator: its inputs (None where one is left out) and outputs.

    `kind` is `CONV_2D` and so on, of a custom operator its own name.
    """

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def kernel(self) -> Tensor | None:
        """The constant kernel of a convolution or dense operator; None without one."""
        place = KERNEL_INPUT.get(self.kind)
        tensor = self.inputs[place] if place is not None and place < len(self.inputs) else None
        return tensor if tensor is not None and tensor.constant else None

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """The inputs whose values the file holds."""
        return tuple(tensor for tensor in self.inputs if tensor is not None and tensor.constant)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that tell where it came from: its kernel's first, then its outputs'."""
        kernel = (self.kernel.name,) if self.kernel else ()
        return (*kernel, *(tensor.name for tensor in self.outputs))

    def holds(self, kind: str) -> bool:
        """Whether any of its inputs or outputs is of type `kind`."""
        tensors = (*self.inputs, *self.outputs)
        return any(tensor is not None and tensor.kind == kind for tensor in tensors)


@dataclass(frozen=True)
class Facts:
    """The operators of all subgraphs in order, and the inputs and outputs of the first."""

    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_facts(data: bytes) -> Facts:
    """The facts of `.tflite` bytes.

    A constant that passes a DEQUANTIZE counts as of its stored type. Raises ConversionError for
    bytes that are no complete `.tflite`.
    """
    data = bytes(data)
    require_identifier(data)
    try:
        model = schema().Model.GetRootAs(data)
        graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
        reader = _Reader(model)
        ops: list[Op] = []
        for graph in graphs:
            ops += reader.ops(graph)
        tensors = reader.tensors(graphs[0])
        inputs = tuple(tensors[n] for n in _indices(graphs[0].InputsAsNumpy()))
        outputs = tuple(tensors[n] for n in _indices(graphs[0].OutputsAsNumpy()))
    except Exception as error:  # the generated reader indexes wherever the bytes point
        raise ConversionError(
            f"The .tflite is damaged or cut short after {len(data):,} bytes: {error}."
        ) from error
    return Facts(tuple(ops), inputs, outputs)


class _Reader:
    """Reads the subgraphs of one file in place."""

    def __init__(self, model: FlatTable):
        codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
        self.kinds = [_kind(code) for code in codes]
        buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
        self.filled = [buffer.DataLength() > 0 or buffer.Size() > 1 for buffer in buffers]

    def tensors(self, graph: FlatTable) -> list[Tensor]:
        """Every tensor of a subgraph."""
        return [self._tensor(graph.Tensors(i)) for i in range(graph.TensorsLength())]

    def ops(self, graph: FlatTable) -> list[Op]:
        """Every operator of a subgraph but the DEQUANTIZE of a constant."""
        tensors = self.tensors(graph)
        stored: dict[int, Tensor] = {}
        ops = []
        for number in range(graph.OperatorsLength()):
            op = graph.Operators(number)
            kind = self.kinds[op.OpcodeIndex()]
            inputs, outputs = _indices(op.InputsAsNumpy()), _indices(op.OutputsAsNumpy())
            if kind == "DEQUANTIZE" and tensors[inputs[0]].constant:
                stored[outputs[0]] = tensors[inputs[0]]
                continue
            taken = tuple(None if n < 0 else stored.get(n, tensors[n]) for n in inputs)
            ops.append(Op(kind, taken, tuple(tensors[n] for n in outputs)))
        return ops

    def _tensor(self, tensor: FlatTable) -> Tensor:
        shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
        kind = enum_names("TensorType")[tensor.Type()]
        name = (tensor.Name() or b"").decode()
        return Tensor(name, kind, shape, self.filled[tensor.Buffer()])


def _kind(code: FlatTable) -> str:
    """The name of an operator, a custom one's own."""
    custom = code.CustomCode()
    if custom:
        return custom.decode()
    return enum_names("BuiltinOperator")[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]


def _indices(values: Sequence[int] | int) -> list[int]:
    """The indices of a vector; the generated reader gives 0 for an absent one."""
    return [] if isinstance(values, int) else [int(n) for n in values]
