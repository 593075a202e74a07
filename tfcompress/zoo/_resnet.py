"""Residual networks for small images: ResNet-8 of MLPerf Tiny, He's 20 and 32, and ResNet-50."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from tfcompress.core import ModelError
from tfcompress.core._types import Model, Tensor
from tfcompress.zoo._common import ImageShape, finish, start

DEPTHS = (8, 20, 32, 50)


def resnet(
    depth: int = 8,
    *,
    keras: str = "keras",
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    compile: bool = False,
) -> Model:
    """A residual network of `depth` 8, 20, 32 or 50, as its paper has it.

    8: MLPerf Tiny's (78,666 parameters, 78,186 trainable): convolutions with bias, shortcuts
    projected without BatchNorm. 20, 32: He 2016's CIFAR nets with 1×1 projections (his option B)
    where he pads with zeros: 272,474 and 466,906 trainable parameters against 269,722 and 464,154
    with his padding, which no plain Keras layer does. 50: bottleneck blocks 3, 4, 6, 3 with
    BatchNorm before the convolutions (Liu 2017's form): 23,513,162 trainable parameters; the
    printed 23,528,330 counts 15,168 channel-selection marks beside them.

    Args:
        depth: 8, 20, 32 or 50.
        keras: "keras" or "tf_keras".
        input_shape: Height, width and channels.
        classes: 1 gives a sigmoid, more a softmax.
        width: Multiplies all filter numbers.
        compile: Adam 1e-3, cross-entropy for integer labels, accuracy.

    Raises ModelError for another depth.
    """
    if depth not in DEPTHS:
        raise ModelError(f"No resnet of depth {depth!r} in the zoo: expected 8, 20, 32 or 50.")
    module, image = start(keras, input_shape, classes)
    if depth == 50:
        x = _bottlenecks(module, image, width)
    else:
        repeats = 1 if depth == 8 else (depth - 2) // 6
        x = _basic_blocks(module, image, repeats, width, bias=depth == 8)
    x = module.layers.GlobalAveragePooling2D(name="average")(x)
    return finish(module, image, x, classes, f"resnet{depth}", compile, "he_normal")


@dataclass(frozen=True)
class Block:
    """Where a residual block stands: its name, filters, stride, and whether it opens its stage."""

    name: str
    filters: int
    stride: int
    is_first: bool


def _blocks(repeats: tuple[int, ...], filters: int) -> Iterator[Block]:
    """The blocks of all stages: filters double and images halve from stage to stage."""
    for stage, number in enumerate(repeats):
        for block in range(number):
            halves = stage > 0 and block == 0
            name = f"stage{stage + 1}_block{block + 1}"
            yield Block(name, filters * 2**stage, 2 if halves else 1, block == 0)


def _convolved(
    module: ModuleType,
    x: Tensor,
    filters: int,
    kernel_size: int,
    name: str,
    strides: int = 1,
    bias: bool = False,
) -> Tensor:
    convolution = module.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=name,
    )
    return convolution(x)


def _normalized(module: ModuleType, x: Tensor, name: str, relu: bool = True) -> Tensor:
    x = module.layers.BatchNormalization(name=f"{name}_bn")(x)
    return module.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _basic_blocks(
    module: ModuleType, image: Tensor, repeats: int, width: float, bias: bool
) -> Tensor:
    """y = relu(F(x) + x), F two 3×3 convolutions; three stages of 16, 32 and 64 filters."""
    filters = int(16 * width)
    x = _convolved(module, image, filters, 3, "stem_conv", bias=bias)
    x = _normalized(module, x, "stem")
    for block in _blocks((repeats,) * 3, filters):
        name = block.name
        y = _convolved(module, x, block.filters, 3, f"{name}_conv1", block.stride, bias)
        y = _normalized(module, y, f"{name}_conv1")
        y = _convolved(module, y, block.filters, 3, f"{name}_conv2", bias=bias)
        y = _normalized(module, y, f"{name}_conv2", relu=False)
        if block.stride == 2:
            x = _convolved(module, x, block.filters, 1, f"{name}_shortcut", 2, bias)
            x = x if bias else _normalized(module, x, f"{name}_shortcut", relu=False)
        x = module.layers.Add(name=f"{name}_add")([y, x])
        x = module.layers.ReLU(name=f"{name}_relu")(x)
    return x


def _bottlenecks(module: ModuleType, image: Tensor, width: float) -> Tensor:
    """y = x + F(x), F = BN–ReLU–1×1, BN–ReLU–3×3, BN–ReLU–1×1 with four times the filters."""
    filters = int(64 * width)
    x = _convolved(module, image, filters, 3, "stem_conv")
    for block in _blocks((3, 4, 6, 3), filters):
        name, widened = block.name, 4 * block.filters
        y = _normalized(module, x, f"{name}_conv1")
        y = _convolved(module, y, block.filters, 1, f"{name}_conv1")
        y = _normalized(module, y, f"{name}_conv2")
        y = _convolved(module, y, block.filters, 3, f"{name}_conv2", block.stride)
        y = _normalized(module, y, f"{name}_conv3")
        y = _convolved(module, y, widened, 1, f"{name}_conv3")
        if block.is_first:
            x = _convolved(module, x, widened, 1, f"{name}_shortcut", block.stride)
        x = module.layers.Add(name=f"{name}_add")([y, x])
    return _normalized(module, x, "last")
