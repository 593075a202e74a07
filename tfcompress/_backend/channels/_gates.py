"""Gates that watch channels while a model trains: what the loss would lose without a channel.

To first order that is Σ a·∂L/∂a over the positions and examples of a batch.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import flavour as flavour_of
from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Array, Callback, Layer, Model, Tensor, Variable

SCORE = "importance"  # what the names of a gate's two variables begin with


def record(value: Tensor, name: str, flavour: str) -> Tensor:
    """`value` [batch, …, channels] passed through a gate that adds (Σ a·∂L/∂a)² of every batch."""
    return gate_class(flavour)(name=name)(value)


def is_gate(layer: Layer) -> bool:
    """Whether a layer is such a gate."""
    return isinstance(layer, _ChannelGate)


def score_of(gate: Layer) -> Array:
    """What a gate has measured, the mean over its batches, [channels], float64."""
    total, batches = gate.get_weights()
    return np.asarray(total, np.float64) / max(float(batches), 1.0)


def tell_gates(model: Model) -> None:
    """Let the gates of `model` know it: its optimizer says by how much losses are scaled."""
    for layer in model.layers:
        if is_gate(layer):
            layer.model = weakref.ref(model)


def step_by_step(model: Model) -> None:
    """Compile `model` with steps_per_execution=1, so that callbacks act after every step."""
    if getattr(model, "optimizer", None) is None:
        return
    given = dict(model._compile_config.config)
    if given.get("steps_per_execution") not in (None, 1):
        model.compile(**{**given, "optimizer": model.optimizer, "steps_per_execution": 1})


def hold_weights(batches: int) -> Callback:
    """A callback for `fit` of either Keras: weights stay, and training ends after `batches`."""
    return _holder_class()(batches)


def _loss_scale(model: Model | None) -> Tensor:
    """The factor by which the optimizer of `model` multiplies the loss: mixed precision's, or 1."""
    import tensorflow as tf

    optimizer = getattr(model, "optimizer", None)
    scaled = getattr(optimizer, "scale_loss", None)  # Keras 3
    scaled = scaled or getattr(optimizer, "get_scaled_loss", None)  # tf_keras, mixed precision
    one = tf.ones(())
    return one if scaled is None else tf.cast(scaled(one), tf.float32)


class _ChannelGate:
    """y = z ⊙ a with z = 1; adds (∂L/∂z)² = (Σ_{batch, positions} a ⊙ ∂L/∂a)² to its score.

    The loss is the unscaled one: under mixed precision Keras multiplies it by thousands. A batch
    whose gradients overflowed there is no batch that the optimizer uses, and none that counts here.
    """

    model: weakref.ref | None = None
    add_weight: Any

    def build(self, input_shape: tuple) -> None:
        """Make the sum [channels] and the number of batches in it."""
        self.total = self._counter(SCORE, (input_shape[-1],))
        self.batches = self._counter(f"{SCORE}_batches", ())
        self.built = True

    def _counter(self, name: str, shape: tuple) -> Variable:
        """A variable that starts at 0; replicas of a distribution strategy add up their own."""
        options: dict[str, object] = {}
        if flavour_of(self) == "tf_keras":
            import tensorflow as tf

            options["synchronization"] = tf.VariableSynchronization.ON_READ
            options["aggregation"] = tf.VariableAggregation.SUM
        return self.add_weight(
            name=name, shape=shape, initializer="zeros", trainable=False, dtype="float32", **options
        )

    def call(self, inputs: Tensor) -> Tensor:
        """`inputs` [batch, …, channels], unchanged."""
        import tensorflow as tf

        @tf.custom_gradient
        def watched(activations: Tensor) -> tuple[Tensor, object]:
            def backward(gradient: Tensor) -> Tensor:
                self._add(activations, gradient)
                return gradient

            return tf.identity(activations), backward

        return watched(inputs)

    def _add(self, activations: Tensor, gradient: Tensor) -> None:
        import tensorflow as tf

        model = None if self.model is None else self.model()
        product = tf.cast(activations, tf.float32) * tf.cast(gradient, tf.float32)
        total = tf.reduce_sum(product, list(range(len(activations.shape) - 1)))
        change = tf.square(total / _loss_scale(model))
        counts = tf.reduce_all(tf.math.is_finite(change))
        _add_to(self.total, tf.where(counts, change, tf.zeros_like(change)))
        _add_to(self.batches, tf.cast(counts, tf.float32))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The input's."""
        return input_shape


def _add_to(variable: Variable, change: Tensor) -> None:
    stored = getattr(variable, "value", variable)  # Keras 3's variable holds TensorFlow's
    (variable if callable(stored) else stored).assign_add(change)


@functools.cache
def gate_class(flavour: str) -> type:
    """The gate as a layer of one Keras, registered as tfcompress>ChannelGate."""
    keras = keras_module(flavour)
    home = keras.saving if flavour == "keras" else keras.utils
    layer_class = type("ChannelGate", (_ChannelGate, keras.layers.Layer), {})
    return home.register_keras_serializable("tfcompress")(layer_class)


class _HoldWeights:
    """After every batch the weights are what they were before; after `batches` training ends."""

    def __init__(self, batches: int):
        super().__init__()
        self.batches, self.seen = batches, 0
        self.held: list[tuple[Variable, Array]] = []

    def set_model(self, model: Model) -> None:
        """The model that `fit` is called on."""
        self._model = model

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Remember the weights; TrainingError where callbacks would not see every step."""
        steps = _steps_per_execution(self._model)
        if steps > 1:
            raise TrainingError(
                f"steps_per_execution={steps}: the weights are put back after every execution, not "
                "every step. Compile the model with steps_per_execution=1."
            )
        self.seen = 0
        self.held = [(v, np.array(v)) for v in self._model.weights if not _is_score(v)]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Put the weights back, and end the training after the last batch."""
        for variable, value in self.held:
            variable.assign(value)
        self.seen += 1
        if self.seen >= self.batches:
            self._model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the copies."""
        self.held = []


@functools.cache
def _holder_class() -> type:
    """The callback as an instance of both Kerases' class, so that either `fit` takes it."""
    bases = [keras_module(name).callbacks.Callback for name in ("keras", "tf_keras")]
    return type("HoldWeights", (_HoldWeights, *bases), {})


def _steps_per_execution(model: Model) -> int:
    """How many steps `fit` takes between two calls of its callbacks."""
    steps = getattr(model, "steps_per_execution", None)  # Keras 3
    if steps is None:
        steps = getattr(model, "_steps_per_execution", None)  # tf_keras: a variable
    return 1 if steps is None else int(np.asarray(steps))


def _is_score(variable: Variable) -> bool:
    path = getattr(variable, "path", variable.name)
    return path.split("/")[-1].startswith(SCORE)
