"""QuantNET: the small convolutional network of the thesis on intrinsic dimension and mixed precision."""

from __future__ import annotations

from typing import Any

from tfcompress.zoo._common import finish, start


def quantnet(
    *,
    keras: str = "keras",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 1,
    width: float = 1.0,
    dropout: float = 0.1,
    compile: bool = False,
) -> Any:
    """QuantNET: two 3×3 convolutions (32, 64) with pooling and dropout, then dense 128, 16 and the output.

    545,889 parameters for 32×32×3 and one sigmoid output: conv1 896, conv2 18,496, linear1 524,416, linear2 2,064, output 17.
    `classes` > 1 gives a softmax; `width` multiplies all filter and unit numbers. He-normal initial weights, Glorot-normal on the output.
    `compile`: Adam 1e-3, cross-entropy for integer labels, accuracy. Raises ModelError for wrong options.
    """
    module, image = start(keras, input_shape, classes)
    layers = module.layers
    x = image
    for number, filters in enumerate((32, 64), start=1):
        filters = max(1, int(filters * width))
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate((128, 16), start=1):
        units = max(1, int(units * width))
        x = layers.Dense(
            units, activation="relu", kernel_initializer="he_normal", name=f"linear{number}"
        )(x)
    return finish(module, image, x, classes, "quantnet", compile, "glorot_normal")
