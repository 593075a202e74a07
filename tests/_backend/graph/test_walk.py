"""One walker: every copier of a graph gives the model again, and leaves the user's as it was.

Random graphs of both Kerases (nested models called with lists and dicts in any order, shared
layers, recorded `training=` and `mask=`, masks, operations) go through every copier.
"""

import gc
import importlib
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfcompress import analysis
from tfcompress._backend.bridge import clone, to_tf_keras
from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import narrow
from tfcompress._backend.graph._walk import ModelGraph, leaf_layers
from tfcompress._backend.keras._inputs import predict, random_inputs
from tfcompress._backend.keras._prove import recorded_arguments
from tfcompress.techniques.low_rank._rebuild import factored

COPIERS = {
    "clone": clone,
    "narrow": lambda model: narrow(model, analyse(model)),
    "factored": lambda model: factored(model, {}),
    "to_tf_keras": to_tf_keras,
    "to_tf_keras nested": lambda model: to_tf_keras(model, flatten=False),
}


def swapped(keras, call_with):
    """A nested `Model([b, a], …)` whose inputs are not in alphabetical order."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    inner = keras.Model([b, a], layers.Dense(3, name="inner")(layers.Subtract()([b, a])))
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    given = {"a": x, "b": y} if call_with == "dict" else [y, x]
    return keras.Model([x, y], layers.Dense(2, name="outer")(inner(given)))


def difference(model, copied):
    inputs = random_inputs(model, n=3, seed=5)
    pairs = zip(predict(model, inputs), predict(copied, inputs))
    return max(float(np.max(np.abs(one - other))) for one, other in pairs)


@pytest.mark.parametrize("copier", COPIERS)
@pytest.mark.parametrize("call_with", ["dict", "list"])
def test_nested_inputs_are_paired_as_keras_pairs_them(keras_flavour, call_with, copier):
    model = swapped(importlib.import_module(keras_flavour), call_with)
    assert difference(model, COPIERS[copier](model)) <= 1e-6


def test_activations_of_a_nested_model_called_with_a_dict(keras_flavour):
    model = swapped(importlib.import_module(keras_flavour), "dict")
    inputs = random_inputs(model, n=3, seed=5)
    measured = analysis.activations(model, inputs)["outer"]
    np.testing.assert_allclose(measured.reshape(3, -1), predict(model, inputs)[0], atol=1e-6)


@pytest.mark.parametrize("copier", ["clone", "narrow", "factored", "to_tf_keras"])
def test_a_recorded_mask_stays(keras_flavour, copier):
    keras = importlib.import_module(keras_flavour)
    keras.utils.set_random_seed(0)
    x, mask = keras.Input((5, 3), name="x"), keras.Input((5,), dtype="bool", name="q")
    hidden = keras.layers.Dense(4)(x)
    model = keras.Model([x, mask], keras.layers.LSTM(8)(hidden, mask=mask))
    copied = COPIERS[copier](model)
    values = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    q = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], bool)
    expected = np.asarray(model([values, q]))
    assert np.max(np.abs(expected - np.asarray(model([values, np.ones_like(q)])))) > 1e-3
    np.testing.assert_allclose(np.asarray(copied([values, q])), expected, atol=1e-6)


@pytest.mark.parametrize("copier", ["clone", "narrow", "factored", "to_tf_keras"])
def test_frozen_batch_normalization_stays_frozen(copier):
    import tf_keras

    x = tf_keras.Input((4,))
    normalized = tf_keras.layers.BatchNormalization(momentum=0.5)(
        tf_keras.layers.Dense(4)(x), training=False
    )
    model = tf_keras.Model(x, tf_keras.layers.Dense(2)(normalized))
    copied = COPIERS[copier](model)
    copied.compile("sgd", "mse")
    values = np.random.default_rng(0).normal(3, 1, size=(8, 4)).astype("float32")
    copied.fit(values, np.zeros((8, 2)), verbose=0)
    norm = next(x for x in leaf_layers(copied) if type(x).__name__ == "BatchNormalization")
    np.testing.assert_array_equal(norm.moving_mean.numpy(), np.zeros(4))


@pytest.mark.parametrize("copier", ["clone", "narrow", "factored"])
def test_monte_carlo_dropout_can_be_copied(keras_flavour, copier):
    keras = importlib.import_module(keras_flavour)
    x = keras.Input((64,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(64)(x), training=True)
    model = keras.Model(x, keras.layers.Dense(8)(hidden))
    copied = COPIERS[copier](model)
    assert recorded_arguments(copied) == recorded_arguments(model)
    values = np.ones((1, 64), "float32")
    assert np.any(np.asarray(copied(values)) != np.asarray(copied(values)))


@pytest.mark.parametrize("copier", ["clone", "narrow", "factored", "to_tf_keras"])
def test_the_users_operations_get_no_nodes_and_copies_can_be_collected(copier):
    keras = importlib.import_module("keras")
    x = keras.Input((4, 4, 3))
    h = keras.layers.Conv2D(3, 1)(x)
    model = keras.Model(x, keras.layers.Flatten()(keras.ops.relu(h) + x * 2.0))

    def nodes():
        operations = ModelGraph(model).operations()
        return [(len(op._inbound_nodes), len(op._outbound_nodes)) for op in operations]

    before = nodes()
    copies = [weakref.ref(COPIERS[copier](model)) for _ in range(3)]
    assert nodes() == before
    gc.collect()
    assert [copy() for copy in copies] == [None] * 3


def test_a_call_that_cannot_be_copied_names_the_layer_before_training(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    from tfcompress.core import ModelError

    class Scale(keras.layers.Layer):
        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def get_config(self):
            return super().get_config()  # forgets `factor`

    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(Scale(7.0, name="scale")(x)))
    for copier in ("clone", "narrow", "factored"):
        with pytest.raises(ModelError, match="scale"):
            COPIERS[copier](model)


KINDS = ["dense", "shared", "bn", "dropout", "add", "norm", "operation"]
KINDS += ["nested", "nested_dict", "masking", "mask"]


def random_model(keras, kinds, choices):
    """A graph of two inputs [6] and one of words, grown by one call a kind on tensors picked."""
    keras.utils.set_random_seed(len(kinds))
    layers = keras.layers
    width = 6
    inputs = [keras.Input((width,), name="zeta"), keras.Input((width,), name="alpha")]
    tensors, shared = list(inputs), layers.Dense(width, activation="tanh", name="shared")
    words = keras.Input((3,), dtype="int32", name="words")
    embedded = layers.Embedding(5, width, mask_zero=True)(words)
    a, b = keras.Input((width,), name="b_in"), keras.Input((width,), name="a_in")
    mixed = layers.Subtract()([layers.Dense(width)(a), b])
    nested = keras.Model([a, b], layers.BatchNormalization()(mixed), name="nested")

    def grown(kind, one, two, flag):
        training = False if flag else None
        named = [("a_in", two), ("b_in", one)]
        calls = {
            "dense": lambda: layers.Dense(width, activation="relu")(one),
            "shared": lambda: shared(one),
            "bn": lambda: layers.BatchNormalization()(one, training=training),
            "dropout": lambda: layers.Dropout(0.5)(one),
            "add": lambda: layers.Add()([one, two]),
            "nested": lambda: nested([one, two], training=training),
            "nested_dict": lambda: nested(dict(named if flag else named[::-1])),
            "masking": lambda: layers.Add()([layers.SimpleRNN(width)(embedded), one]),
            "mask": lambda: layers.SimpleRNN(width)(layers.Dense(width)(embedded), mask=words > 1),
            "operation": lambda: one * 0.5 + two,
            "norm": lambda: layers.LayerNormalization()(one),
        }
        return calls[kind]()

    for kind, (first, second, flag) in zip(kinds, choices):
        one, two = tensors[first % len(tensors)], tensors[second % len(tensors)]
        tensors.append(grown(kind, one, two, flag))
    outputs = [layers.Dense(2, name="out")(tensors[-1])]
    if choices and choices[0][2]:
        outputs.append(tensors[len(tensors) // 2 + 1])
    return keras.Model([*inputs, words], outputs)


def as_it_was(model):
    """What a copier must leave: nodes of every operation, weights."""
    operations = ModelGraph(model).operations()
    nodes = [(len(op._inbound_nodes), len(op._outbound_nodes)) for op in operations]
    return nodes, [weight.tobytes() for weight in model.get_weights()]


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_graphs_rebuilt_are_equal(keras_flavour, data):
    keras = importlib.import_module(keras_flavour)
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=7))
    choice = st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans())
    choices = data.draw(st.lists(choice, min_size=len(kinds), max_size=len(kinds)))
    model = random_model(keras, kinds, choices)
    before = as_it_was(model)
    for name, copier in COPIERS.items():
        copied = copier(model)
        assert difference(model, copied) <= 1e-6, name
        assert as_it_was(model) == before, name
