"""The copy that the converter is shown where it cannot take the user's own model.

Layers in half precision compute in float32, and recurrent layers are unrolled or left to fuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress._backend import tfmot
from tfcompress.core._errors import ConversionError
from tfcompress.core._types import Layer, Model

MAX_STEPS = 256
"""Longest sequence that is unrolled: the file holds every step's operators (not its weights)."""

Config = dict[str, Any]


def is_recurrent(layer: Layer) -> bool:
    """Whether a leaf layer, or the one that it wraps, loops over time: LSTM, GRU, RNN, ConvLSTM,
    Bidirectional.
    """
    inner = _unwrapped(layer)
    return hasattr(inner, "cell") or hasattr(inner, "forward_layer")


def _unwrapped(layer: Layer) -> Layer:
    """The layer inside one of TFMOT's quantize wrappers, else the layer itself."""
    return getattr(layer, "layer", layer) if quantized(layer) else layer


def is_mixed(layer: Layer) -> bool:
    """Whether a leaf layer computes in half precision."""
    return str(getattr(layer, "compute_dtype", "float32")) in ("float16", "bfloat16")


def quantized(layer: Layer) -> bool:
    """Whether a layer is one of TFMOT's quantize wrappers or its input quantizer."""
    kind = type(layer)
    return kind.__name__.startswith("Quantize") and kind.__module__.startswith(
        "tensorflow_model_optimization"
    )


def in_float32(model: Model) -> Model:
    """`model`, or a copy that computes in float32 where a layer computes in half precision.

    A .tflite has no kernels of half precision.
    """
    if not any(is_mixed(layer) for layer in doors.leaf_layers(model)):
        return model

    def change(layer: Layer, config: Config) -> Config:
        return {**config, "dtype": "float32"} if is_mixed(layer) else config

    return _changed(model, change)


def unrolled(model: Model, what: str) -> Model:
    """`model`, or a copy whose recurrent layers are written out step by step.

    Every operator can then be integer. Calibrating a loop ends the process.

    Raises ConversionError naming the layer: ConvLSTM, stateful, an unknown number of steps, or
    more than MAX_STEPS. `what` names the format in the message.
    """
    require_unrollable(model, what)
    if not any(is_recurrent(layer) for layer in doors.leaf_layers(model)):
        return model

    def change(layer: Layer, config: Config) -> Config:
        return _unroll(config) if is_recurrent(layer) else config

    return _changed(model, change)


def require_unrollable(model: Model, what: str) -> None:
    """ConversionError naming a recurrent layer that `unrolled` cannot write step by step."""
    for layer in doors.leaf_layers(model):
        if is_recurrent(layer):
            _require_steps(layer, what)


def fusible(model: Model, what: str) -> Model:
    """`model` in tf_keras, whose LSTM layers the converter writes as one operator each.

    Raises ConversionError naming a recurrent layer that cannot be fused.
    """
    require_fusible(model, what)
    return doors.to_tf_keras(model)


def require_fusible(model: Model, what: str) -> None:
    """ConversionError naming a recurrent layer that is no LSTM with Keras's own activations.

    It would stay a loop. The converter fuses both directions of a Bidirectional too, but in int8
    their operators are off by 0.38 of the outputs' spread.
    """
    for layer in doors.leaf_layers(model):
        if is_recurrent(layer) and not _is_plain_lstm(_unwrapped(layer)):
            raise ConversionError(
                f"{_called(layer)} cannot be fused: {what} has one operator for an LSTM of one"
                " direction with tanh and sigmoid, a bias and no recurrent dropout. Take"
                " lstm='unrolled'."
            )


def _is_plain_lstm(layer: Layer) -> bool:
    if type(layer).__name__ != "LSTM":
        return False
    activations = (layer.activation.__name__, layer.recurrent_activation.__name__)
    steady = not (layer.recurrent_dropout or layer.unroll or layer.stateful)
    return activations == ("tanh", "sigmoid") and layer.use_bias and steady


def _parts(layer: Layer) -> list[Layer]:
    """The layers inside a Bidirectional, or the recurrent layer itself."""
    layer = _unwrapped(layer)
    inner = [getattr(layer, side, None) for side in ("forward_layer", "backward_layer")]
    return [part for part in inner if part is not None] or [layer]


def _require_steps(layer: Layer, what: str) -> None:
    """ConversionError where a recurrent layer cannot be written out step by step."""
    name = _called(layer)
    way_out = (
        f"{what} writes recurrent layers step by step."
        " Take Float32, Float16 or DynamicRange, which keep the loop."
    )
    if any(type(part).__name__.startswith("ConvLSTM") for part in _parts(layer)):
        raise ConversionError(f"{name} cannot be unrolled and {way_out}")
    if any(getattr(part, "stateful", False) for part in (layer, *_parts(layer))):
        raise ConversionError(f"{name} is stateful and {way_out}")
    steps = _steps(layer)
    if steps is None or steps > MAX_STEPS:
        unknown = "an unknown number of steps"
        many = unknown if steps is None else f"{steps} steps, more than {MAX_STEPS},"
        raise ConversionError(
            f"{name} takes {many} and {way_out} Or give the model a fixed, shorter Input."
        )


def _called(layer: Layer) -> str:
    return f"{type(layer).__name__} layer {layer.name!r}"


def _changed(model: Model, change: Callable[[Layer, Config], Config]) -> Model:
    """A copy of `model` with each leaf layer's config passed through `change(layer, config)`.

    The weights are equal; the copy of a tf_keras model is flat.
    """

    def copy(layer: Layer) -> Layer:
        return type(layer).from_config(change(layer, layer.get_config()))

    if doors.flavour(model) == "keras":
        import keras

        new = keras.models.clone_model(model, clone_function=copy, recursive=True)
    else:
        import tf_keras

        wrapped = any(quantized(layer) for layer in doors.leaf_layers(model))
        model = model if wrapped else doors.to_tf_keras(model)
        with tfmot.quantize_scope():
            new = tf_keras.models.clone_model(model, clone_function=copy)
    new.set_weights(model.get_weights())
    return new


def _unroll(config: Config) -> Config:
    config = dict(config)
    if "unroll" in config:
        config["unroll"] = True
    for side in ("layer", "backward_layer"):
        if isinstance(config.get(side), dict):
            config[side] = {**config[side], "config": _unroll(config[side]["config"])}
    return config


def _steps(layer: Layer) -> int | None:
    """How many steps the layer's input has; None where that is open."""
    tensor = layer.input[0] if isinstance(layer.input, (list, tuple)) else layer.input
    shape = getattr(tensor, "shape", None)
    return None if shape is None or shape[1] is None else int(shape[1])
