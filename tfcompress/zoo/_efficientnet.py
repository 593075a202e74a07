"""EfficientNet-B0 and its scalings: inverted bottlenecks with squeeze-and-excitation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

from tfcompress.core._types import Model, Tensor
from tfcompress.zoo._common import ImageShape, finish, start, stem_stride


@dataclass(frozen=True)
class Stage:
    """A row of table 1 of Tan & Le 2019."""

    expansion: int
    filters: int
    repeats: int
    stride: int
    kernel_size: int


STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)


def efficientnet(
    *,
    keras: str = "keras",
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.2,
    compile: bool = False,
) -> Model:
    """EfficientNet (Tan & Le 2019); B0 has width and depth 1, B1 1 and 1.1, B2 1.1 and 1.2.

    The stem has stride 1 for images up to 64 pixels (2 above). Swish activations, no stochastic
    depth, no input scaling. 5,288,548 trainable parameters for 1,000 classes, as published.

    Args:
        keras: "keras" or "tf_keras".
        input_shape: Height, width and channels.
        classes: 1 gives a sigmoid, more a softmax.
        width: Multiplies all filter numbers, rounded to multiples of 8.
        depth: Multiplies the repeats of every stage, rounded up.
        dropout: Rate before the output.
        compile: Adam 1e-3, cross-entropy for integer labels, accuracy.

    Raises ModelError for wrong options.
    """
    module, image = start(keras, input_shape, classes)
    channels = round_channels(32 * width)
    x = _convolution(module, image, channels, 3, "stem", stem_stride(input_shape))
    for number, stage in enumerate(STAGES, start=1):
        filters = round_channels(stage.filters * width)
        for block in range(math.ceil(stage.repeats * depth)):
            name = f"stage{number}_block{block + 1}"
            stride = stage.stride if block == 0 else 1
            y = _bottleneck(module, x, stage, channels, filters, stride, name)
            if stride == 1 and channels == filters:
                y = module.layers.Add(name=f"{name}_add")([y, x])
            x, channels = y, filters
    x = _convolution(module, x, round_channels(1280 * width), 1, "head")
    x = module.layers.GlobalAveragePooling2D(name="average")(x)
    x = module.layers.Dropout(dropout, name="dropout")(x)
    return finish(module, image, x, classes, "efficientnet", compile)


def _bottleneck(
    module: ModuleType,
    x: Tensor,
    stage: Stage,
    channels: int,
    filters: int,
    stride: int,
    name: str,
) -> Tensor:
    """Expand `channels`, convolve each by itself, weight them, project to `filters`."""
    expanded = channels * stage.expansion
    y = x
    if stage.expansion != 1:
        y = _convolution(module, y, expanded, 1, f"{name}_expand")
    y = _depthwise(module, y, stage.kernel_size, f"{name}_depthwise", stride)
    y = _squeeze_excite(module, y, expanded, max(1, channels // 4), f"{name}_se")
    return _convolution(module, y, filters, 1, f"{name}_project", swish=False)


def _convolution(
    module: ModuleType,
    x: Tensor,
    filters: int,
    kernel_size: int,
    name: str,
    stride: int = 1,
    swish: bool = True,
) -> Tensor:
    """Convolution without bias, BatchNormalization and, unless told otherwise, swish."""
    convolution = module.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
    return _normalized(module, convolution(x), name, swish)


def _depthwise(module: ModuleType, x: Tensor, kernel_size: int, name: str, stride: int) -> Tensor:
    """Depthwise convolution without bias, BatchNormalization, swish."""
    convolution = module.layers.DepthwiseConv2D(
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=name,
    )
    return _normalized(module, convolution(x), name, swish=True)


def _normalized(module: ModuleType, x: Tensor, name: str, swish: bool) -> Tensor:
    x = module.layers.BatchNormalization(name=f"{name}_bn")(x)
    return module.layers.Activation("swish", name=f"{name}_swish")(x) if swish else x


def _squeeze_excite(
    module: ModuleType, x: Tensor, channels: int, squeezed: int, name: str
) -> Tensor:
    """x · σ(W₂ swish(W₁ mean(x))): channels weighted by what the whole image says."""
    layers = module.layers
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = layers.Conv2D(squeezed, 1, activation="swish", name=f"{name}_reduce")(weights)
    weights = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_expand")(weights)
    return layers.Multiply(name=f"{name}_excite")([x, weights])


def round_channels(filters: float, unit: int = 8) -> int:
    """`filters` to the nearest multiple of `unit`, never more than 10 % below."""
    rounded = max(unit, int(filters + unit / 2) // unit * unit)
    return rounded + unit if rounded < 0.9 * filters else rounded
