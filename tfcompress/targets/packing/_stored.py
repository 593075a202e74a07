"""The constant weights of a file's operators, as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfcompress._backend.tflite._tree import Sparsity
from tfcompress.core._types import Array
from tfcompress.targets.packing._constants import Unpacked, real_values
from tfcompress.targets.packing._slices import slices_of
from tfcompress.targets.packing._weight_file import Operator, Place, WeightFile

CHANNEL_AXIS = {
    "BATCH_MATMUL": -1,
    "CONV_2D": 0,
    "CONV_3D": 4,
    "CONV_3D_TRANSPOSE": 3,
    "DEPTHWISE_CONV_2D": 3,
    "EMBEDDING_LOOKUP": 0,
    "FULLY_CONNECTED": 0,
    "TRANSPOSE_CONV": 0,
}
"""Operators whose second input is a kernel or table, and its dimension of output channels."""

NO_WEIGHTS = ("CALL_ONCE", "IF", "WHILE", "ASSIGN_VARIABLE", "VAR_HANDLE", "READ_VARIABLE")
"""Operators that hand tensors on: a constant that enters a loop is its first state, often zeros."""


@dataclass(frozen=True)
class Operand:
    """An operator and one of its inputs that is a constant weight."""

    operator: Operator
    input: int

    @property
    def place(self) -> Place:
        """Where the weight tensor is."""
        return self.operator.graph, self.operator.inputs[self.input]

    @property
    def axis(self) -> int:
        """The weights' dimension of output channels."""
        return CHANNEL_AXIS.get(self.operator.kind, 0)


class StoredWeights:
    """An operand's weights and how they are stored.

    Attributes:
        values: float32, the stored values times the scale that the kernel itself knows; of all
            slices, where the layer is computed in slices.
        slices: how many operators compute the layer, each some of its output channels.
        operators, types, sparsity, payload, total: what `Unpacked` noted on the way.
    """

    def __init__(self, file: WeightFile, operand: Operand):
        self.file = file
        self.operand = operand
        walk = Unpacked(file)
        places = [
            (part.graph, part.inputs[operand.input]) for part in slices_of(file, operand.operator)
        ]
        parts = [real_values(file.tensor(place), walk.values(place)) for place in places]
        self.values: Array = parts[0] if len(parts) == 1 else np.concatenate(parts, operand.axis)
        self.slices: int = len(places)
        self.operators: tuple[str, ...] = tuple(walk.operators)
        self.types: tuple[str, ...] = tuple(walk.types)
        self.sparsity: Sparsity = walk.sparsity
        self.payload: int = walk.payload
        self.total: int = walk.total

    @property
    def type(self) -> str:
        """Type of the first constant on the way: of the codes, or of a table that they look up."""
        return self.types[0]

    @property
    def plain(self) -> bool:
        """Whether the operator, or a DEQUANTIZE in front of it, reads the constant itself."""
        return self.sparsity is None and set(self.operators) <= {"DEQUANTIZE"}

    def is_plain(self, kind: str, dequantized: bool = False) -> bool:
        """Whether it is a plain constant of type `kind`, with or without a DEQUANTIZE."""
        return self.plain and self.type == kind and bool(self.operators) == dequantized


def operands(file: WeightFile) -> Iterator[Operand]:
    """Every constant weight of the file's operators, in order of execution, loops' bodies last.

    A kernel or table whatever its shape; of other operators, constants of real numbers with more
    than one value along two dimensions (a bias or a factor of each channel has one dimension).
    """
    for operator in file.operators:
        if operator.kind in NO_WEIGHTS or _unpacks(file, operator):
            continue
        for place in range(len(operator.inputs)):
            if _is_weight(file, operator, place):
                yield Operand(operator, place)


def _unpacks(file: WeightFile, operator: Operator) -> bool:
    """Whether it belongs to what makes weights out of constants."""
    return all(file.is_constant((operator.graph, output)) for output in operator.outputs)


def _is_weight(file: WeightFile, operator: Operator, place: int) -> bool:
    tensor = (operator.graph, operator.inputs[place])
    if tensor[1] < 0 or not file.is_constant(tensor):
        return False
    if operator.kind in CHANNEL_AXIS and place == 1:
        return True
    large = [size for size in file.shape(tensor) if size > 1]
    return len(large) >= 2 and file.is_real(tensor)
