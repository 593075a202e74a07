"""What a `.tflite` holds, read without copying its weights: operators, tensors, their types."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfcompress._backend.tflite._flatbuffer import schema
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
    """One tensor: `kind` is its type by name (`INT8`), `constant` whether the file holds its values."""

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
    """One operator: `kind` (`CONV_2D`), its input tensors (None where an optional one is left out) and outputs."""

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def kernel(self) -> Tensor | None:
        """The constant kernel of a convolution or dense operator; None for others and for computed kernels."""
        place = KERNEL_INPUT.get(self.kind)
        tensor = self.inputs[place] if place is not None and place < len(self.inputs) else None
        return tensor if tensor is not None and tensor.constant else None

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """The inputs whose values the file holds."""
        return tuple(tensor for tensor in self.inputs if tensor is not None and tensor.constant)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that tell where it came from: its kernel's first, as an output may be named after the activation fused in."""
        return (
            *((self.kernel.name,) if self.kernel else ()),
            *(tensor.name for tensor in self.outputs),
        )

    def holds(self, kind: str) -> bool:
        """Whether any of its inputs or outputs is of type `kind`."""
        return any(
            tensor is not None and tensor.kind == kind for tensor in (*self.inputs, *self.outputs)
        )


@dataclass(frozen=True)
class Facts:
    """The operators of all subgraphs in order, and the inputs and outputs of the first."""

    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_facts(data: bytes) -> Facts:
    """The facts of `.tflite` bytes; a constant that passes a DEQUANTIZE counts as a constant of its stored type.

    Raises ConversionError for bytes that are no complete `.tflite`.
    """
    kit = schema()
    kinds = {value: name for name, value in vars(kit.TensorType).items() if isinstance(value, int)}
    names = {
        value: name for name, value in vars(kit.BuiltinOperator).items() if isinstance(value, int)
    }
    if bytes(data[4:8]) != b"TFL3":
        raise ConversionError(
            f"Not a .tflite: bytes 4 to 8 are {bytes(data[4:8])!r}, expected b'TFL3' ({len(data):,} bytes given)."
        )
    try:
        model = kit.Model.GetRootAs(bytes(data))
        codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
        kind_of_code = [
            names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes
        ]
        filled = [_is_filled(model.Buffers(i)) for i in range(model.BuffersLength())]
        graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
        ops: list[Op] = []
        ends: list[tuple[Tensor, ...]] = []
        for graph in graphs:
            tensors = [
                _tensor(graph.Tensors(i), kinds, filled) for i in range(graph.TensorsLength())
            ]
            stored: dict[int, Tensor] = {}  # output of a DEQUANTIZE of a constant → that constant
            for i in range(graph.OperatorsLength()):
                op = graph.Operators(i)
                kind = kind_of_code[op.OpcodeIndex()]
                ins, outs = _indices(op.InputsAsNumpy()), _indices(op.OutputsAsNumpy())
                if kind == "DEQUANTIZE" and tensors[ins[0]].constant:
                    stored[outs[0]] = tensors[ins[0]]
                    continue
                inputs = tuple(None if n < 0 else stored.get(n, tensors[n]) for n in ins)
                ops.append(Op(kind, inputs, tuple(tensors[n] for n in outs)))
            ends.append(tuple(tensors[n] for n in _indices(graph.InputsAsNumpy())))
            ends.append(tuple(tensors[n] for n in _indices(graph.OutputsAsNumpy())))
    except Exception as error:  # the generated reader indexes wherever the bytes point
        raise ConversionError(
            f"The .tflite is damaged or cut short after {len(data):,} bytes: {error}."
        ) from error
    return Facts(tuple(ops), ends[0], ends[1])


def _is_filled(buffer) -> bool:
    return buffer.DataLength() > 0 or buffer.Size() > 1


def _indices(values) -> list[int]:
    return (
        [] if isinstance(values, int) else [int(n) for n in values]
    )  # the reader gives 0 for an absent vector


def _tensor(tensor, kinds, filled) -> Tensor:
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    return Tensor(
        (tensor.Name() or b"").decode(), kinds[tensor.Type()], shape, filled[tensor.Buffer()]
    )
