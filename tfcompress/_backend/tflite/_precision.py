"""What a written file holds in which precision, layer by layer: facts that the targets turn into promises and lists of exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite._facts import Facts, Op, read_facts
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._rebuild import quantized
from tfcompress.core._errors import InvariantError

DYNAMIC_THRESHOLD = 1024
"""The converter's dynamic-range quantization leaves constants with fewer elements in float32."""


def float_operators(model: Any, data: bytes) -> list[tuple[str, str]]:
    """(layer, operator) of everything in the file that computes in float32, apart from the casts between the types."""
    facts, names = read_facts(data), LayerNames(model)
    found = [
        (_layer(op, names), op.kind)
        for op in facts.ops
        if op.kind not in ("QUANTIZE", "DEQUANTIZE") and op.holds("FLOAT32")
    ]
    return list(dict.fromkeys(found))


def is_quantization_aware(model: Any) -> bool:
    """Whether the model carries TFMOT's quantize wrappers."""
    return any(quantized(layer) for layer in doors.leaf_layers(model))


def kernels(model: Any, data: bytes) -> list[tuple[str, str, str, int]]:
    """(layer, operator, type, elements) of every constant kernel of a convolution or dense operator."""
    names = LayerNames(model)
    return [
        (_layer(op, names), op.kind, op.kernel.kind, op.kernel.size)
        for op in read_facts(data).ops
        if op.kernel is not None
    ]


def constants(model: Any, data: bytes, kind: str) -> list[tuple[str, str, int]]:
    """(layer, operator, elements) of every constant of type `kind` in the file."""
    names = LayerNames(model)
    return [
        (_layer(op, names), op.kind, c.size)
        for op in read_facts(data).ops
        for c in op.constants
        if c.kind == kind
    ]


def check_kernels(
    model: Any, data: bytes, kind: str, what: str, *, excused: Sequence[tuple[str, str]] = ()
) -> tuple[int, int]:
    """How many kernels are of type `kind`, and how many are `excused` (layer, operator) pairs that are not.

    Raises InvariantError naming the layer for one that is neither.
    """
    right = left = 0
    for layer, op, came, size in kernels(model, data):
        if came == kind:
            right += 1
        elif (layer, op) in excused:
            left += 1
        else:
            raise InvariantError(
                f"{what}: the kernel of layer {layer!r} ({op}, {size:,} weights) is {came} in the file, expected {kind}."
                " Please report the model; Float16 or DynamicRange may take it."
            )
    return right, left


def check_ends(data: bytes, kind: str, what: str) -> None:
    """InvariantError where an input or output that computes with real numbers is not of type `kind`."""
    facts: Facts = read_facts(data)
    reals = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16")
    wrong = [
        tensor
        for tensor in (*facts.inputs, *facts.outputs)
        if tensor.kind in reals and tensor.kind != kind
    ]
    if wrong:
        raise InvariantError(
            f"{what}: {wrong[0].name!r} is {wrong[0].kind} in the file, expected {kind} at its inputs and outputs."
        )


def _layer(op: Op, names: LayerNames) -> str:
    return names.find(*op.names) or op.names[0]
