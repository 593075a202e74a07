"""One operator with weights that can be packed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfcompress._backend.tflite._tree import OperatorTree
from tfcompress.core._types import Array
from tfcompress.targets.packing._levels import Levels

KINDS = {"FULLY_CONNECTED": 0, "CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Operators whose weights can be packed, and the weights' dimension of output channels."""

OP, TENSOR, CONSTANT, CHANNEL = 52, 48, 88, 12
"""Bytes in the file of an operator, of a tensor, of a constant tensor beside its data, and of a
channel's scale and zero point."""


@dataclass(frozen=True)
class Layer:
    """An operator with constant weights.

    Args:
        name: the user's name of the layer.
        kind: one of KINDS.
        op: the operator in the file.
        weights: float32 [out, in], [out, kh, kw, in / groups] or [1, kh, kw, out].
        levels: what the weights lie on.
        bias: [out], or None.
        input_shape: shape of the operator's input.
        activation: the schema's number of the activation fused into it.
        integer: whether it computes in integers (int8 weights and activations), else in floats.
    """

    name: str
    kind: str
    op: OperatorTree
    weights: Array
    levels: Levels
    bias: Array | None
    input_shape: tuple[int, ...]
    activation: int
    integer: bool = False

    @property
    def axis(self) -> int:
        """The weights' dimension of output channels."""
        return KINDS[self.kind]

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.weights.shape[self.axis]

    @property
    def inputs(self) -> int:
        """Weights of one output channel."""
        return self.weights.size // self.channels

    @property
    def dense(self) -> bool:
        """Whether it is a FULLY_CONNECTED; else a convolution."""
        return self.kind == "FULLY_CONNECTED"

    @property
    def grouped(self) -> bool:
        """Whether it is a CONV_2D whose filters see only some of the input channels."""
        return self.kind == "CONV_2D" and self.weights.shape[3] != self.input_shape[-1]

    @property
    def grid(self) -> bool:
        """Whether the weights are integers −128…127 times a scale."""
        return self.levels.kind == "grid" and self.largest_code <= 127

    @property
    def largest_code(self) -> int:
        """Largest |code| of the weights' levels."""
        return int(np.abs(self.levels.codes).max(initial=0))

    @property
    def matrix(self) -> bool:
        """Whether it multiplies each position by a matrix: FULLY_CONNECTED, or CONV_2D 1×1."""
        if self.dense:
            return True
        if self.kind != "CONV_2D" or self.grouped or self.weights.shape[1:3] != (1, 1):
            return False
        return self.op.builtinOptions.strideH == self.op.builtinOptions.strideW == 1


def old(runtime: str) -> bool:
    """Whether a file must also run on tflite_runtime 2.14.

    That one has no 2-bit tensors and knows one scale for a hybrid FULLY_CONNECTED.
    """
    return runtime != "litert"
