"""What each kind of layer does to channel labels.

A rule is `rule(channels, layer, inputs, args, shapes) -> outputs`, or None where the layer cannot
be followed. Kernel layouts are Keras's: Dense [in, out], Conv [*k, in, out],
DepthwiseConv [*k, in, multiplier], ConvTranspose [*k, out, in].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcompress._backend.channels._mixing import activation_mixes, mixes_channels
from tfcompress._backend.graph._flavour import from_keras, is_layer
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer

if TYPE_CHECKING:
    from tfcompress._backend.channels._labels import Channels, Labels

Shapes = Sequence[tuple[int | None, ...]]
Rule = Callable[..., "list[Labels] | None"]

_REGISTERED: dict[type, Rule] = {}


def register_channel_rule(cls: type, rule: Rule) -> None:
    """Say what layers of class `cls` do to channels, so that `PruneFilters` and `Slim` see through.

    rule: `rule(channels, layer, inputs, args, shapes)` → one `Labels` an output, or None where
    nothing can be said. `inputs` are the `Labels` of the input tensors (`shape`, and `ids`, the
    label of each index of the last axis), `args` the positional arguments, `shapes` the static
    shapes of the outputs. The rule calls `channels.index(layer, weight, axis, ids)` for every axis
    of a weight that a channel indexes, `channels.own(layer, count)` for channels the layer makes,
    `channels.join(ids, ids)` for those that only go together, `channels.freeze(ids, reason)`.
    Raises ModelError if `cls` is no class.
    """
    if not isinstance(cls, type):
        raise ModelError(f"register_channel_rule takes a layer class, got {cls!r}.")
    _REGISTERED[cls] = rule


def rule_for(op: Layer) -> Rule | None:
    """The rule of a layer or operation: registered for its class, or Keras's own.

    A user's class of Keras's name, or one that has its own `call`, does not get Keras's rule.
    """
    for cls in type(op).__mro__:
        if cls in _REGISTERED:
            return _REGISTERED[cls]
        is_known = from_keras(cls) or cls.__module__.startswith("tfcompress.")
        if not is_known:
            continue
        keeps_call = getattr(type(op), "call", None) is getattr(cls, "call", None)
        return RULES.get(cls.__name__) if keeps_call else None
    return None


def _like(value: Labels, shape: tuple[int | None, ...], ids: Array) -> list[Labels]:
    return [type(value)(shape, ids)]


def _channels_first(layer: Layer) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _rank(layer: Layer, weight: int = 0) -> int:
    return len(layer.weights[weight].shape)


def _activated(channels: Channels, layer: Layer, ids: Array) -> None:
    """Freeze channels that the layer's own activation mixes."""
    if activation_mixes(layer):
        channels.freeze(ids, f"the activation of {layer.name!r} mixes them")


def _kernel(
    channels: Channels,
    layer: Layer,
    inputs: list[Labels],
    shapes: Shapes,
    *,
    input_axis: int,
    output_axis: int,
    groups: int = 1,
) -> list[Labels]:
    """A kernel indexed by the inputs' channels (of one group) and by the layer's own; bias [out].

    The axes count from the kernel's end, from 1.
    """
    output_ids = channels.own(layer, shapes[0][-1] or 1)
    rank = _rank(layer)
    group_ids = inputs[0].ids[: len(inputs[0].ids) // groups]
    channels.index(layer, 0, rank - input_axis, group_ids)
    channels.index(layer, 0, rank - output_axis, output_ids, makes=True)
    if layer.use_bias:
        channels.index(layer, 1, 0, output_ids)
    _activated(channels, layer, output_ids)
    return _like(inputs[0], shapes[0], output_ids)


def dense(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """kernel [in, out], bias [out]; also Conv with kernel [*k, in / groups, out]."""
    if _channels_first(layer):
        return None
    groups = getattr(layer, "groups", 1)
    if 1 < groups == len(inputs[0].ids):
        return _alone(channels, layer, inputs, shapes, counts_inputs=False)
    if groups > 1:  # groups stay equal: each loses the same of its inputs and of its outputs
        for ids in (inputs[0].ids, channels.own(layer, shapes[0][-1] or 1)):
            first, *others = ids.reshape(groups, -1)
            for other in others:
                channels.join(first, other)
    return _kernel(channels, layer, inputs, shapes, input_axis=2, output_axis=1, groups=groups)


def _alone(
    channels: Channels, layer: Layer, inputs: list[Labels], shapes: Shapes, *, counts_inputs: bool
) -> list[Labels]:
    """Every input channel c makes m channels of its own, c·m … c·m + m − 1.

    counts_inputs: the kernel's last axis but one counts the inputs; else its last counts outputs.
    """
    output_ids = np.repeat(inputs[0].ids, (shapes[0][-1] or 1) // len(inputs[0].ids))
    axis = _rank(layer) - (2 if counts_inputs else 1)
    channels.index(layer, 0, axis, inputs[0].ids if counts_inputs else output_ids)
    if layer.use_bias:
        channels.index(layer, 1, 0, output_ids)
    _activated(channels, layer, output_ids)
    return _like(inputs[0], shapes[0], output_ids)


def transpose(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """kernel [*k, out, in], bias [out]."""
    if _channels_first(layer):
        return None
    return _kernel(channels, layer, inputs, shapes, input_axis=1, output_axis=2)


def depthwise(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """kernel [*k, in, multiplier], bias [in · multiplier]."""
    if _channels_first(layer):
        return None
    return _alone(channels, layer, inputs, shapes, counts_inputs=True)


def separable(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """depthwise [*k, in, m], pointwise [*1, in · m, out], bias [out]."""
    if _channels_first(layer):
        return None
    output_ids = channels.own(layer, shapes[0][-1] or 1)
    rank = _rank(layer)
    channels.index(layer, 0, rank - 2, inputs[0].ids)
    channels.index(layer, 1, rank - 2, np.repeat(inputs[0].ids, layer.depth_multiplier))
    channels.index(layer, 1, rank - 1, output_ids, makes=True)
    if layer.use_bias:
        channels.index(layer, 2, 0, output_ids)
    _activated(channels, layer, output_ids)
    return _like(inputs[0], shapes[0], output_ids)


def embedding(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """embeddings [words, out]."""
    output_ids = channels.own(layer, shapes[0][-1] or 1)
    channels.index(layer, 0, 1, output_ids, makes=True)
    return _like(inputs[0], shapes[0], output_ids)


def same(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Channel c comes from channel c alone."""
    if _channels_first(layer) or shapes[0][-1] != len(inputs[0].ids):
        return None
    return _like(inputs[0], shapes[0], inputs[0].ids)


def rescaling(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """A scalar scale and offset; one a channel cannot be sliced, since it is an option."""
    if any(np.size(getattr(layer, option)) > 1 for option in ("scale", "offset")):
        return None
    return same(channels, layer, inputs, args, shapes)


def per_channel(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Every weight [channels]: BatchNormalization's gamma, beta, moving mean and variance."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    is_last = axis in (-1, len(shapes[0]) - 1)
    return _vectors(channels, layer, inputs, shapes) if is_last else None


def _vectors(
    channels: Channels, layer: Layer, inputs: list[Labels], shapes: Shapes
) -> list[Labels]:
    """Every weight is indexed by the inputs' channels, which pass."""
    for weight in range(len(layer.weights)):
        if _rank(layer, weight) == 1:
            channels.index(layer, weight, 0, inputs[0].ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def layer_norm(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """gamma, beta [channels]; even channels of zeros change the statistics when they go."""
    has_one_axis = isinstance(layer.axis, int) or len(layer.axis) == 1
    if not (has_one_axis and channels.through_norms):
        return None
    return per_channel(channels, layer, inputs, args, shapes)


def layer_scale(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """keras.applications' LayerScale of ConvNeXt: gamma [projection_dim] times the input."""
    has_one_vector = [len(weight.shape) for weight in layer.weights] == [1]
    if getattr(layer, "projection_dim", None) != len(inputs[0].ids) or not has_one_vector:
        return None
    return _vectors(channels, layer, inputs, shapes)


def prelu(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """alpha [*spatial, channels]; a channel axis that is shared has no index."""
    if int(layer.weights[0].shape[-1]) == len(inputs[0].ids):
        channels.index(layer, 0, _rank(layer) - 1, inputs[0].ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def activation(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Element by element, unless the function mixes channels, as a softmax does."""
    function = getattr(layer, "activation", layer)
    if type(layer).__name__ == "Softmax" or mixes_channels(function):
        return None
    return same(channels, layer, inputs, args, shapes)


def elementwise(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Channel c of the result needs channel c of every input.

    An input with a single channel is broadcast, and stays; so do the channels that meet a constant
    with a value for each of them, since a constant is not sliced.
    """
    width = shapes[0][-1]
    wide = [value for value in inputs if len(value.ids) == width]
    has_vectors = len(shapes[0]) > 1 and any(len(value.shape) < 2 for value in inputs)
    if not wide or has_vectors or any(_width(leaf) > 1 for leaf in _constants(args)):
        return None
    for value in wide[1:]:
        channels.join(wide[0].ids, value.ids)
    for value in inputs:
        if len(value.ids) != width:
            name = getattr(layer, "name", type(layer).__name__)
            channels.freeze(value.ids, f"{name!r} broadcasts them")
    return _like(wide[0], shapes[0], wide[0].ids)


def _constants(args: Any) -> list[Any]:
    """Arrays and eager tensors among the arguments."""
    if isinstance(args, dict):
        return _constants(list(args.values()))
    if isinstance(args, (list, tuple)):
        return [leaf for part in args for leaf in _constants(part)]
    is_constant = hasattr(args, "shape") and hasattr(args, "dtype")
    return [args] if is_constant else []


def _width(constant: Any) -> int:
    shape = tuple(constant.shape)
    return int(shape[-1]) if shape else 1


def concatenate(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Along the channels labels lie side by side; along another axis they are joined."""
    axis = getattr(layer, "axis", -1)
    if axis in (-1, len(shapes[0]) - 1):
        return _like(inputs[0], shapes[0], np.concatenate([value.ids for value in inputs]))
    for value in inputs[1:]:
        channels.join(inputs[0].ids, value.ids)
    return _like(inputs[0], shapes[0], inputs[0].ids)


def reshape(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Labels of all elements in row-major order; those that come to lie in a column are joined."""
    before, after = inputs[0].shape[1:], shapes[0][1:]
    if None in before or None in after or _channels_first(layer) or not is_layer(layer):
        return None
    full = np.broadcast_to(inputs[0].ids, [size or 1 for size in before]).reshape(-1)
    if len(after) == 1:
        return _like(inputs[0], shapes[0], full)
    *positions, width = (size or 1 for size in after)
    rows = full.reshape(prod(positions), width)
    for row in rows[1:]:
        if not np.array_equal(row, rows[0]):
            channels.join(rows[0], row)
    return _like(inputs[0], shapes[0], rows[0])


def permute(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Followed where the channels stay last."""
    stays_last = tuple(layer.dims)[-1] == len(layer.dims)
    return same(channels, layer, inputs, args, shapes) if stays_last else None


def reduce(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """Mean over positions (`keras.ops.mean` of the axes between batch and channels)."""
    rank = len(inputs[0].shape)
    if getattr(layer, "axis", None) is None:
        return None
    axes = np.atleast_1d(layer.axis) % rank
    if 0 in axes or rank - 1 in axes:
        return None
    return same(channels, layer, inputs, args, shapes)


_TF_ARITHMETIC = ("add", "subtract", "multiply", "truediv", "divide", "maximum", "minimum")
_TF_REVERSED = ("radd", "rmul", "__add__", "__mul__")
_TF_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "swish", "gelu")


def lambda_op(
    channels: Channels, layer: Layer, inputs: list[Labels], args: tuple, shapes: Shapes
) -> list[Labels] | None:
    """tf_keras's recorded TensorFlow functions: arithmetic and activations."""
    symbol = str(getattr(layer, "symbol", "")).rsplit(".", 1)[-1]
    if symbol in _TF_ARITHMETIC + _TF_REVERSED:
        return elementwise(channels, layer, inputs, args, shapes)
    if symbol in _TF_ACTIVATIONS:
        return same(channels, layer, inputs, args, shapes)
    return None


def _table() -> dict[str, Rule]:
    rules: dict[str, Rule] = {
        "Dense": dense,
        "Embedding": embedding,
        "PReLU": prelu,
        "BatchNormalization": per_channel,
        "LayerNormalization": layer_norm,
        "LayerScale": layer_scale,
        "Rescaling": rescaling,
        "Activation": activation,
        "Softmax": activation,
        "Flatten": reshape,
        "Reshape": reshape,
        "Permute": permute,
        "Concatenate": concatenate,
        "Mean": reduce,
        "TFOpLambda": lambda_op,
    }
    pooled = ("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling")
    spatial = (*pooled, "ZeroPadding", "Cropping", "UpSampling", "SpatialDropout")
    for dims in ("1D", "2D", "3D"):
        rules[f"Conv{dims}"] = dense
        rules[f"Conv{dims}Transpose"] = transpose
        rules[f"DepthwiseConv{dims}"] = depthwise
        rules[f"SeparableConv{dims}"] = separable
        rules |= _all_of((f"{kind}{dims}" for kind in spatial), same)
    noise = ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout")
    rules |= _all_of(("ReLU", "LeakyReLU", "ELU", *noise, "Identity", "ChannelGate"), same)
    smooth = ("Sigmoid", "Tanh", "Silu", "HardSigmoid", "HardSilu", "Gelu", "Elu")
    rules |= _all_of(("Relu", "Relu6", *smooth, "Negative", "Abs", "Square"), same)
    arithmetic = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    rules |= _all_of((*arithmetic, "TrueDivide", "Divide"), elementwise)
    return rules


def _all_of(names: Iterable[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


RULES: dict[str, Rule] = _table()
