"""MobileNet (V1) for small images: depthwise separable convolutions."""

from __future__ import annotations

from typing import Any

from tfcompress.zoo._common import finish, start, stem_stride

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet(
    *,
    keras: str = "keras",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    dropout: float = 0.001,
    compile: bool = False,
) -> Any:
    """MobileNet (Howard 2017): a 3×3 stem, then 13 pairs of depthwise 3×3 and pointwise 1×1, BatchNorm and ReLU6 after each.

    The stem has stride 1 for images up to 64 pixels (2 above). `width` is the paper's α. 4,231,976 trainable parameters at
    width 1 for 1,000 classes, as published. Raises ModelError for wrong options.
    """
    module, image = start(keras, input_shape, classes)
    layers = module.layers

    def normalize(x, name):
        return layers.ReLU(6.0, name=f"{name}_relu")(
            layers.BatchNormalization(name=f"{name}_bn")(x)
        )

    stem = layers.Conv2D(
        int(32 * width),
        3,
        strides=stem_stride(input_shape),
        padding="same",
        use_bias=False,
        name="stem",
    )
    x = normalize(stem(image), "stem")
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        x = layers.DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False, name=f"block{number}_depthwise"
        )(x)
        x = normalize(x, f"block{number}_depthwise")
        x = layers.Conv2D(int(filters * width), 1, use_bias=False, name=f"block{number}_pointwise")(
            x
        )
        x = normalize(x, f"block{number}_pointwise")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return finish(module, image, x, classes, "mobilenet", compile)
