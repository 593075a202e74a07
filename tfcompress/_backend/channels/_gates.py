"""Gates that watch channels while a model trains: what the loss would lose, to first order, if a channel were gone."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import keras_module

SCORE = "importance"


def record(value: Any, name: str, flavour: str) -> Any:
    """`value` [batch, …, channels] passed through a gate that adds (Σ a·∂L/∂a)² of every batch to its score [channels]."""
    return _gate(flavour)(name=name)(value)


def is_gate(layer: Any) -> bool:
    """Whether a layer is such a gate."""
    return type(layer).__name__ == "ChannelGate"


def score_of(gate: Any) -> np.ndarray:
    """What a gate has added up so far, [channels], float64."""
    return np.asarray(gate.get_weights()[0], np.float64)


def hold_weights(batches: int) -> Any:
    """A callback for `fit` of either Keras: after every batch the weights are what they were, and after `batches` of them it ends."""
    return _holder()(batches)


@functools.cache
def _gate(flavour: str) -> type:
    kit = keras_module(flavour)
    serializable = (
        kit.saving.register_keras_serializable
        if flavour == "keras"
        else kit.utils.register_keras_serializable
    )

    @serializable("tfcompress")
    class ChannelGate(kit.layers.Layer):
        """y = z ⊙ a with z = 1; its score adds (∂L/∂z)² = (Σ_{batch, positions} a ⊙ ∂L/∂a)² at every backward pass."""

        def build(self, input_shape):
            options: dict[str, Any] = {}
            if flavour == "tf_keras":  # replicas of a distribution strategy add up their own
                import tensorflow as tf

                options = {
                    "synchronization": tf.VariableSynchronization.ON_READ,
                    "aggregation": tf.VariableAggregation.SUM,
                }
            self.score = self.add_weight(
                name=SCORE,
                shape=(input_shape[-1],),
                initializer="zeros",
                trainable=False,
                dtype="float32",
                **options,
            )
            super().build(input_shape)

        def call(self, inputs):
            import tensorflow as tf

            @tf.custom_gradient
            def watched(a):
                def backward(gradient):
                    product = tf.cast(a, tf.float32) * tf.cast(gradient, tf.float32)
                    change = tf.square(tf.reduce_sum(product, list(range(len(a.shape) - 1))))
                    variable = self.score.value if flavour == "keras" else self.score
                    variable.assign_add(change)
                    return gradient

                return tf.identity(a), backward

            return watched(inputs)

        def compute_output_shape(self, input_shape):
            return input_shape

    return ChannelGate


@functools.cache
def _holder() -> type:
    ours, theirs = (
        keras_module("keras").callbacks.Callback,
        keras_module("tf_keras").callbacks.Callback,
    )

    class HoldWeights(
        ours, theirs
    ):  # an instance of both, so that either `fit` takes it as its own
        def __init__(self, batches: int):
            ours.__init__(self)
            self.batches, self.seen, self.held = batches, 0, []

        def set_model(self, model):
            self._model = model

        def on_train_begin(self, logs=None):
            model: Any = self._model
            self.seen = 0
            self.held = [(v, np.array(v)) for v in model.weights if not _is_score(v)]

        def on_train_batch_end(self, batch, logs=None):
            model: Any = self._model
            for variable, value in self.held:
                variable.assign(value)
            self.seen += 1
            if self.seen >= self.batches:
                model.stop_training = True

    return HoldWeights


def _is_score(variable: Any) -> bool:
    path = getattr(variable, "path", variable.name)
    return path.split("/")[-1].split(":")[0] == SCORE
