"""EfficientNet-B0 and its scalings for small images: inverted bottlenecks with squeeze-and-excitation."""

from __future__ import annotations

import math
from typing import Any

from tfcompress.zoo._common import finish, start, stem_stride

# expansion, output filters, repeats, stride, kernel size (Tan & Le 2019, table 1)
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def efficientnet(
    *,
    keras: str = "keras",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.2,
    compile: bool = False,
) -> Any:
    """EfficientNet (Tan & Le 2019); `width` and `depth` are its coefficients: B0 has 1 and 1, B1 1 and 1.1, B2 1.1 and 1.2.

    The stem has stride 1 for images up to 64 pixels (2 above). Swish activations, no stochastic depth, no input scaling.
    5,288,548 trainable parameters for 1,000 classes, as published. Raises ModelError for wrong options.
    """
    module, image = start(keras, input_shape, classes)
    layers = module.layers

    def convolve(x, filters, size, name, stride=1, swish=True):
        options = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
        if filters is None:
            x = layers.DepthwiseConv2D(size, depthwise_initializer="he_normal", **options)(x)
        else:
            x = layers.Conv2D(filters, size, kernel_initializer="he_normal", **options)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.Activation("swish", name=f"{name}_swish")(x) if swish else x

    def squeeze_excite(x, channels, squeezed, name):
        """x · σ(W₂ swish(W₁ mean(x))): channels weighted by what the whole image says."""
        s = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
        s = layers.Conv2D(squeezed, 1, activation="swish", name=f"{name}_reduce")(s)
        s = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_expand")(s)
        return layers.Multiply(name=f"{name}_excite")([x, s])

    channels = _round(32 * width)
    x = convolve(image, channels, 3, "stem", stem_stride(input_shape))
    for stage, (expansion, filters, repeats, stride, size) in enumerate(STAGES, start=1):
        filters = _round(filters * width)
        for block in range(math.ceil(repeats * depth)):
            at, step = f"stage{stage}_block{block + 1}", stride if block == 0 else 1
            wide = channels * expansion
            y = x if expansion == 1 else convolve(x, wide, 1, f"{at}_expand")
            y = convolve(y, None, size, f"{at}_depthwise", step)
            y = squeeze_excite(y, wide, max(1, channels // 4), f"{at}_se")
            y = convolve(y, filters, 1, f"{at}_project", swish=False)
            x = layers.Add(name=f"{at}_add")([y, x]) if step == 1 and channels == filters else y
            channels = filters
    x = convolve(x, _round(1280 * width), 1, "head")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return finish(module, image, x, classes, "efficientnet", compile)


def _round(filters: float, unit: int = 8) -> int:
    """`filters` to the nearest multiple of `unit`, never more than 10 % below."""
    rounded = max(unit, int(filters + unit / 2) // unit * unit)
    return rounded + unit if rounded < 0.9 * filters else rounded
