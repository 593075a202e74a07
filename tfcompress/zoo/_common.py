"""What all networks of the zoo share: the Keras asked for, the classifier's head, compiling."""

from __future__ import annotations

from types import ModuleType

from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core import ModelError
from tfcompress.core._types import Model, Tensor

ImageShape = tuple[int, int, int]
"""Height, width and channels of an image."""


def start(keras: str, input_shape: ImageShape, classes: int) -> tuple[ModuleType, Tensor]:
    """The Keras package named `keras` and an input tensor.

    Raises ModelError for a shape that is no (height, width, channels), or classes < 1.
    """
    module = keras_module(keras)
    positive = [isinstance(side, int) and side > 0 for side in input_shape]
    if len(input_shape) != 3 or not all(positive):
        raise ModelError(
            f"input_shape={input_shape!r}: expected (height, width, channels), e.g. (32, 32, 3)."
        )
    if classes < 1:
        raise ModelError(
            f"classes={classes}: expected 1 (one sigmoid output for two classes) or the number of "
            "classes."
        )
    return module, module.layers.Input(tuple(input_shape), name="image")


def finish(
    module: ModuleType,
    image: Tensor,
    features: Tensor,
    classes: int,
    name: str,
    compile: bool,
    initializer: str = "glorot_uniform",
) -> Model:
    """The model from `image` to a dense layer "output" on `features` [batch, n].

    The output is a sigmoid for one class, else a softmax. With `compile`, the model has Adam
    (1e-3), the cross-entropy that fits the output with integer labels, and accuracy.
    """
    activation = "sigmoid" if classes == 1 else "softmax"
    dense = module.layers.Dense(
        classes, activation=activation, kernel_initializer=initializer, name="output"
    )
    model = module.Model(image, dense(features), name=name)
    if compile:
        if classes == 1:
            loss = module.losses.BinaryCrossentropy()
        else:
            loss = module.losses.SparseCategoricalCrossentropy()
        model.compile(optimizer=module.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    return model


def stem_stride(input_shape: ImageShape) -> int:
    """Stride of a stem made for 224×224 images: 1 where the shorter side is at most 64, else 2."""
    return 1 if min(input_shape[:2]) <= 64 else 2
