"""What each kind of layer does to channel labels: `rule(channels, layer, inputs, args, shapes)` → outputs, None if undecidable.

Kernel layouts are Keras's: Dense [in, out], Conv [*k, in, out], DepthwiseConv [*k, in, multiplier], ConvTranspose [*k, out, in].
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

Rule = Callable[[Any, Any, list, tuple, tuple], list | None]


def _like(value: Any, shape: tuple, ids: np.ndarray) -> list:
    return [type(value)(shape, ids)]


def _first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _kernel(channels, layer, inputs, shapes, into: int, out_of: int, groups: int = 1) -> list:
    """A kernel whose axis `into` (from the end) is indexed by the inputs' channels, of one group if there are `groups`, and `out_of` by
    the layer's own; bias [out]."""
    out = channels.own(layer, shapes[0][-1])
    rank = _rank(layer, 0)
    channels.index(layer, 0, rank - into, inputs[0].ids[: len(inputs[0].ids) // groups])
    channels.index(layer, 0, rank - out_of, out, makes=True)
    if layer.use_bias:
        channels.index(layer, 1, 0, out)
    return _like(inputs[0], shapes[0], out)


def dense(channels, layer, inputs, args, shapes):
    """kernel [in, out], bias [out]; also Conv with kernel [*k, in / groups, out]."""
    if _first(layer):
        return None
    groups = getattr(layer, "groups", 1)
    if 1 < groups == len(inputs[0].ids):
        return _alone(channels, layer, inputs, shapes, axis=1)
    if groups > 1:  # they stay equal, so each loses the same of its channels, given and made
        for ids in (inputs[0].ids, channels.own(layer, shapes[0][-1])):
            first, *others = ids.reshape(groups, -1)
            for other in others:
                channels.join(first, other)
    return _kernel(channels, layer, inputs, shapes, into=2, out_of=1, groups=groups)


def _alone(channels, layer, inputs, shapes, axis: int) -> list:
    """Every input channel makes m of its own, c·m … c·m + m − 1; `axis` (from the end) of the kernel counts the inputs (2) or these (1)."""
    out = np.repeat(inputs[0].ids, shapes[0][-1] // len(inputs[0].ids))
    channels.index(layer, 0, _rank(layer, 0) - axis, inputs[0].ids if axis == 2 else out)
    if layer.use_bias:
        channels.index(layer, 1, 0, out)
    return _like(inputs[0], shapes[0], out)


def transpose(channels, layer, inputs, args, shapes):
    """kernel [*k, out, in], bias [out]."""
    return None if _first(layer) else _kernel(channels, layer, inputs, shapes, into=1, out_of=2)


def depthwise(channels, layer, inputs, args, shapes):
    """kernel [*k, in, multiplier], bias [in · multiplier]."""
    return None if _first(layer) else _alone(channels, layer, inputs, shapes, axis=2)


def separable(channels, layer, inputs, args, shapes):
    """depthwise [*k, in, m], pointwise [*1, in · m, out], bias [out]."""
    if _first(layer):
        return None
    out = channels.own(layer, shapes[0][-1])
    rank = _rank(layer, 0)
    channels.index(layer, 0, rank - 2, inputs[0].ids)
    channels.index(layer, 1, rank - 2, np.repeat(inputs[0].ids, layer.depth_multiplier))
    channels.index(layer, 1, rank - 1, out, makes=True)
    if layer.use_bias:
        channels.index(layer, 2, 0, out)
    return _like(inputs[0], shapes[0], out)


def embedding(channels, layer, inputs, args, shapes):
    """embeddings [words, out]."""
    out = channels.own(layer, shapes[0][-1])
    channels.index(layer, 0, 1, out, makes=True)
    return _like(inputs[0], shapes[0], out)


def same(channels, layer, inputs, args, shapes):
    """Channel c comes from channel c alone, and zero stays zero or is joined to what multiplies it."""
    if _first(layer) or shapes[0][-1] != len(inputs[0].ids):
        return None
    return _like(inputs[0], shapes[0], inputs[0].ids)


def per_channel(channels, layer, inputs, args, shapes):
    """Every weight [channels]: BatchNormalization's gamma, beta, moving mean and variance."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    return _vectors(channels, layer, inputs, shapes) if axis in (-1, len(shapes[0]) - 1) else None


def _vectors(channels, layer, inputs, shapes) -> list:
    """Every weight is indexed by the inputs' channels, which pass."""
    for weight in range(len(layer.get_weights())):
        channels.index(layer, weight, 0, inputs[0].ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def layer_norm(channels, layer, inputs, args, shapes):
    """gamma, beta [channels]; its mean and variance are over the channels, so that even zeros change the others when they go."""
    one = isinstance(layer.axis, int) or len(layer.axis) == 1
    return (
        per_channel(channels, layer, inputs, args, shapes)
        if one and channels.through_norms
        else None
    )


def layer_scale(channels, layer, inputs, args, shapes):
    """keras.applications' LayerScale of ConvNeXt: gamma [projection_dim] times the input."""
    if getattr(layer, "projection_dim", None) != len(inputs[0].ids) or [
        weight.ndim for weight in layer.get_weights()
    ] != [1]:
        return None
    return _vectors(channels, layer, inputs, shapes)


def prelu(channels, layer, inputs, args, shapes):
    """alpha [*spatial, channels]; a channel axis that is shared has no index."""
    rank = _rank(layer, 0)
    if layer.get_weights()[0].shape[-1] == len(inputs[0].ids):
        channels.index(layer, 0, rank - 1, inputs[0].ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def activation(channels, layer, inputs, args, shapes):
    """Element by element, unless it is a softmax: that divides by the sum over the channels."""
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    if "softmax" in name or type(layer).__name__ == "Softmax":
        return None
    return same(channels, layer, inputs, args, shapes)


def elementwise(channels, layer, inputs, args, shapes):
    """Channel c of the result needs channel c of every input; one with a single channel is broadcast, and stays."""
    width = shapes[0][-1]
    wide = [value for value in inputs if len(value.ids) == width]
    if not wide or (len(shapes[0]) > 1 and any(len(value.shape) < 2 for value in inputs)):
        return None
    if any(np.ndim(item) and np.shape(item)[-1] > 1 for item in _constants(args)):
        return None
    for value in wide[1:]:
        channels.join(wide[0].ids, value.ids)
    for value in inputs:
        if len(value.ids) != width:
            channels.freeze(
                value.ids, f"{getattr(layer, 'name', type(layer).__name__)!r} broadcasts them"
            )
    return _like(wide[0], shapes[0], wide[0].ids)


def concatenate(channels, layer, inputs, args, shapes):
    """Along the channels labels lie side by side; along another axis they are joined."""
    axis = getattr(layer, "axis", -1)
    if axis in (-1, len(shapes[0]) - 1):
        return _like(inputs[0], shapes[0], np.concatenate([value.ids for value in inputs]))
    for value in inputs[1:]:
        channels.join(inputs[0].ids, value.ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def reshape(channels, layer, inputs, args, shapes):
    """Labels of all elements in row-major order; those that come to lie in one column are joined."""
    before, after = inputs[0].shape[1:], shapes[0][1:]
    if (
        None in before
        or None in after
        or _first(layer)
        or not hasattr(layer, "get_config")
        or not hasattr(layer, "get_weights")
    ):
        return None
    full = np.broadcast_to(inputs[0].ids, before).reshape(-1)
    if len(after) == 1:
        return _like(inputs[0], shapes[0], full)
    rows = full.reshape(prod(after[:-1]), after[-1])
    for row in rows[1:]:
        if not np.array_equal(row, rows[0]):
            channels.join(rows[0], row)
    return _like(inputs[0], shapes[0], rows[0])


def permute(channels, layer, inputs, args, shapes):
    """Followed where the channels stay last."""
    return (
        same(channels, layer, inputs, args, shapes)
        if tuple(layer.dims)[-1] == len(layer.dims)
        else None
    )


def reduce(channels, layer, inputs, args, shapes):
    """Mean over positions (`keras.ops.mean` of the axes between batch and channels)."""
    axes = (
        np.atleast_1d(layer.axis) % len(inputs[0].shape)
        if getattr(layer, "axis", None) is not None
        else [0]
    )
    return (
        None
        if 0 in axes or len(inputs[0].shape) - 1 in axes
        else same(channels, layer, inputs, args, shapes)
    )


def lambda_op(channels, layer, inputs, args, shapes):
    """tf_keras's recorded TensorFlow functions: arithmetic and activations."""
    symbol = str(getattr(layer, "symbol", "")).rsplit(".", 1)[-1]
    if symbol in (
        "add",
        "subtract",
        "multiply",
        "truediv",
        "divide",
        "maximum",
        "minimum",
        "radd",
        "rmul",
        "__add__",
        "__mul__",
    ):
        return elementwise(channels, layer, inputs, args, shapes)
    return (
        same(channels, layer, inputs, args, shapes)
        if symbol in ("relu", "relu6", "sigmoid", "tanh", "silu", "swish", "gelu")
        else None
    )


def _constants(args: Any) -> list:
    if isinstance(args, (list, tuple)):
        return [item for part in args for item in _constants(part)]
    return [args] if isinstance(args, np.ndarray) else []


def _rank(layer: Any, weight: int) -> int:
    return layer.get_weights()[weight].ndim


def _table() -> dict[str, Rule]:
    rules: dict[str, Rule] = {
        "Dense": dense,
        "Embedding": embedding,
        "PReLU": prelu,
        "BatchNormalization": per_channel,
    }
    rules |= {"LayerNormalization": layer_norm, "LayerScale": layer_scale}
    for dims in ("1D", "2D", "3D"):
        rules |= {f"Conv{dims}": dense, f"Conv{dims}Transpose": transpose}
        rules |= {
            f"DepthwiseConv{dims}": depthwise,
            f"SeparableConv{dims}": separable,
            f"SpatialDropout{dims}": same,
        }
        for kind in (
            "MaxPooling",
            "AveragePooling",
            "GlobalMaxPooling",
            "GlobalAveragePooling",
            "ZeroPadding",
            "Cropping",
            "UpSampling",
        ):
            rules[kind + dims] = same
    for kind in (
        "ReLU",
        "LeakyReLU",
        "ELU",
        "Dropout",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "Identity",
        "Rescaling",
        "ChannelGate",
    ):
        rules[kind] = same
    for kind in (
        "Relu",
        "Relu6",
        "Sigmoid",
        "Tanh",
        "Silu",
        "HardSigmoid",
        "HardSilu",
        "Gelu",
        "Elu",
        "Negative",
        "Abs",
        "Square",
    ):
        rules[kind] = same
    rules |= {
        "Activation": activation,
        "Softmax": activation,
        "Flatten": reshape,
        "Reshape": reshape,
        "Permute": permute,
    }
    for kind in (
        "Add",
        "Subtract",
        "Multiply",
        "Average",
        "Maximum",
        "Minimum",
        "TrueDivide",
        "Divide",
    ):
        rules[kind] = elementwise
    rules |= {"Concatenate": concatenate, "Mean": reduce, "TFOpLambda": lambda_op}
    return rules


RULES: dict[str, Rule] = _table()
