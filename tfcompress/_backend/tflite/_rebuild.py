"""The model that the converter is shown where it cannot take the user's own: recurrent layers unrolled, mixed precision undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress.core._errors import ConversionError

MAX_STEPS = 256
"""Longest sequence that is unrolled: the file holds every step's operators (not its weights) separately."""


def is_recurrent(layer: Any) -> bool:
    """Whether a leaf layer loops over time (LSTM, GRU, SimpleRNN, RNN, ConvLSTM, Bidirectional)."""
    return hasattr(layer, "cell") or hasattr(layer, "forward_layer")


def is_mixed(layer: Any) -> bool:
    """Whether a leaf layer computes in half precision."""
    return str(getattr(layer, "compute_dtype", "float32")) in ("float16", "bfloat16")


def quantized(layer: Any) -> bool:
    """Whether a layer is one of TFMOT's quantize wrappers or its input quantizer."""
    return type(layer).__name__.startswith("Quantize") and type(layer).__module__.startswith(
        "tensorflow_model_optimization"
    )


def in_float32(model: Any) -> Any:
    """`model`, or a copy that computes in float32 where a layer computes in half precision (.tflite has no such kernels)."""
    if not any(is_mixed(layer) for layer in doors.leaf_layers(model)):
        return model
    return _changed(
        model, lambda layer, config: {**config, "dtype": "float32"} if is_mixed(layer) else config
    )


def unrolled(model: Any, what: str) -> Any:
    """`model`, or a copy whose recurrent layers are written out step by step, so that every operator can be integer.

    Integer calibration of a loop ends the process, and the fused LSTM operator carries its state over from one call to the next.
    Raises ConversionError naming the layer: ConvLSTM, stateful, unknown number of steps, or more than MAX_STEPS.
    """
    layers = [layer for layer in doors.leaf_layers(model) if is_recurrent(layer)]
    for layer in layers:
        name = f"{type(layer).__name__} layer {layer.name!r}"
        way_out = f"{what} writes recurrent layers step by step. Take Float32, Float16 or DynamicRange, which keep the loop."
        parts = [layer] + [
            getattr(layer, side)
            for side in ("forward_layer", "backward_layer")
            if hasattr(layer, side)
        ]
        if any(type(part).__name__.startswith("ConvLSTM") for part in parts):
            raise ConversionError(f"{name} cannot be unrolled and {way_out}")
        if any(getattr(part, "stateful", False) for part in parts):
            raise ConversionError(f"{name} is stateful and {way_out}")
        steps = _steps(layer)
        if steps is None or steps > MAX_STEPS:
            many = (
                "an unknown number of steps"
                if steps is None
                else f"{steps} steps, more than {MAX_STEPS},"
            )
            raise ConversionError(
                f"{name} takes {many} and {way_out} Or give the model a fixed, shorter Input."
            )
    return (
        _changed(model, lambda layer, config: _unroll(config) if is_recurrent(layer) else config)
        if layers
        else model
    )


def _changed(model: Any, change: Callable[[Any, dict], dict]) -> Any:
    """A copy of `model` with each leaf layer's config passed through `change(layer, config)`, weights equal; a tf_keras one is flat."""

    def copy(layer):
        return type(layer).from_config(change(layer, layer.get_config()))

    if doors.flavour(model) == "keras":
        import keras

        new = keras.models.clone_model(model, clone_function=copy, recursive=True)
    else:
        import tf_keras

        from tfcompress._backend import tfmot

        wrapped = any(quantized(layer) for layer in doors.leaf_layers(model))
        model = model if wrapped else doors.to_tf_keras(model)
        with tfmot.load().quantization.keras.quantize_scope():
            new = tf_keras.models.clone_model(model, clone_function=copy)
    new.set_weights(model.get_weights())
    return new


def _unroll(config: dict) -> dict:
    config = dict(config)
    if "unroll" in config:
        config["unroll"] = True
    for side in ("layer", "backward_layer"):
        if isinstance(config.get(side), dict):
            config[side] = {**config[side], "config": _unroll(config[side]["config"])}
    return config


def _steps(layer: Any) -> int | None:
    shape = (
        getattr(layer.input, "shape", None)
        if not isinstance(layer.input, (list, tuple))
        else layer.input[0].shape
    )
    return None if shape is None or shape[1] is None else int(shape[1])
