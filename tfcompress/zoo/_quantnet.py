"""QuantNET: the small convolutional network of the thesis on intrinsic dimension."""

from __future__ import annotations

from tfcompress.core._types import Model
from tfcompress.zoo._common import ImageShape, finish, start


def quantnet(
    *,
    keras: str = "keras",
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 1,
    width: float = 1.0,
    dropout: float = 0.1,
    compile: bool = False,
) -> Model:
    """Two 3×3 convolutions (32, 64) with pooling and dropout, then dense 128, 16 and the output.

    545,889 parameters for 32×32×3 and one sigmoid output: conv1 896, conv2 18,496, linear1 524,416,
    linear2 2,064, output 17. Initial weights are He-normal, Glorot-normal on the output.

    Args:
        keras: "keras" or "tf_keras".
        input_shape: Height, width and channels.
        classes: 1 gives a sigmoid, more a softmax.
        width: Multiplies all filter and unit numbers.
        dropout: Rate behind each pooling.
        compile: Adam 1e-3, cross-entropy for integer labels, accuracy.

    Raises ModelError for wrong options.
    """
    module, x = start(keras, input_shape, classes)
    layers, image = module.layers, x
    for number, filters in enumerate((32, 64), start=1):
        convolution = layers.Conv2D(
            max(1, int(filters * width)),
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )
        x = layers.MaxPooling2D(2, name=f"pool{number}")(convolution(x))
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate((128, 16), start=1):
        dense = layers.Dense(
            max(1, int(units * width)),
            activation="relu",
            kernel_initializer="he_normal",
            name=f"linear{number}",
        )
        x = dense(x)
    return finish(module, image, x, classes, "quantnet", compile, "glorot_normal")
