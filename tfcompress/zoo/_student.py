"""Smaller networks of the zoo's architectures, to be taught by bigger ones."""

from __future__ import annotations

from typing import Any

from tfcompress._backend import bridge as _keras
from tfcompress.core import ModelError
from tfcompress.zoo._efficientnet import efficientnet
from tfcompress.zoo._mobilenet import mobilenet
from tfcompress.zoo._quantnet import quantnet
from tfcompress.zoo._resnet import resnet
from tfcompress.zoo._vgg import vgg16, vgg19

DEPTHS = {"resnet": (8, 20, 32, 50), "vgg": (16, 19)}
NAMES = (
    "quantnet",
    "vgg16",
    "vgg19",
    "resnet8",
    "resnet20",
    "resnet32",
    "resnet50",
    "mobilenet",
    "efficientnet",
)


def student(teacher: Any, width: float = 0.5, depth: float | None = None, **options: Any) -> Any:
    """A smaller network of the architecture of `teacher`, untrained: a zoo model, or a name such as "resnet20".

    `width` multiplies the filter numbers of the architecture at width 1. `depth`: 8, 20, 32 or 50 for residual networks, 16 or 19 for
    VGG, the depth coefficient for EfficientNet; the teacher's if None. Keras, input shape and classes are those of a teacher model;
    `options` (keras, input_shape, classes, compile, …) go to the builder and count before them.
    Made for `Distill(teacher, x, y)`, whose student has the teacher's outputs. Hinton et al., arXiv:1503.02531.

    Raises ModelError: a model that is not the zoo's, an unknown name, a depth that the architecture does not have, width not in (0, 1].
    """
    if not 0 < width <= 1:
        raise ModelError(f"student(width={width}): expected a share of the filters in (0, 1].")
    if not isinstance(teacher, str):
        _keras.require_graph(teacher)
        shape, outputs = _keras.input_specs(teacher)[0][1], teacher.outputs[0].shape
        options = {
            "keras": _keras.flavour(teacher),
            "input_shape": tuple(shape[1:]),
            "classes": int(outputs[-1]),
            **options,
        }
    name = teacher if isinstance(teacher, str) else teacher.name
    if name not in NAMES:
        raise ModelError(
            f"{name!r} is no architecture of the zoo ({', '.join(NAMES)}); build its student yourself, and Distill takes it."
        )
    family = name.rstrip("0123456789")
    if family in DEPTHS:
        layers = int(name.removeprefix(family)) if depth is None else depth
        if layers not in DEPTHS[family]:
            raise ModelError(
                f"student({name!r}, depth={depth}): expected one of {', '.join(map(str, DEPTHS[family]))}."
            )
        build = {16: vgg16, 19: vgg19} if family == "vgg" else {}
        return (
            build[int(layers)](width=width, **options)
            if build
            else resnet(int(layers), width=width, **options)
        )
    if family == "efficientnet":
        return efficientnet(width=width, depth=1.0 if depth is None else depth, **options)
    if depth is not None:
        raise ModelError(
            f"student({name!r}, depth={depth}): {name} has one depth only; leave it out."
        )
    return {"mobilenet": mobilenet, "quantnet": quantnet}[name](width=width, **options)
