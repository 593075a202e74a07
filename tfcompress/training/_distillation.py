"""The loss of distillation, and the teacher who says for every image what the student is compared
with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.bridge import _batches
from tfcompress._backend.bridge._batches import Batch
from tfcompress.core._errors import DataError
from tfcompress.core._types import Array, ArrayLike, Data, Model, Tensor
from tfcompress.training._attention import Size, attention_map, with_outputs
from tfcompress.training._outputs import Kind, tensor_logits

AT_ONCE = 256  # images that the teacher sees at a time where its answers are kept


def soft_loss(
    kind: Kind, classes: int, temperature: float, alpha: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """loss(y, p) with y = [labels (one-hot or 0/1) ‖ teacher's logits z_t]: (1 − α)·CE(labels, p) +
    α·T²·KL(σ(z_t/T) ‖ σ(z_s/T)).
    """
    import tensorflow as tf

    binary = kind == "sigmoid" or classes == 1
    terms = _binary_terms if binary else _softmax_terms

    def loss(y: Tensor, p: Tensor) -> Tensor:
        student = tensor_logits(p, kind)
        y = tf.cast(y, student.dtype)
        labels, taught = y[:, :classes], y[:, classes:]
        hard, divergence = terms(labels, taught, student, temperature)
        return (1 - alpha) * hard + alpha * temperature**2 * divergence

    return loss


def _softmax_terms(
    labels: Tensor, taught: Tensor, student: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """(CE(labels, σ(z_s)), KL(σ(z_t/T) ‖ σ(z_s/T))), each [batch], for one distribution a row."""
    import tensorflow as tf

    hard = tf.nn.softmax_cross_entropy_with_logits(labels, student)
    soft = tf.nn.softmax(taught / temperature)
    log_ratio = tf.nn.log_softmax(taught / temperature) - tf.nn.log_softmax(student / temperature)
    return hard, tf.reduce_sum(soft * log_ratio, -1)


def _binary_terms(
    labels: Tensor, taught: Tensor, student: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """The same for a Bernoulli distribution in every column, mean over the columns."""
    import tensorflow as tf

    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    hard = entropy(labels, student)
    soft = tf.nn.sigmoid(taught / temperature)
    divergence = entropy(soft, student / temperature) - entropy(soft, taught / temperature)
    return tf.reduce_mean(hard, -1), tf.reduce_mean(divergence, -1)


def accuracy(kind: Kind, classes: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A metric on the labels' half of y: the share of right answers."""
    import tensorflow as tf

    threshold = 0.5 if kind == "sigmoid" else 0.0

    def hit(y: Tensor, p: Tensor) -> Tensor:
        labels = tf.cast(y[:, :classes], p.dtype)
        if classes == 1:
            right = tf.equal(labels[:, 0] > 0.5, p[:, 0] > threshold)
        else:
            right = tf.equal(tf.argmax(labels, -1), tf.argmax(p, -1))
        return tf.cast(right, tf.float32)

    hit.__name__ = "accuracy"
    return hit


@dataclass(frozen=True)
class Teacher:
    """What a teacher says of images: its logits, and its attention maps of `layers`, of the `sizes`
    of the student's.

    Args:
        model: of either Keras, never trained.
        kind: what its output holds.
        classes: columns of its output.
        layers: names of its layers.
        sizes: (height, width) of the map for each of them.
    """

    model: Model
    kind: Kind
    classes: int
    layers: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()

    def answering(self) -> Callable[[Any], list[Tensor]]:
        """f(x) → [logits [batch, classes], map [batch, H·W] of each layer], float32."""
        import tensorflow as tf

        whole = with_outputs(self.model, self.layers)

        @tf.function(reduce_retracing=True)
        def answers(x: Any) -> list[Tensor]:
            outputs = whole(x, training=False)
            outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            logits = tf.cast(tensor_logits(outputs[0], self.kind), tf.float32)
            maps = [attention_map(part, size) for part, size in zip(outputs[1:], self.sizes)]
            return [logits, *maps]

        return answers

    def teaching(self) -> Callable[[Any, Any], Any]:
        """f(x, y) → what the student's outputs for a batch are compared with: [labels ‖ logits],
        and the maps.
        """
        import tensorflow as tf

        answers = self.answering()

        def taught(x: Any, y: Any) -> Any:
            logits, *maps = answers(x)
            labels = tf.convert_to_tensor(y)
            single = labels.shape.rank == 1 or labels.shape[-1] == 1
            if self.classes > 1 and single:
                labels = tf.one_hot(tf.cast(tf.reshape(labels, (-1,)), tf.int32), self.classes)
            labels = tf.reshape(tf.cast(labels, tf.float32), (-1, self.classes))
            packed = tf.concat([labels, logits], 1)
            return (packed, *maps) if maps else packed

        return taught

    def answers_to(self, inputs: Sequence[Array]) -> list[Array]:
        """[logits [n, classes], maps [n, H·W] ...] for the images [n, ...], written where they are
        to stay.
        """
        import tensorflow as tf

        answers, count = self.answering(), len(inputs[0])
        kept: list[Array] = []
        for start in range(0, count, AT_ONCE):
            batch = [tf.convert_to_tensor(part[start : start + AT_ONCE]) for part in inputs]
            values = [np.asarray(part) for part in answers(batch if len(batch) > 1 else batch[0])]
            if not kept:
                kept = [np.empty((count, part.shape[1]), np.float32) for part in values]
            for into, part in zip(kept, values):
                into[start : start + len(part)] = part
        return kept

    def bytes_of_maps(self, count: int) -> int:
        """Bytes of the maps of `count` images."""
        return 4 * count * sum(height * width for height, width in self.sizes)


class ArrayBatches:
    """Batches (x, y) or (x, y, sample_weight) of arrays, in another order every epoch.

    Args:
        x: array or list of arrays [n, ...].
        y: labels [n, ...].
        weight: [n] or None.
        size: samples a batch.
        shuffled: whether the order changes.
    """

    def __init__(self, x: Data, y: Array, weight: ArrayLike, size: int, shuffled: bool) -> None:
        self.x, self.y, self.size, self.shuffled = x, y, size, shuffled
        self.weight = None if weight is None else np.asarray(weight)
        self.order = np.arange(len(y))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.y) // self.size)

    def __getitem__(self, index: int) -> Batch:
        rows = self.order[index * self.size : (index + 1) * self.size]
        several = isinstance(self.x, (list, tuple))
        x = [np.asarray(part)[rows] for part in self.x] if several else np.asarray(self.x)[rows]
        batch = (x, self.y[rows])
        return batch if self.weight is None else (*batch, self.weight[rows])

    def on_epoch_end(self) -> None:
        """Shuffle."""
        if self.shuffled:
            np.random.shuffle(self.order)


def taught_batches(
    source: Data,
    flavour: str,
    taught: Callable[[Any, Any], Any],
    check: Callable[[Any, Any], None],
) -> Data:
    """`source`, which makes its own batches (x, y), with `taught(x, y)` for y: a tf.data set, or a
    Sequence of that Keras.

    Its first batch is looked at by `check`. The teacher is asked for every batch anew, since no two
    epochs need have the same.
    """
    import tensorflow as tf

    source = _batches.adapt_batches(source, flavour)

    def change(*batch: Any) -> Batch:
        return (batch[0], taught(*_pair(batch)), *batch[2:])

    def change_arrays(batch: Batch) -> Batch:
        return tf.nest.map_structure(np.asarray, change(*batch))

    check(*_pair(_first(source)))
    if hasattr(source, "__getitem__"):
        return _batches.sequence(source, flavour, change_arrays)
    return source.map(change)


def _first(source: Data) -> Batch:
    if hasattr(source, "__getitem__"):
        return source[0]
    batches: Iterator[Batch] = iter(source)
    return next(batches)


def _pair(batch: Batch) -> tuple[Any, Any]:
    if not isinstance(batch, (list, tuple)) or len(batch) < 2:
        raise DataError("The training data yields no labels; expected batches (x, y).")
    return batch[0], batch[1]


def one_hot(labels: Array, classes: int) -> Array:
    """[n, classes] of labels [n] or [n, 1] where there are several classes; DataError for a label
    that none of them has.
    """
    if classes == 1 or labels.reshape(len(labels), -1).shape[1] != 1:
        return labels
    numbers = labels.reshape(-1).astype(int)
    if numbers.min() < 0 or numbers.max() >= classes:
        raise DataError(
            f"y holds labels {numbers.min()} to {numbers.max()}; the model has {classes} classes, "
            f"0 to {classes - 1}."
        )
    return np.eye(classes, dtype=np.float32)[numbers]
