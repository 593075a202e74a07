"""Residual networks for small images: MLPerf Tiny's ResNet-8, He's ResNet-20 and -32, the slimming papers' ResNet-50."""

from __future__ import annotations

from typing import Any

from tfcompress.core import ModelError
from tfcompress.zoo._common import finish, start


def resnet(
    depth: int = 8,
    *,
    keras: str = "keras",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    compile: bool = False,
) -> Any:
    """A residual network of `depth` 8, 20, 32 or 50, as its paper has it; `width` multiplies all filter numbers.

    8: MLPerf Tiny's (78,666 parameters, 78,186 trainable): convolutions with bias, shortcuts projected without BatchNorm.
    20, 32: He 2016's CIFAR nets, 1×1 projections (his option B) where he pads with zeros: 272,474 and 466,906 trainable parameters
    against 269,722 and 464,154 with his padding, which no plain Keras layer does.
    50: bottleneck blocks 3, 4, 6, 3 with BatchNorm before the convolutions (Liu 2017's form): 23,513,162 trainable parameters;
    the printed 23,528,330 counts 15,168 channel-selection marks beside them.
    Raises ModelError for another depth.
    """
    if depth not in (8, 20, 32, 50):
        raise ModelError(f"No resnet of depth {depth!r} in the zoo: expected 8, 20, 32 or 50.")
    module, image = start(keras, input_shape, classes)
    if depth == 50:
        x = _bottlenecks(module, image, width)
    else:
        x = _basic_blocks(
            module, image, 1 if depth == 8 else (depth - 2) // 6, width, bias=depth == 8
        )
    x = module.layers.GlobalAveragePooling2D(name="average")(x)
    return finish(module, image, x, classes, f"resnet{depth}", compile, "he_normal")


def _conv(module, x, filters, size, name, strides=1, bias=False):
    return module.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _normalize(module, x, name, relu=True):
    x = module.layers.BatchNormalization(name=f"{name}_bn")(x)
    return module.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _basic_blocks(module, x, blocks, width, bias):
    """y = relu(F(x) + x), F two 3×3 convolutions; three stages of 16, 32, 64 filters, each of the last two halving the image."""
    x = _normalize(module, _conv(module, x, int(16 * width), 3, "stem_conv", bias=bias), "stem")
    for stage in range(3):
        filters = int(16 * width) * 2**stage
        for block in range(blocks):
            at, stride = f"stage{stage + 1}_block{block + 1}", 2 if stage and not block else 1
            y = _normalize(
                module, _conv(module, x, filters, 3, f"{at}_conv1", stride, bias), f"{at}_conv1"
            )
            y = _normalize(
                module,
                _conv(module, y, filters, 3, f"{at}_conv2", bias=bias),
                f"{at}_conv2",
                relu=False,
            )
            if stride == 2:
                x = _conv(module, x, filters, 1, f"{at}_shortcut", 2, bias)
                x = x if bias else _normalize(module, x, f"{at}_shortcut", relu=False)
            x = module.layers.Add(name=f"{at}_add")([y, x])
            x = module.layers.ReLU(name=f"{at}_relu")(x)
    return x


def _bottlenecks(module, x, width):
    """y = x + F(x), F = BN–ReLU–1×1, BN–ReLU–3×3, BN–ReLU–1×1 (four times the filters); four stages of 64, 128, 256, 512."""
    x = _conv(module, x, int(64 * width), 3, "stem_conv")
    for stage, blocks in enumerate((3, 4, 6, 3)):
        filters = int(64 * width) * 2**stage
        for block in range(blocks):
            at, stride = f"stage{stage + 1}_block{block + 1}", 2 if stage and not block else 1
            y = _conv(module, _normalize(module, x, f"{at}_conv1"), filters, 1, f"{at}_conv1")
            y = _conv(
                module, _normalize(module, y, f"{at}_conv2"), filters, 3, f"{at}_conv2", stride
            )
            y = _conv(module, _normalize(module, y, f"{at}_conv3"), 4 * filters, 1, f"{at}_conv3")
            if not block:
                x = _conv(module, x, 4 * filters, 1, f"{at}_shortcut", stride)
            x = module.layers.Add(name=f"{at}_add")([y, x])
    return _normalize(module, x, "last")
