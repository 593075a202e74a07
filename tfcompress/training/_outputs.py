"""What a classifier's output holds: probabilities or logits, told by its graph, else by measuring
it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer, Model, Tensor

Kind: TypeAlias = Literal["softmax", "sigmoid", "logits"]

SMALLEST = 1e-7  # probability whose logarithm is taken for that of 0
MEASURED_INPUTS = 16
ROUNDING = 1e-2  # by which a sum of float16 probabilities may miss 1
# Activations and operations by name. The logarithm of a softmax is a vector of logits: its softmax
# is the same distribution.
_KINDS: dict[str, Kind] = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "log_softmax": "logits",
    "logsoftmax": "logits",
}
# What hands its input on, each value as it is.
_PASSING = ("activation", "dropout", "quantizelayer", "cast", "identity", "activityregularization")


def output_kind(model: Model, outputs: str | None = None) -> Kind:
    """ "softmax", "sigmoid" or "logits": what the one output of `model` holds.

    The graph is followed back from the output through layers that change no value to the layer or
    operation that computes them. Where that does not tell (a Lambda, an operation of another kind),
    the outputs of random inputs do: rows that sum to one are a softmax, values outside [0, 1] are
    logits.

    Args:
        model: of either Keras, with one output [n, classes].
        outputs: the answer where neither tells.

    Raises:
        ModelError: several outputs, or neither the graph nor the values tell and `outputs` is None.
    """
    if len(model.outputs) != 1:
        raise ModelError(
            f"Distillation is for models with one output; {model.name!r} has {len(model.outputs)}."
        )
    kind = _by_graph(trace_calls(model)) or _by_values(model) or outputs
    if kind is None:
        raise ModelError(
            f"It cannot be told whether {model.name!r} gives logits or sigmoid probabilities: on "
            "random inputs all values are in [0, 1]. Say it: Distill(..., outputs='logits'), or "
            "outputs='sigmoid'."
        )
    return kind  # type: ignore[return-value]


def _by_graph(graph: Calls) -> Kind | None:
    """What the last layer that computes something gives; None where that cannot be read."""
    makers, tensor = graph.maker(), graph.outputs[0]
    classes = graph.shapes[tensor][-1]
    while tensor in makers:
        call = makers[tensor]
        layer = _inside(call.layer)
        name = _activation_name(layer)
        if name in _KINDS:
            return _KINDS[name] if graph.shapes[tensor][-1] == classes else None
        if name == "linear" and hasattr(layer, "kernel"):
            return "logits"
        kind = type(layer).__name__.lower()
        if name != "linear" or len(call.inputs) != 1 or not kind.endswith(_PASSING):
            return None
        tensor = call.inputs[0]
    return None


def _inside(layer: Layer) -> Layer:
    """The layer inside wrappers such as TFMOT's."""
    while hasattr(layer, "layer"):
        layer = layer.layer
    return layer


def _activation_name(layer: Layer) -> str:
    """The name of a layer's activation, or of the operation that it is itself; "linear" where it
    has none.
    """
    activation = getattr(layer, "activation", None)
    activation = getattr(activation, "activation", activation)  # TFMOT's QuantizeAwareActivation
    if activation is not None:
        return getattr(activation, "__name__", type(activation).__name__.lower())
    own = type(layer).__name__.lower()
    return own if own in _KINDS else "linear"


def _by_values(model: Model) -> Kind | None:
    """What the outputs of random inputs are; None where they could be sigmoids or small logits."""
    values = _keras.predict(model, _keras.random_inputs(model, MEASURED_INPUTS))[0]
    values = np.asarray(values, np.float64)
    if values.min() < 0 or values.max() > 1:
        return "logits"
    sums = values.sum(-1)
    if values.shape[-1] > 1 and np.abs(sums - 1).max() < ROUNDING:
        return "softmax"
    return None


def logits_of(outputs: Array, kind: Kind) -> Array:
    """z with softmax(z) = p (z = log p) or sigmoid(z) = p (z = log p − log(1 − p)); [n, classes],
    float32.
    """
    if kind == "logits":
        return outputs.astype(np.float32)
    p = np.clip(outputs.astype(np.float64), SMALLEST, 1 - SMALLEST)
    logits = np.log(p) if kind == "softmax" else np.log(p) - np.log1p(-p)
    return logits.astype(np.float32)


def tensor_logits(outputs: Tensor, kind: Kind) -> Tensor:
    """`logits_of` on tensors, in their dtype; probabilities of 16 bit as float32."""
    import tensorflow as tf

    if kind == "logits":
        return outputs
    outputs = tf.convert_to_tensor(outputs)
    wide = tf.cast(outputs, tf.float32) if outputs.dtype.size < 4 else outputs
    p = tf.clip_by_value(wide, SMALLEST, 1 - SMALLEST)
    return tf.math.log(p) if kind == "softmax" else tf.math.log(p) - tf.math.log1p(-p)
