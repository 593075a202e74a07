"""MobileNet (V1) for small images: depthwise separable convolutions."""

from __future__ import annotations

from types import ModuleType

from tfcompress.core._types import Model, Tensor
from tfcompress.zoo._common import ImageShape, finish, start, stem_stride

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
"""Output filters and stride of each depthwise separable convolution (Howard 2017, table 1)."""


def mobilenet(
    *,
    keras: str = "keras",
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    dropout: float = 0.001,
    compile: bool = False,
) -> Model:
    """MobileNet (Howard 2017): a 3×3 stem, then 13 pairs of depthwise 3×3 and pointwise 1×1.

    BatchNorm and ReLU6 stand behind each convolution. The stem has stride 1 for images up to 64
    pixels (2 above). 4,231,976 trainable parameters at width 1 for 1,000 classes, as published.

    Args:
        keras: "keras" or "tf_keras".
        input_shape: Height, width and channels.
        classes: 1 gives a sigmoid, more a softmax.
        width: The paper's α, which multiplies all filter numbers.
        dropout: Rate before the output.
        compile: Adam 1e-3, cross-entropy for integer labels, accuracy.

    Raises ModelError for wrong options.
    """
    module, image = start(keras, input_shape, classes)
    layers = module.layers
    stem = layers.Conv2D(
        int(32 * width),
        3,
        strides=stem_stride(input_shape),
        padding="same",
        use_bias=False,
        name="stem",
    )
    x = _normalized(module, stem(image), "stem")
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        name = f"block{number}_depthwise"
        depthwise = layers.DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False, name=name
        )
        x = _normalized(module, depthwise(x), name)
        name = f"block{number}_pointwise"
        pointwise = layers.Conv2D(int(filters * width), 1, use_bias=False, name=name)
        x = _normalized(module, pointwise(x), name)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return finish(module, image, x, classes, "mobilenet", compile)


def _normalized(module: ModuleType, x: Tensor, name: str) -> Tensor:
    x = module.layers.BatchNormalization(name=f"{name}_bn")(x)
    return module.layers.ReLU(6.0, name=f"{name}_relu")(x)
