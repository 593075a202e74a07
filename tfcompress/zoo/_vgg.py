"""VGG-16 and VGG-19 for small images, with BatchNorm and a single dense layer."""

from __future__ import annotations

from typing import Any

from tfcompress.core._types import Model
from tfcompress.zoo._common import ImageShape, finish, start

FILTERS = (64, 128, 256, 512, 512)
REPEATS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Depth → how many convolutions each of the five stages has."""


def vgg16(**options: Any) -> Model:
    """VGG-16: see `vgg19`; 14,724,042 trainable parameters at width 1 for 10 classes."""
    return _vgg(16, **options)


def vgg19(**options: Any) -> Model:
    """VGG-19 for small images (Liu 2017): bias-free 3×3 convolutions, each with BatchNorm and ReLU.

    A global average and one dense layer follow. Options as in every builder: keras="keras" or
    "tf_keras", input_shape=(32, 32, 3), classes=10, compile=False, and `width`, which multiplies
    all filter numbers. 20,035,018 trainable parameters at width 1 for 10 classes, the published
    count (BatchNorm's moving averages, 11,008 numbers, are not among them).

    Raises ModelError for wrong options.
    """
    return _vgg(19, **options)


def _vgg(
    depth: int,
    *,
    keras: str = "keras",
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    compile: bool = False,
) -> Model:
    module, x = start(keras, input_shape, classes)
    layers, image = module.layers, x
    for stage, (repeats, filters) in enumerate(zip(REPEATS[depth], FILTERS), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2, padding="same", name=f"pool{stage - 1}")(x)
        for number in range(1, repeats + 1):
            convolution = layers.Conv2D(
                max(1, int(filters * width)),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"conv{stage}_{number}",
            )
            x = layers.BatchNormalization(name=f"bn{stage}_{number}")(convolution(x))
            x = layers.ReLU(name=f"relu{stage}_{number}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return finish(module, image, x, classes, f"vgg{depth}", compile)
