"""A layer's own operator on weights that are stored in another way, and scales behind it."""

from __future__ import annotations

import copy

import numpy as np

from tfcompress._backend.tflite._builder import Builder, Quantization
from tfcompress._backend.tflite._tree import OperatorTree
from tfcompress.core._types import Array
from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, OP, TENSOR, Layer
from tfcompress.targets.packing._levels import Levels

HYBRID = {"FULLY_CONNECTED": 9, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6}
"""Op versions for integer weights with float activations, which every runtime takes."""

OWN_KERNEL = {**HYBRID, "FULLY_CONNECTED": 8}
"""XNNPACK leaves version 8 of FULLY_CONNECTED to the builtin kernel, which weights decoded at the
start and sparse weights need."""

Versions = dict[str, int]


def apply(
    builder: Builder, layer: Layer, weight: int, versions: Versions | None = None
) -> OperatorTree:
    """Append the layer's own operator on tensor `weight`; no `versions` keep its float one."""
    op = copy.copy(layer.op)
    op.inputs = [layer.op.inputs[0], weight, *layer.op.inputs[2:]]
    builder.graph.tensors[weight].name = layer.name
    if versions is not None:
        builder.with_code(op, layer.kind, versions[layer.kind])
    builder.ops.append(op)
    return op


def apply_scaled(
    builder: Builder, layer: Layer, weight: int, factor: Array | None, versions: Versions | None
) -> None:
    """Append y = activation(f · (w·x + bias / f)) with a `factor` f for each channel.

    It gives exact channel scales where a kernel knows one scale only. The factor is the first input
    of its MUL: that tells it from a multiplication of the model itself, whose constant comes second
    (`_behind.py` reads it back).
    """
    op = apply(builder, layer, weight, versions)
    if factor is None:
        return
    output = layer.op.outputs[0]
    unscaled = builder.copy_tensor(output)
    if layer.bias is not None:
        op.inputs[2] = builder.constant((layer.bias / factor).astype(np.float32))
    op.outputs = [unscaled]
    builder.set_activation(op, 0)
    factors = builder.constant(factor.astype(np.float32))
    builder.op("MUL", [factors, unscaled], output, fusedActivationFunction=layer.activation)


def one_scale(levels: Levels) -> tuple[np.float32, Array | None]:
    """(scale of the tensor, factor behind the operator or None) where a kernel knows one scale."""
    if len(levels.scale) == 1:
        return levels.scale[0], None
    return np.float32(1), levels.scale


def channel_scales(layer: Layer, times: float = 1) -> Quantization:
    """A scale for every channel, as XNNPACK's kernels want it."""
    scale = layer.levels.scale * np.float32(times)
    every = np.broadcast_to(scale, (layer.channels,)).astype(np.float32)
    return {"scale": every, "axis": layer.axis}


def kernel_scales(layer: Layer) -> tuple[Quantization, Array | None, Versions | None]:
    """(scales of int8 weights made at run time, factor behind the operator or None, op versions).

    The kernel of grouped convolutions wants a scale for every channel.
    """
    if layer.integer:
        return {"scale": layer.levels.scale, "axis": layer.axis}, None, None
    if layer.grouped:
        return channel_scales(layer), None, OWN_KERNEL
    scale, factor = one_scale(layer.levels)
    return {"scale": scale}, factor, OWN_KERNEL


def equal_scales(layer: Layer) -> bool:
    """Whether all channels have one scale: tflite_runtime 2.14 ignores it in grouped CONV_2D."""
    return bool((layer.levels.scale == layer.levels.scale[0]).all())


def scaling_bytes(layer: Layer) -> int:
    """Bytes of the operator, bias and factors that `apply_scaled` adds.

    For an integer operator: of the scales that it has anyway.
    """
    if layer.integer:
        return CHANNEL * len(layer.levels.scale)
    if layer.grouped:
        return CHANNEL * layer.channels
    if len(layer.levels.scale) == 1:
        return 0
    return OP + TENSOR + 2 * CONSTANT + 8 * layer.channels
