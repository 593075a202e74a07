"""One Keras 3 layer → the tf_keras layer of the same kind and options, where there is one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import from_keras, is_layer
from tfcompress._backend.keras._copy import config_of
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer

# Activations that mean the same in both Kerases; hard_sigmoid and hard_silu differ.
_SAME = {
    "elu",
    "exponential",
    "gelu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
}
_HARMLESS = {("data_format", "channels_last"), ("use_cudnn", "auto"), ("use_cudnn", "True")}
_NEVER = {
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "RNN",
    "StackedRNNCells",
    "SpectralNormalization",
}
_REGISTERED: dict[type, Callable[[Layer, str], Layer]] = {}


def register_tf_keras_twin(cls: type, make: Callable[[Layer, str], Layer]) -> None:
    """Say which tf_keras layer a Keras 3 layer of the user's class `cls` becomes.

    make: `make(layer, name)` → an unbuilt tf_keras layer named `name` with the same function, whose
    `get_weights()` has the same order. Without it the layer itself is wrapped, which TFMOT can
    neither prune nor quantize. Raises ModelError if `cls` is no class.
    """
    if not isinstance(cls, type):
        raise ModelError(f"register_tf_keras_twin takes a layer class, got {cls!r}.")
    _REGISTERED[cls] = make


def activation(function: Any) -> Any:
    """A Keras 3 activation (function or None) as tf_keras takes it; equal values on every input."""
    import keras

    from tfcompress._backend.bridge import _wrapped

    if function is None:
        return None
    name = getattr(function, "__name__", "")
    if getattr(keras.activations, name, None) is function:
        special = {
            "silu": "swish",
            "hard_sigmoid": _wrapped.hard_sigmoid_keras3,
            "hard_silu": _wrapped.hard_swish,
        }
        if name in special or name in _SAME:
            return special.get(name, name)
    return _wrapped.Function(function)


def native(layer: Layer, name: str, linear: bool = False) -> Layer | None:
    """An unbuilt tf_keras layer equal to the Keras 3 `layer`; None if tf_keras has none.

    linear: leave its activation away.
    """
    import tf_keras

    from tfcompress._backend.bridge import _wrapped

    if type(layer) in _REGISTERED:
        return _REGISTERED[type(layer)](layer, name)
    kind = type(layer).__name__
    twin = getattr(tf_keras.layers, kind, None)
    if not from_keras(type(layer)) or twin is None or kind in _NEVER:
        return None
    policy = layer.dtype_policy.name
    if kind == "Lambda":
        return _wrapped.FunctionLayer(
            layer.function, layer.mask, name=name, dtype=policy, arguments=dict(layer.arguments)
        )
    config: dict[str, Any] | None = {**config_of(layer), "dtype": policy, "name": name}
    if kind in _SPECIAL:
        config = _SPECIAL[kind](layer, config)
    if config is None:
        return None
    config = {key: _translated(layer, key, config[key], linear) for key in config}
    if not _drop_unknown(config, _options(twin), _options(type(layer))):
        return None
    if isinstance(config.get("seed"), dict):
        config["seed"] = None
    return twin(**config)


def _translated(layer: Layer, key: str, value: Any, linear: bool) -> Any:
    """One option of a Keras 3 layer as tf_keras takes it."""
    import tf_keras

    if key == "initializer" or key.endswith("_initializer"):
        return _initializer(value, tf_keras.initializers)
    if key.endswith("_regularizer"):
        return _object(getattr(layer, key, None), tf_keras.regularizers)
    if key.endswith("_constraint"):
        return _object(getattr(layer, key, None), tf_keras.constraints)
    if key == "activation" or key.endswith("_activation"):
        return "linear" if linear else activation(getattr(layer, key))
    return value


def _drop_unknown(config: dict[str, Any], known: dict[str, Any], defaults: dict[str, Any]) -> bool:
    """Drop options that tf_keras does not have; False if one of them means something."""
    for key in [key for key in config if key not in known]:
        value = config.pop(key)
        is_meant = value not in (None, False) and value != defaults.get(key)
        if is_meant and key != "seed" and (key, str(value)) not in _HARMLESS:
            return False
    return True


@functools.cache
def _options(cls: type) -> dict[str, Any]:
    """Constructor options of a class with their defaults, those of its bases included."""
    options: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is object or "__init__" not in base.__dict__:
            continue
        parameters = inspect.signature(base.__init__).parameters
        options.update((name, parameter.default) for name, parameter in parameters.items())
    return {**options, "name": None, "trainable": True, "dtype": None}


def _object(thing: Any, module: Any) -> Any:
    """A Keras 3 regularizer or constraint in tf_keras; one's own is called as it is."""
    twin = getattr(module, type(thing).__name__, None)
    if thing is None or twin is None or not from_keras(type(thing)):
        return thing
    return twin.from_config(thing.get_config())


def _initializer(config: Any, module: Any) -> Any:
    """An initializer from its Keras 3 config; zeros where tf_keras has none, as weights follow."""
    twin = getattr(module, config["class_name"], None) if isinstance(config, dict) else None
    if twin is None or not str(config.get("module", "")).startswith("keras"):
        return "zeros"
    options = {key: value for key, value in config["config"].items() if key in _options(twin)}
    if isinstance(options.get("seed"), dict):
        options["seed"] = None
    return twin(**options)


def _leaky_relu(layer: Layer, config: dict[str, Any]) -> dict[str, Any]:
    config["alpha"] = config.pop("negative_slope")
    return config


def constant_normalization(layer: Layer, config: dict[str, Any]) -> dict[str, Any] | None:
    """Config of a Normalization with constant mean and variance; None before adapt().

    tf_keras uses adapted values only after finalize_state(), which copies through a config never
    call.
    """
    scalar = layer.axis in ((), None)
    if layer.mean is None:
        return None
    values = {key: np.asarray(getattr(layer, key)) for key in ("mean", "variance")}
    for key, value in values.items():
        config[key] = float(value) if scalar else value.reshape(-1).tolist()
    return config


def _rescaling(layer: Layer, config: dict[str, Any]) -> dict[str, Any]:
    config.update({key: np.asarray(getattr(layer, key)).tolist() for key in ("scale", "offset")})
    return config


def _bidirectional(layer: Layer, config: dict[str, Any]) -> dict[str, Any] | None:
    is_named = hasattr(layer, "layer")
    forward_name = layer.layer.name if is_named else layer.forward_layer.name
    forward = native(layer.forward_layer, forward_name)
    backward = native(layer.backward_layer, layer.backward_layer.name)
    if forward is None or backward is None:
        return None
    return {**config, "layer": forward, "backward_layer": backward}


def _time_distributed(layer: Layer, config: dict[str, Any]) -> dict[str, Any] | None:
    inner = native(layer.layer, layer.layer.name)
    return None if inner is None else {**config, "layer": inner}


def _plain_activation(layer: Layer, config: dict[str, Any]) -> dict[str, Any] | None:
    return None if is_layer(layer.activation) else config


_SPECIAL: dict[str, Callable[[Layer, dict[str, Any]], dict[str, Any] | None]] = {
    "Activation": _plain_activation,
    "Bidirectional": _bidirectional,
    "LeakyReLU": _leaky_relu,
    "Normalization": constant_normalization,
    "Rescaling": _rescaling,
    "TimeDistributed": _time_distributed,
}
