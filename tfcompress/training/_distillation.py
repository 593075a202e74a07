"""The graph side of distillation: logits behind probabilities, attention maps, and a model that gives both at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.bridge import _training as _training
from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core._errors import DataError, ModelError

SMALLEST = 1e-7


def output_kind(model: Any) -> str:
    """ "softmax", "sigmoid" or "logits": what the one output of `model` holds, told by its last activation."""
    if len(model.outputs) != 1:
        raise ModelError(
            f"Distillation is for models with one output; {model.name!r} has {len(model.outputs)}."
        )
    last = _keras.leaf_layers(model)[-1]
    while hasattr(last, "layer"):  # TFMOT's wrappers
        last = last.layer
    activation = getattr(last, "activation", None)
    activation = getattr(activation, "activation", activation)  # TFMOT's QuantizeAwareActivation
    name = (
        type(last).__name__.lower() if activation is None else getattr(activation, "__name__", "")
    )
    return "softmax" if "softmax" in name else "sigmoid" if name == "sigmoid" else "logits"


def logits_of(outputs: np.ndarray, kind: str) -> np.ndarray:
    """z with softmax(z) = p (z = log p) or sigmoid(z) = p (z = log p − log(1 − p)); [n, classes], float32."""
    if kind == "logits":
        return outputs.astype(np.float32)
    p = np.clip(outputs.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return (np.log(p) if kind == "softmax" else np.log(p) - np.log1p(-p)).astype(np.float32)


def tensor_logits(outputs: Any, kind: str) -> Any:
    """`logits_of` on tensors."""
    import tensorflow as tf

    if kind == "logits":
        return outputs
    p = tf.clip_by_value(outputs, SMALLEST, 1 - SMALLEST)
    return tf.math.log(p) if kind == "softmax" else tf.math.log(p) - tf.math.log1p(-p)


def soft_loss(kind: str, classes: int, temperature: float, alpha: float) -> Any:
    """loss(y, p) with y = [labels (one-hot or 0/1) ‖ teacher's logits z_t]: (1 − α)·CE(labels, p) + α·T²·KL(σ(z_t/T) ‖ σ(z_s/T))."""
    import tensorflow as tf

    def loss(y: Any, p: Any) -> Any:
        y = tf.cast(y, p.dtype)
        labels, taught = y[:, :classes], y[:, classes:]
        student = tensor_logits(p, kind)
        if kind == "sigmoid" or classes == 1:
            hard = tf.nn.sigmoid_cross_entropy_with_logits(labels, student)
            soft = tf.nn.sigmoid(taught / temperature)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(soft, taught / temperature)
            divergence = (
                tf.nn.sigmoid_cross_entropy_with_logits(soft, student / temperature) - entropy
            )
            hard, divergence = tf.reduce_mean(hard, -1), tf.reduce_mean(divergence, -1)
        else:
            hard = tf.nn.softmax_cross_entropy_with_logits(labels, student)
            soft, log_soft = (
                tf.nn.softmax(taught / temperature),
                tf.nn.log_softmax(taught / temperature),
            )
            divergence = tf.reduce_sum(
                soft * (log_soft - tf.nn.log_softmax(student / temperature)), -1
            )
        return (1 - alpha) * hard + alpha * temperature**2 * divergence

    return loss


def accuracy(kind: str, classes: int) -> Any:
    """A metric on the labels' half of y: the share of right answers."""
    import tensorflow as tf

    def hit(y: Any, p: Any) -> Any:
        labels = tf.cast(y[:, :classes], p.dtype)
        if classes == 1:
            return tf.cast(
                tf.equal(labels[:, 0] > 0.5, p[:, 0] > (0.5 if kind == "sigmoid" else 0.0)),
                tf.float32,
            )
        return tf.cast(tf.equal(tf.argmax(labels, -1), tf.argmax(p, -1)), tf.float32)

    hit.__name__ = "accuracy"
    return hit


def attention_loss(size: tuple[int, int]) -> Any:
    """loss(q, A) = mean (q − Q(A))², q the teacher's map [batch, H·W], A the student's activations [batch, H, W, C]."""
    import tensorflow as tf

    return lambda y, p: tf.reduce_mean(tf.square(y - attention_map(p, size)), -1)


def attention_map(activations: Any, size: tuple[int, int] | None = None) -> Any:
    """Q(A) = vec(Σ_c A_c²) / ‖vec(Σ_c A_c²)‖₂, [batch, H·W]; resized bilinearly to `size` first where it differs."""
    import tensorflow as tf

    energy = tf.reduce_sum(tf.square(tf.cast(activations, tf.float32)), -1, keepdims=True)
    if size is not None and tuple(energy.shape[1:3]) != tuple(size):
        energy = tf.image.resize(energy, size)
    return tf.math.l2_normalize(tf.reshape(energy, (tf.shape(energy)[0], -1)), -1)


def teach(
    teacher: Any, layers: Sequence[str], sizes: Sequence[tuple[int, int]], classes: int
) -> Callable[[Any, Any], Any]:
    """f(x, y) → what the student's outputs for the batch x are compared with: [labels ‖ teacher's logits], and the teacher's maps."""
    import tensorflow as tf

    whole, kind = with_outputs(teacher, layers), output_kind(teacher)

    def taught(x: Any, y: Any) -> Any:
        found = whole(x, training=False)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        labels = tf.convert_to_tensor(y)
        single = labels.shape.rank == 1 or labels.shape[-1] == 1
        if classes > 1 and single:
            labels = tf.one_hot(tf.cast(tf.reshape(labels, (-1,)), tf.int32), classes)
        labels = tf.reshape(tf.cast(labels, tf.float32), (-1, classes))
        packed = tf.concat([labels, tf.cast(tensor_logits(found[0], kind), tf.float32)], 1)
        maps = [attention_map(values, size) for values, size in zip(found[1:], sizes)]
        return (packed, *maps) if maps else packed

    return taught


def taught_batches(
    source: Any, flavour: str, taught: Callable[[Any, Any], Any], check: Callable[[Any, Any], None]
) -> Any:
    """`source`, which makes its own batches (x, y), with `taught(x, y)` for y: a tf.data set, or a Sequence of that Keras.

    Its first batch is looked at by `check`. The teacher is asked for every batch anew, since no two epochs need have the same.
    """
    import tensorflow as tf

    source = _training.adapt_batches(source, flavour)

    def change(*batch: Any) -> tuple:
        return (batch[0], taught(*_pair(batch)), *batch[2:])

    if hasattr(source, "__getitem__"):
        check(*_pair(source[0]))
        return _training.sequence(
            source, flavour, lambda batch: tf.nest.map_structure(np.asarray, change(*batch))
        )
    check(*_pair(next(iter(source))))
    return source.map(change)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (list, tuple)) or len(batch) < 2:
        raise DataError("The training data yields no labels; expected batches (x, y).")
    return batch[0], batch[1]


def with_outputs(model: Any, layers: Sequence[str]) -> Any:
    """A model over the same layers and variables as `model` that gives its output and the outputs of the `layers` named."""
    found = [_output(model, name) for name in layers]
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras_module(_keras.flavour(model)).Model(
        inputs, [model.outputs[0], *found] if found else model.outputs[0]
    )


def spatial_size(model: Any, layer: str) -> tuple[int, int]:
    """(height, width) of the output of `layer`."""
    shape = tuple(_output(model, layer).shape)
    if len(shape) != 4 or None in shape[1:3]:
        raise ModelError(
            f"Attention is of outputs [batch, height, width, channels]; layer {layer!r} gives {shape}."
        )
    return int(shape[1]), int(shape[2])


def last_of_each_size(model: Any) -> dict[tuple[int, int], str]:
    """(height, width) → the last layer of `model` with an output of that size."""
    found: dict[tuple[int, int], str] = {}
    for layer in model.layers:
        shape = tuple(getattr(_outputs(layer)[0], "shape", ())) if _outputs(layer) else ()
        if (
            len(shape) == 4
            and None not in shape[1:3]
            and shape[1] > 1
            and "input" not in type(layer).__name__.lower()
        ):
            found[(int(shape[1]), int(shape[2]))] = layer.name
    return found


def _output(model: Any, name: str) -> Any:
    for layer in model.layers:
        if name in (layer.name, getattr(getattr(layer, "layer", None), "name", None)):
            return _outputs(layer)[0]
    names = ", ".join(layer.name for layer in model.layers[:15])
    raise ModelError(f"Model {model.name!r} has no layer {name!r}; it has {names}, …")


def _outputs(layer: Any) -> list:
    output = layer.output
    return list(output) if isinstance(output, (list, tuple)) else [output]
