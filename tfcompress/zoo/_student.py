"""Smaller networks of the zoo's architectures, to be taught by bigger ones."""

from __future__ import annotations

from typing import Any

from tfcompress._backend import bridge as _keras
from tfcompress.core import ModelError
from tfcompress.core._types import Model
from tfcompress.zoo._efficientnet import efficientnet
from tfcompress.zoo._mobilenet import mobilenet
from tfcompress.zoo._quantnet import quantnet
from tfcompress.zoo._resnet import DEPTHS as RESNET_DEPTHS
from tfcompress.zoo._resnet import resnet
from tfcompress.zoo._vgg import REPEATS, vgg16, vgg19

DEPTHS = {"resnet": RESNET_DEPTHS, "vgg": tuple(REPEATS)}
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


def student(
    teacher: Model | str, width: float = 0.5, depth: float | None = None, **options: Any
) -> Model:
    """A smaller network of the architecture of `teacher`, untrained.

    It is made for `Distill(teacher, x, y)`, whose student has the teacher's outputs.
    Source: Hinton et al., arXiv:1503.02531.

    Args:
        teacher: A zoo model, or a name such as "resnet20".
        width: Multiplies the filter numbers of the architecture at width 1; in (0, 1].
        depth: 8, 20, 32 or 50 for residual networks, 16 or 19 for VGG, the depth coefficient for
            EfficientNet; the teacher's if None.
        options: For the builder (keras, input_shape, classes, compile, …). What is not given is
            taken from a teacher model.

    Raises ModelError: a model that is not the zoo's, an unknown name, a depth that the architecture
    does not have, a width outside (0, 1].
    """
    if not 0 < width <= 1:
        raise ModelError(f"student(width={width}): expected a share of the filters in (0, 1].")
    name = teacher if isinstance(teacher, str) else teacher.name
    if not isinstance(teacher, str):
        options = {**_options_of(teacher), **options}
    if name not in NAMES:
        raise ModelError(
            f"{name!r} is no architecture of the zoo ({', '.join(NAMES)}); build its student "
            "yourself, and Distill takes it."
        )
    family = name.rstrip("0123456789")
    if family in DEPTHS:
        return _of_depth(name, family, depth, width, options)
    if family == "efficientnet":
        return efficientnet(width=width, depth=1.0 if depth is None else depth, **options)
    if depth is not None:
        raise ModelError(
            f"student({name!r}, depth={depth}): {name} has one depth only; leave it out."
        )
    builder = mobilenet if name == "mobilenet" else quantnet
    return builder(width=width, **options)


def _options_of(teacher: Model) -> dict[str, object]:
    """Keras, input shape and classes of a teacher model."""
    _keras.require_graph(teacher)
    shape = _keras.input_specs(teacher)[0][1]
    return {
        "keras": _keras.flavour(teacher),
        "input_shape": tuple(shape[1:]),
        "classes": int(teacher.outputs[0].shape[-1]),
    }


def _of_depth(
    name: str, family: str, depth: float | None, width: float, options: dict[str, Any]
) -> Model:
    """A residual network or VGG of that depth, the name's own if None."""
    layers = int(name.removeprefix(family)) if depth is None else depth
    if layers not in DEPTHS[family]:
        expected = ", ".join(map(str, DEPTHS[family]))
        raise ModelError(f"student({name!r}, depth={depth}): expected one of {expected}.")
    if family == "resnet":
        return resnet(int(layers), width=width, **options)
    builder = vgg16 if layers == 16 else vgg19
    return builder(width=width, **options)
