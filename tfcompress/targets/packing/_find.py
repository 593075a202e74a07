"""The layers of a plain `.tflite` that can be packed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._tree import ModelTree
from tfcompress.core._types import Array
from tfcompress.targets.packing._constants import UNPACK
from tfcompress.targets.packing._detect import detect
from tfcompress.targets.packing._layer import KINDS, Layer
from tfcompress.targets.packing._levels import Levels
from tfcompress.targets.packing._names import Kernels, Unnamed, user_names
from tfcompress.targets.packing._stored import Operand, operands
from tfcompress.targets.packing._weight_file import WeightFile, scales

FLOATS, INTEGERS = ("FLOAT32", "FLOAT32"), ("INT8", "INT8")
"""Types of the input and weights of operators that can be packed."""

Names = Sequence[str] | Kernels
"""The model's layers with weights, in order; with what is known of them, or by name only."""


def find_layers(model: ModelTree, names: Names = ()) -> list[Layer]:
    """The main graph's operators that can be packed, with the levels that their weights are on.

    Their weights are constant float32, or int8 with int8 activations.
    """
    file = WeightFile(model, UNPACK)
    listed = list(operands(file))
    layers = [
        _layer(file, operand, name)
        for operand, name in zip(listed, operand_names(file, listed, names))
    ]
    return [layer for layer in layers if layer is not None]


def operand_names(file: WeightFile, listed: Sequence[Operand], names: Names) -> list[str]:
    """The user's layer of each of the file's weights."""
    kernels: Kernels = dict.fromkeys(names, ()) if isinstance(names, Sequence) else names
    unnamed = [
        Unnamed(
            file.names(operand.operator, operand.place[1]),
            int(np.prod(file.shape(operand.place))),
        )
        for operand in listed
    ]
    return user_names(kernels, unnamed)


def _layer(file: WeightFile, operand: Operand, name: str) -> Layer | None:
    operator, kind = operand.operator, operand.operator.kind
    if operator.graph != 0 or kind not in KINDS or operand.input != 1:
        return None
    source, weight = (0, operator.inputs[0]), operand.place
    types = file.type(source), file.type(weight)
    tensor = file.tensor(weight)
    stored = flatbuffer.constant(file.model, tensor)
    if stored is None or tensor.sparsity is not None or types not in (FLOATS, INTEGERS):
        return None
    bias = _bias(file, operator.input(2))
    if bias is None and operator.input(2) >= 0:
        return None  # a bias computed at run time cannot be divided by the scale
    if types == FLOATS:
        weights, levels = stored, detect(stored, KINDS[kind])
    else:
        levels = Levels("grid", stored.astype(np.int16), scales(tensor), None, KINDS[kind])
        weights = levels.weights()
    return Layer(
        name=name,
        kind=kind,
        op=operator.tree,
        weights=weights,
        levels=levels,
        bias=bias,
        input_shape=tuple(file.shape(source)),
        activation=operator.tree.builtinOptions.fusedActivationFunction,
        integer=types == INTEGERS,
    )


def _bias(file: WeightFile, tensor: int) -> Array | None:
    if tensor < 0:
        return None
    return flatbuffer.constant(file.model, file.tensor((0, tensor)))
