"""One operator with weights, and the ways its weights can be handed to a kernel."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfcompress.targets.packing._levels import Levels

KINDS = {"FULLY_CONNECTED": 0, "CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Operators whose weights can be packed, and the dimension of a weight tensor that counts output channels."""
HYBRID = {"FULLY_CONNECTED": 9, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6}
"""Op versions for integer weights with float activations, which every runtime takes."""
OWN_KERNEL = {**HYBRID, "FULLY_CONNECTED": 8}
"""FULLY_CONNECTED version 8 is the one that XNNPACK leaves to the builtin kernel: needed for weights decoded at start and sparse ones."""
OP, TENSOR, CONSTANT, CHANNEL = 52, 48, 88, 12
"""Bytes that an operator, a tensor, a constant tensor beside its data, and a channel's scale and zero point take in the file."""


@dataclass(frozen=True)
class Layer:
    """An operator with constant weights: `weights` [out, in], [out, kh, kw, in] or [1, kh, kw, out].

    `integer`: it computes in integers (int8 weights and activations), else in floats.
    """

    name: str
    kind: str
    op: Any
    weights: np.ndarray
    levels: Levels
    bias: np.ndarray | None
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
    def grid(self) -> bool:
        """Whether the weights are integers −128..127 times a scale."""
        return self.levels.kind == "grid" and bool(np.abs(self.levels.codes).max(initial=0) <= 127)

    @property
    def matrix(self) -> bool:
        """Whether it multiplies each position by a matrix: FULLY_CONNECTED, or CONV_2D 1×1 with stride 1."""
        if self.kind == "FULLY_CONNECTED":
            return True
        options = self.op.builtinOptions
        return (
            self.kind == "CONV_2D"
            and self.weights.shape[1:3] == (1, 1)
            and options.strideH == options.strideW == 1
        )


class Encoding(ABC):
    """A way to store a layer's weights in a `.tflite` that a stock interpreter reads back."""

    name: ClassVar[str]
    integer: ClassVar[bool] = False
    """Whether it can also hold the weights of an operator that computes in integers."""

    @abstractmethod
    def fits(self, layer: Layer, runtime: str) -> bool:
        """Whether `layer`'s weights can be stored so exactly, and `runtime` ("litert", "tflite_runtime" or "any") computes it rightly."""

    @abstractmethod
    def size(self, layer: Layer, shared: set) -> int:
        """Estimated bytes in the file; tables in `shared` are there already."""

    def shares(self, layer: Layer) -> set:
        """The tables that other layers can use once this one is written."""
        return set()

    @abstractmethod
    def write(self, b: Any, layer: Layer, runtime: str) -> None:
        """Append the operators that take the place of `layer.op`."""


def old(runtime: str) -> bool:
    """Whether it must also run on tflite_runtime 2.14: no 2-bit tensors, one scale for a hybrid FULLY_CONNECTED."""
    return runtime != "litert"


def apply(b: Any, layer: Layer, weight: int, versions: dict[str, int] | None = None) -> None:
    """The layer's own operator on another weight tensor; `versions` None keeps its float version."""
    op = copy.copy(layer.op)
    op.inputs = [layer.op.inputs[0], weight, *layer.op.inputs[2:]]
    b.graph.tensors[weight].name = layer.name
    b.ops.append(op if versions is None else b.with_code(op, layer.kind, versions[layer.kind]))


def apply_scaled(
    b: Any, layer: Layer, weight: int, factor: np.ndarray | None, versions: dict[str, int] | None
) -> None:
    """y = activation(f · (w·x + bias/f)) with `factor` f for each channel: exact channel scales where a kernel knows one scale only."""
    if factor is None:
        return apply(b, layer, weight, versions)
    out = layer.op.outputs[0]
    inner = b.copy_tensor(out)
    op, options = copy.copy(layer.op), copy.copy(layer.op.builtinOptions)
    options.fusedActivationFunction = 0
    bias = [] if layer.bias is None else [b.constant((layer.bias / factor).astype(np.float32))]
    op.inputs = [layer.op.inputs[0], weight, *(bias or layer.op.inputs[2:])]
    op.outputs, op.builtinOptions = [inner], options
    b.graph.tensors[weight].name = layer.name
    b.ops.append(op if versions is None else b.with_code(op, layer.kind, versions[layer.kind]))
    b.op(
        "MUL",
        [inner, b.constant(factor.astype(np.float32))],
        out,
        fusedActivationFunction=layer.activation,
    )


def one_scale(levels: Levels) -> tuple[np.float32, np.ndarray | None]:
    """(scale of the tensor, factor after the operator or None) for kernels that know one scale only."""
    return (levels.scale[0], None) if len(levels.scale) == 1 else (np.float32(1), levels.scale)


def kernel_grid(layer: Layer) -> tuple[dict[str, Any], np.ndarray | None, dict[str, int] | None]:
    """(quantization of int8 weights made at run time, factor behind the operator or None, op versions as in `apply`)."""
    if layer.integer:
        return {"scale": layer.levels.scale, "axis": layer.axis}, None, None
    scale, factor = one_scale(layer.levels)
    return {"scale": scale}, factor, OWN_KERNEL


def channel_scales(layer: Layer, times: float = 1) -> dict[str, Any]:
    """Quantization with a scale for every channel, as XNNPACK's kernels want it."""
    scale = np.broadcast_to(layer.levels.scale * np.float32(times), (layer.channels,)).astype(
        np.float32
    )
    return {"scale": scale, "axis": layer.axis}


def scaling_bytes(layer: Layer) -> int:
    """Bytes of the operator, bias and factors that `apply_scaled` adds, or of the scales that an integer operator has anyway."""
    if layer.integer:
        return CHANNEL * len(layer.levels.scale)
    return 0 if len(layer.levels.scale) == 1 else OP + TENSOR + 2 * CONSTANT + 8 * layer.channels
