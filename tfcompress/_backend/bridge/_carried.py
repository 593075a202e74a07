"""tf_keras objects that run a Keras 3 loss or learning-rate schedule of the user's own.

This file imports both Kerases: import it inside functions only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from tfcompress.core._types import Tensor

_registered = tf_keras.utils.register_keras_serializable("tfcompress")


def as_in_keras3(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A user's loss or metric function (y_true, y_pred), called with the targets as Keras 3 would
    give them.

    tf_keras makes targets [n] into [n, 1] and keeps integers; Keras 3 leaves the shape and casts
    to the outputs' dtype.
    """

    @functools.wraps(function)
    def call(y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = tf.convert_to_tensor(y_pred)
        y_true = tf.convert_to_tensor(y_true)
        if y_true.dtype != tf.string:
            y_true = tf.cast(y_true, y_pred.dtype)
        if _may_be_vector(y_true, y_pred):
            try:
                value = function(tf.squeeze(y_true, -1), y_pred)
                if value.shape.rank in (0, 1):
                    return value
            except (ValueError, TypeError, IndexError, tf.errors.InvalidArgumentError):
                pass  # written for targets [n, 1]
        return function(y_true, y_pred)

    return call


def _may_be_vector(y_true: Tensor, y_pred: Tensor) -> bool:
    """Whether targets [n, 1] may have been [n]: there are several outputs for each."""
    both = y_true.shape.rank == y_pred.shape.rank == 2
    return both and y_true.shape[-1] == 1 and y_pred.shape[-1] != 1


@_registered
class Loss(tf_keras.losses.Loss):
    """A Keras 3 loss object; its values per sample are its own, weighting and reduction are done by
    tf_keras.
    """

    def __init__(self, loss: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return as_in_keras3(self.loss.call)(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}


@_registered
class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A Keras 3 learning-rate schedule: step → rate."""

    def __init__(self, schedule: Any = None):
        self.schedule = (
            keras.saving.deserialize_keras_object(schedule)
            if isinstance(schedule, dict)
            else schedule
        )

    def __call__(self, step: Tensor) -> Tensor:
        return tf.cast(self.schedule(step), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule)}


@_registered
def crossentropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Keras 3's "crossentropy": binary for one output column, sparse where the targets are class
    numbers, else categorical.
    """
    if y_pred.shape[-1] == 1:
        return tf_keras.losses.binary_crossentropy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return tf_keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
    return tf_keras.losses.categorical_crossentropy(y_true, y_pred)
