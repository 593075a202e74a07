"""Where a network looks: attention maps of its layers, and which layers of student and teacher are
compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tfcompress._backend import bridge as _keras
from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer, Model, Tensor

Size: TypeAlias = tuple[int, int]
"""Height and width of a layer's output."""

LEAST_POSITIONS = 49  # 7 × 7, the smallest maps of Zagoruyko & Komodakis, for which β = 1000 is


def attention_map(activations: Tensor, size: Size | None = None) -> Tensor:
    """Q(A) = vec(Σ_c A_c²) / ‖vec(Σ_c A_c²)‖₂, [batch, H·W]; resized bilinearly to `size` first
    where it differs.

    Args:
        activations: [batch, H, W, C].
        size: height and width of the map.
    """
    import tensorflow as tf

    energy = tf.reduce_sum(tf.square(tf.cast(activations, tf.float32)), -1, keepdims=True)
    if size is not None and tuple(energy.shape[1:3]) != tuple(size):
        energy = tf.image.resize(energy, size)
    return tf.math.l2_normalize(tf.reshape(energy, (tf.shape(energy)[0], -1)), -1)


def attention_loss(size: Size) -> Callable[[Tensor, Tensor], Tensor]:
    """loss(q, A) = mean (q − Q(A))², q the teacher's map [batch, H·W], A the student's activations
    [batch, H, W, C].
    """
    import tensorflow as tf

    def loss(taught: Tensor, activations: Tensor) -> Tensor:
        return tf.reduce_mean(tf.square(taught - attention_map(activations, size)), -1)

    return loss


def paired_layers(
    attention: Mapping[str, str] | str | None, student: Model, teacher: Model
) -> dict[str, str]:
    """{student layer: teacher layer} whose maps are compared.

    Args:
        attention: the pairs; "auto" for the last layer of every size that both have, from 7 × 7 on
            (the largest where all are smaller); None for none.

    Raises:
        ModelError: "auto", and no size in common.
    """
    if not attention:
        return {}
    if not isinstance(attention, str):
        return dict(attention)
    mine, theirs = last_of_each_size(student), last_of_each_size(teacher)
    sizes = [size for size in mine if size in theirs]
    if not sizes:
        raise ModelError(
            f"attention='auto': no size in common (student {list(mine)}, teacher {list(theirs)}); "
            "give the pairs."
        )
    large = [size for size in sizes if math.prod(size) >= LEAST_POSITIONS]
    return {mine[size]: theirs[size] for size in large or [max(sizes, key=math.prod)]}


def with_outputs(model: Model, layers: Sequence[str]) -> Model:
    """A model over the same layers and variables as `model` that gives its output and the outputs
    of the `layers` named.
    """
    inner = [_output(model, name) for name in layers]
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    outputs = [model.outputs[0], *inner] if inner else model.outputs[0]
    return keras_module(_keras.flavour(model)).Model(inputs, outputs)


def spatial_size(model: Model, layer: str) -> Size:
    """(height, width) of the output of `layer`; ModelError where it is no image."""
    shape = tuple(_output(model, layer).shape)
    if len(shape) != 4 or None in shape[1:3]:
        raise ModelError(
            f"Attention is of outputs [batch, height, width, channels]; layer {layer!r} gives "
            f"{shape}."
        )
    return int(shape[1]), int(shape[2])


def last_of_each_size(model: Model) -> dict[Size, str]:
    """(height, width) → the last layer of `model` with an output of that size."""
    last: dict[Size, str] = {}
    for layer in model.layers:
        outputs = _outputs(layer)
        shape: tuple = tuple(getattr(outputs[0], "shape", ())) if outputs else ()
        image = len(shape) == 4 and None not in shape[1:3] and shape[1] > 1
        if image and "input" not in type(layer).__name__.lower():
            last[(int(shape[1]), int(shape[2]))] = layer.name
    return last


def _output(model: Model, name: str) -> Tensor:
    for layer in model.layers:
        if name in (layer.name, getattr(getattr(layer, "layer", None), "name", None)):
            return _outputs(layer)[0]
    names = ", ".join(layer.name for layer in model.layers[:15])
    raise ModelError(f"Model {model.name!r} has no layer {name!r}; it has {names}, …")


def _outputs(layer: Layer) -> list[Any]:
    output = layer.output
    return list(output) if isinstance(output, (list, tuple)) else [output]
