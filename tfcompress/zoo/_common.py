"""What all networks of the zoo share: the Keras asked for, the classifier's head, the compile state."""

from __future__ import annotations

from typing import Any

from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core import ModelError


def start(keras: str, input_shape: tuple[int, int, int], classes: int) -> tuple[Any, Any]:
    """The Keras package named `keras` and an input tensor; ModelError for a shape that is no (height, width, channels) or classes < 1."""
    module = keras_module(keras)
    if len(input_shape) != 3 or not all(isinstance(side, int) and side > 0 for side in input_shape):
        raise ModelError(
            f"input_shape={input_shape!r}: expected (height, width, channels), e.g. (32, 32, 3)."
        )
    if classes < 1:
        raise ModelError(
            f"classes={classes}: expected 1 (one sigmoid output for two classes) or the number of classes."
        )
    return module, module.layers.Input(tuple(input_shape), name="image")


def finish(
    module: Any,
    image: Any,
    features: Any,
    classes: int,
    name: str,
    compile: bool,
    initializer: str = "glorot_uniform",
) -> Any:
    """The model from `image` to a dense layer "output" on `features` [batch, n]: sigmoid for one class, else softmax.

    With `compile`, Adam (1e-3), the cross-entropy that fits the output with integer labels, and accuracy.
    """
    kind = "sigmoid" if classes == 1 else "softmax"
    outputs = module.layers.Dense(
        classes, activation=kind, kernel_initializer=initializer, name="output"
    )(features)
    model = module.Model(image, outputs, name=name)
    if compile:
        losses = module.losses
        loss = (
            losses.BinaryCrossentropy() if classes == 1 else losses.SparseCategoricalCrossentropy()
        )
        model.compile(optimizer=module.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    return model


def stem_stride(input_shape: tuple[int, int, int]) -> int:
    """Stride of a stem made for 224×224 images: 1 where the shorter side is at most 64, so that small images keep their detail."""
    return 1 if min(input_shape[:2]) <= 64 else 2
