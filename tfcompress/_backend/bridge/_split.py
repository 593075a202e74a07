"""Layers that are carried over in parts.

They are activations that are layers themselves, and what TFMOT cannot quantize whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfcompress._backend.bridge._native import activation, constant_normalization, native
from tfcompress._backend.graph._flavour import flavour, from_keras, is_layer
from tfcompress._backend.graph._walk import flat_names
from tfcompress._backend.keras._copy import copy_layer
from tfcompress.core._types import Layer, Model

# Activations that TFMOT's QuantizeAwareActivation takes inside Conv and Dense layers; not swish,
# before which it leaves the convolution's own output without a range, so that both stay float32.
_QUANTIZABLE = {"linear", "relu", "gelu", "softmax", "sigmoid", "tanh"}
_WEIGHTED = {
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Dense",
    "DepthwiseConv2D",
    "SeparableConv2D",
}


def _plan(layer: Layer, split: bool) -> tuple[bool, bool]:
    """(in two convolutions?, activation apart?) for one layer."""
    kind = type(layer).__name__
    if kind not in _WEIGHTED or not from_keras(type(layer)):
        return False, False
    function = layer.activation
    name = "linear" if function is None else getattr(function, "__name__", "")
    is_apart = is_layer(function) or (split and name not in _QUANTIZABLE)
    return split and kind == "SeparableConv2D", is_apart


def suffixes(layer: Layer, split: bool) -> list[str]:
    """Name suffixes of the parts that `layer` is carried over in; [""] where it stays whole."""
    is_separable, is_apart = _plan(layer, split) if is_layer(layer) else (False, False)
    convolutions = ["_depthwise", "_pointwise"] if is_separable else [""]
    return [*convolutions, "_act"] if is_apart else convolutions


def parts(layer: Layer, names: Sequence[str], split: bool) -> list[Layer] | None:
    """tf_keras layers named `names` that in a row do what `layer` does; None without any.

    SeparableConv2D = depthwise convolution, then a 1×1 convolution;
    f(conv(x)) = Activation(f) after the linear convolution.
    """
    import tf_keras

    is_separable, is_apart = _plan(layer, split)
    is_keras3 = flavour(layer) == "keras"
    whole = native(layer, names[0], linear=is_apart) if is_keras3 else _tf_copy(layer, names[0])
    if whole is None:
        return None
    if is_apart and not is_keras3:
        whole.activation = tf_keras.activations.linear
    made = _separable(whole, names) if is_separable else [whole]
    if is_apart:
        made.append(_activation_layer(layer.activation, names[-1], whole.dtype_policy))
    if len(made) > 1:
        # It is a loss of what the layer gives, which the last part gives now.
        regularizer, whole.activity_regularizer = whole.activity_regularizer, None
        made[-1].activity_regularizer = regularizer
    return made


def _tf_copy(layer: Layer, name: str) -> Layer:
    import tf_keras

    if type(layer) is tf_keras.layers.Normalization and layer.mean is not None:
        config = constant_normalization(layer, layer.get_config())
        return tf_keras.layers.Normalization.from_config({**(config or {}), "name": name})
    return copy_layer(layer, name, _survivor)


def _activation_layer(function: Any, name: str, policy: Any) -> Layer | None:
    import tf_keras

    if is_layer(function):
        is_keras3 = flavour(function) == "keras"
        return native(function, name) if is_keras3 else copy_layer(function, name, _survivor)
    if getattr(function, "__name__", "") == "relu6":
        return tf_keras.layers.ReLU(6.0, name=name, dtype=policy)
    is_keras3 = getattr(function, "__module__", "").startswith("keras.")
    carried = activation(function) if is_keras3 else function
    return tf_keras.layers.Activation(_survivor(carried), name=name, dtype=policy)


def _survivor(function: Any) -> Any:
    """A user's function in the shape that survives a copy through the config."""
    from tfcompress._backend.bridge._wrapped import Function

    if isinstance(function, (str, Function)) or from_keras(function) or is_registered(function):
        return function
    return Function(function)


def is_registered(function: Callable[..., Any]) -> bool:
    """Whether tf_keras itself can find `function` again by its registered name."""
    import tf_keras

    name = tf_keras.utils.get_registered_name(function)
    return tf_keras.utils.get_registered_object(name) is function


def _separable(whole: Layer, names: Sequence[str]) -> list[Layer]:
    import tf_keras

    shared = {
        "data_format": whole.data_format,
        "dilation_rate": whole.dilation_rate,
        "dtype": whole.dtype_policy,
    }
    depthwise = tf_keras.layers.DepthwiseConv2D(
        whole.kernel_size,
        whole.strides,
        whole.padding,
        whole.depth_multiplier,
        use_bias=False,
        depthwise_initializer=whole.depthwise_initializer,
        depthwise_regularizer=whole.depthwise_regularizer,
        depthwise_constraint=whole.depthwise_constraint,
        name=names[0],
        **shared,
    )
    pointwise = tf_keras.layers.Conv2D(
        whole.filters,
        1,
        use_bias=whole.use_bias,
        activation=whole.activation,
        kernel_initializer=whole.pointwise_initializer,
        kernel_regularizer=whole.pointwise_regularizer,
        kernel_constraint=whole.pointwise_constraint,
        bias_initializer=whole.bias_initializer,
        bias_regularizer=whole.bias_regularizer,
        bias_constraint=whole.bias_constraint,
        name=names[1],
        **{**shared, "dilation_rate": 1},
    )
    return [depthwise, pointwise]


def target_names(model: Model, split: bool) -> dict[int, list[str]]:
    """{id(layer or operation of `model`): names of the layers that carry it} in the flat twin."""
    return flat_names(model, lambda op: suffixes(op, split))
