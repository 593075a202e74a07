"""What a written file holds in which precision, layer by layer.

These are the facts that targets turn into promises and lists of exceptions.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite._facts import Op, Tensor, read_facts
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._rebuild import is_mixed, is_recurrent, quantized
from tfcompress.core._errors import InvariantError
from tfcompress.core._types import Model

DYNAMIC_THRESHOLD = 1024
"""The converter's dynamic-range quantization leaves constants with fewer elements in float32."""
CASTS = ("QUANTIZE", "DEQUANTIZE")
REALS = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16")
"""Types of an input or output that stands for real numbers."""

LayerOp = tuple[str, str]
"""A layer's name and an operator of it."""


def float_operators(model: Model, data: bytes) -> list[LayerOp]:
    """(layer, operator) of everything in the file that computes in float32, casts left out."""
    names = LayerNames(model)
    ops = read_facts(data).ops
    computing = [op for op in ops if op.kind not in CASTS and op.holds("FLOAT32")]
    return list(dict.fromkeys((_layer(op, names), op.kind) for op in computing))


def is_quantization_aware(model: Model) -> bool:
    """Whether the model carries TFMOT's quantize wrappers."""
    return any(quantized(layer) for layer in doors.leaf_layers(model))


def is_half_precision(model: Model) -> bool:
    """Whether a layer of the model computes in half precision."""
    return any(is_mixed(layer) for layer in doors.leaf_layers(model))


def is_recurrent_model(model: Model) -> bool:
    """Whether a layer of the model loops over time."""
    return any(is_recurrent(layer) for layer in doors.leaf_layers(model))


def kernels(model: Model, data: bytes) -> list[tuple[str, str, str, int]]:
    """(layer, operator, type, elements) of every constant kernel of a Conv or Dense operator."""
    names = LayerNames(model)
    kernels_in_file = []
    for op in read_facts(data).ops:
        if op.kernel is not None:
            kernels_in_file.append((_layer(op, names), op.kind, op.kernel.kind, op.kernel.size))
    return kernels_in_file


def layers_with_kernels(model: Model, data: bytes, kind: str) -> list[LayerOp]:
    """(layer, operator) of every constant kernel of type `kind`."""
    return [(layer, op) for layer, op, stored, _ in kernels(model, data) if stored == kind]


def constants(model: Model, data: bytes, kind: str) -> list[tuple[str, str, int]]:
    """(layer, operator, elements) of every constant of type `kind` in the file."""
    names = LayerNames(model)
    listed = []
    for op in read_facts(data).ops:
        of_kind = [constant for constant in op.constants if constant.kind == kind]
        listed += [(_layer(op, names), op.kind, constant.size) for constant in of_kind]
    return listed


def count_operators(data: bytes, kind: str) -> int:
    """How many operators of one kind the file has."""
    return sum(op.kind == kind for op in read_facts(data).ops)


def check_kernels(
    model: Model, data: bytes, kind: str, what: str, *, excused: Sequence[LayerOp] = ()
) -> tuple[int, int]:
    """How many kernels are of type `kind`, and how many of the `excused` are not.

    Raises InvariantError naming the layer for one that is neither. `what` names the target.
    """
    right = left = 0
    for layer, op, came, size in kernels(model, data):
        if came == kind:
            right += 1
        elif (layer, op) in excused:
            left += 1
        else:
            raise InvariantError(
                f"{what}: the kernel of layer {layer!r} ({op}, {size:,} weights) is {came} in the"
                f" file, expected {kind}. Please report the model; Float16 or DynamicRange may"
                " take it."
            )
    return right, left


def check_ends(model: Model, data: bytes, kind: str, what: str) -> None:
    """InvariantError where an input or output of real numbers is not of type `kind`.

    An input that takes whole numbers in the model, such as uint8 images, stays as it is.
    """
    facts = read_facts(data)
    given = zip(facts.inputs, doors.input_specs(model))
    real = [tensor for tensor, (_, _, dtype) in given if "int" not in dtype]
    for tensor in (*real, *facts.outputs):
        if _is_wrong(tensor, kind):
            raise InvariantError(
                f"{what}: {tensor.name!r} is {tensor.kind} in the file, expected {kind} at its"
                " inputs and outputs."
            )


def _is_wrong(tensor: Tensor, kind: str) -> bool:
    return tensor.kind in REALS and tensor.kind != kind


def _layer(op: Op, names: LayerNames) -> str:
    return names.find(*op.names) or op.names[0]
