"""One Keras 3 layer → the tf_keras layer of the same kind and options, where there is one."""

import functools
import inspect

import numpy as np

from tfcompress._backend.graph._flavour import from_keras, graph_of, is_layer
from tfcompress._backend.keras._copy import config_of

# Activations that mean the same in both Kerases; hard_sigmoid and hard_silu differ and come from _wrapped.
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
}
_SAME |= {"sigmoid", "softmax", "softplus", "softsign", "tanh"}


def activation(function):
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


def native(layer, name, linear=False):
    """An unbuilt tf_keras layer equal to the Keras 3 `layer`, or None if tf_keras has none with these options.

    linear=True leaves its activation away.
    """
    import tf_keras

    from tfcompress._backend.bridge import _wrapped

    kind = type(layer).__name__
    twin = getattr(tf_keras.layers, kind, None)
    if not from_keras(type(layer)) or twin is None or kind in _NEVER:
        return None
    policy = layer.dtype_policy.name
    if kind == "Lambda":
        return _wrapped.FunctionLayer(
            layer.function, layer.mask, name=name, dtype=policy, arguments=dict(layer.arguments)
        )
    config = {**config_of(layer), "dtype": policy, "name": name}
    if kind in _SPECIAL:
        config = _SPECIAL[kind](layer, config)
        if config is None:
            return None
    for key in list(config):
        if key == "initializer" or key.endswith("_initializer"):
            config[key] = _initializer(config[key], tf_keras.initializers)
        elif key.endswith("_regularizer"):
            config[key] = _object(getattr(layer, key, None), tf_keras.regularizers)
        elif key.endswith("_constraint"):
            config[key] = _object(getattr(layer, key, None), tf_keras.constraints)
        elif key == "activation" or key.endswith("_activation"):
            config[key] = "linear" if linear else activation(getattr(layer, key))
    known, defaults = _options(twin), _options(type(layer))
    for key in [key for key in config if key not in known]:
        value = config.pop(key)
        meant = value not in (None, False) and value != defaults.get(key)
        if meant and key != "seed" and (key, str(value)) not in _HARMLESS:
            return None
    if isinstance(config.get("seed"), dict):
        config["seed"] = None
    return twin(**config)


_HARMLESS = {("data_format", "channels_last"), ("use_cudnn", "auto"), ("use_cudnn", "True")}
_NEVER = {
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "RNN",
    "StackedRNNCells",
    "SpectralNormalization",
}


@functools.cache
def _options(cls):
    """Constructor options of a class with their defaults, those of its bases included."""
    options = {}
    for base in reversed(cls.__mro__):
        if base is not object and "__init__" in base.__dict__:
            options.update(
                (name, parameter.default)
                for name, parameter in inspect.signature(base.__init__).parameters.items()
            )
    return {**options, "name": None, "trainable": True, "dtype": None}


def _object(thing, module):
    """A Keras 3 regularizer or constraint in tf_keras; one's own is called as it is."""
    if thing is None:
        return None
    twin = getattr(module, type(thing).__name__, None)
    return (
        twin.from_config(thing.get_config())
        if twin is not None and from_keras(type(thing))
        else thing
    )


def _initializer(config, module):
    """An initializer from its Keras 3 config, or zeros if tf_keras has no such class: the weights are copied anyway."""
    twin = getattr(module, config["class_name"], None) if isinstance(config, dict) else None
    if twin is None or not str(config.get("module", "")).startswith("keras"):
        return "zeros"
    options = {key: value for key, value in config["config"].items() if key in _options(twin)}
    if isinstance(options.get("seed"), dict):
        options["seed"] = None
    return twin(**options)


def _leaky_relu(layer, config):
    config["alpha"] = config.pop("negative_slope")
    return config


def constant_normalization(layer, config):
    """Config of a Normalization (either Keras) with mean and variance as constants, or None before adapt().

    tf_keras uses adapted values only after finalize_state(), which copies through a config never call.
    """
    scalar = layer.axis in ((), None)
    if layer.mean is None:
        return None
    values = {key: np.asarray(getattr(layer, key)) for key in ("mean", "variance")}
    config.update(
        {
            key: float(value) if scalar else value.reshape(-1).tolist()
            for key, value in values.items()
        }
    )
    return config


def _rescaling(layer, config):
    config.update({key: np.asarray(getattr(layer, key)).tolist() for key in ("scale", "offset")})
    return config


def _bidirectional(layer, config):
    forward = native(
        layer.forward_layer,
        layer.layer.name if hasattr(layer, "layer") else layer.forward_layer.name,
    )
    backward = native(layer.backward_layer, layer.backward_layer.name)
    return (
        None
        if forward is None or backward is None
        else {**config, "layer": forward, "backward_layer": backward}
    )


def _time_distributed(layer, config):
    from tfcompress._backend.bridge._bridge import carry

    inner = layer.layer
    made = carry(inner, flatten=False) if graph_of(inner) is not None else native(inner, inner.name)
    return None if made is None else {**config, "layer": made}


def _plain_activation(layer, config):
    return None if is_layer(layer.activation) else config


_SPECIAL = {
    "Activation": _plain_activation,
    "Bidirectional": _bidirectional,
    "LeakyReLU": _leaky_relu,
    "Normalization": constant_normalization,
    "Rescaling": _rescaling,
    "TimeDistributed": _time_distributed,
}
