"""VGG-16 and VGG-19 for small images, with BatchNorm and a single dense layer (the form network slimming was shown on)."""

from __future__ import annotations

from typing import Any

from tfcompress.zoo._common import finish, start

STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg16(**options: Any) -> Any:
    """VGG-16 for small images: see `vgg19`; 14,724,042 trainable parameters at width 1 for 10 classes."""
    return _vgg(16, **options)


def vgg19(**options: Any) -> Any:
    """VGG-19 for small images (Liu 2017): bias-free 3×3 convolutions, each with BatchNorm and ReLU, global average, one dense layer.

    Options as in every builder: keras="keras"|"tf_keras", input_shape=(32, 32, 3), classes=10, compile=False, and `width`,
    which multiplies all filter numbers. 20,035,018 trainable parameters at width 1 for 10 classes, the published count
    (BatchNorm's moving averages, 11,008 numbers, are not among them). Raises ModelError for wrong options.
    """
    return _vgg(19, **options)


def _vgg(
    depth: int,
    *,
    keras: str = "keras",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    compile: bool = False,
) -> Any:
    module, image = start(keras, input_shape, classes)
    layers = module.layers
    x = image
    for stage, (repeats, filters) in enumerate(
        zip(STAGES[depth], (64, 128, 256, 512, 512)), start=1
    ):
        if stage > 1:
            x = layers.MaxPooling2D(2, padding="same", name=f"pool{stage - 1}")(x)
        for number in range(1, repeats + 1):
            at = f"{stage}_{number}"
            x = layers.Conv2D(
                max(1, int(filters * width)),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"conv{at}",
            )(x)
            x = layers.BatchNormalization(name=f"bn{at}")(x)
            x = layers.ReLU(name=f"relu{at}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return finish(module, image, x, classes, f"vgg{depth}", compile)
