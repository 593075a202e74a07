"""A factor that stands behind an operator instead of in its weights, read back."""

from __future__ import annotations

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core._types import Array
from tfcompress.targets.packing._levels import broadcast
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._weight_file import Operator, scales


def only_consumer(stored: StoredWeights) -> Operator | None:
    """The one operator that takes the output of the weights' own one; None if there are others."""
    operator = stored.operand.operator
    if not operator.outputs:
        return None
    output = (operator.graph, operator.outputs[0])
    consumers = stored.file.consumers.get(output, [])
    if len(consumers) != 1 or stored.file.is_output(output):
        return None
    return consumers[0]


def factor_behind(stored: StoredWeights) -> Array | None:
    """The factor of each channel by which `apply_scaled` multiplies behind the operator, or None.

    It is the constant first input of a MUL behind an operator with a unit scale and no activation,
    so that f · (w·x + b) = (f·w)·x + f·b. A multiplication of the model itself has its constant
    second: it belongs to the layers, not to the weights.

    Returns:
        float32, shaped to multiply the weights.
    """
    file, operand = stored.file, stored.operand
    consumer = only_consumer(stored)
    if consumer is None or consumer.kind != "MUL" or not _unit_scale(stored):
        return None
    if operand.operator.tree.builtinOptions.fusedActivationFunction:
        return None
    constant, product = consumer.inputs
    if constant in operand.operator.outputs or product not in operand.operator.outputs:
        return None
    factor = flatbuffer.constant(file.model, file.tensor((consumer.graph, constant)))
    channels = stored.values.shape[operand.axis]
    if factor is None or factor.size not in (1, channels):
        return None
    return broadcast(factor.astype(np.float32), stored.values.ndim, operand.axis)


def _unit_scale(stored: StoredWeights) -> bool:
    """Whether the kernel itself multiplies the weights by nothing."""
    scale = scales(stored.file.tensor(stored.operand.place))
    return len(scale) == 0 or bool((scale == 1).all() and len(scale) == 1)
