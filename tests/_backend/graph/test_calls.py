"""A model as its calls: the same outputs as predict, every call once, nested and shared layers
named apart."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import trace_calls
from tfcompress.core import DataError, ModelError


def branched(flavour):
    """Two inputs, a nested model called twice, operations on tensors, two outputs."""
    keras = importlib.import_module(flavour)
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(4, 3, padding="same", name="c"),
            layers.Dropout(0.3),
        ],
        name="inner",
    )
    image, words = (
        layers.Input((8, 8, 1), name="image"),
        layers.Input((5,), name="words", dtype="int32"),
    )
    h = layers.Conv2D(4, 1, name="c")(image)
    a = inner(h)
    b = inner(a)
    h = layers.Add()([a, b])
    h = h * 2.0 + h
    h = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(h), layers.Flatten()(layers.Embedding(10, 3)(words))]
    )
    return keras.Model(
        [image, words], [layers.Dense(2, name="o1")(h), layers.Dense(1, name="o2")(h)]
    )


def test_outputs_are_predicts(keras_flavour):
    model = branched(keras_flavour)
    rng = np.random.default_rng(0)
    x = [rng.random((7, 8, 8, 1), "float32"), rng.integers(0, 10, (7, 5))]
    graph = trace_calls(model)
    expected = model.predict(x, verbose=0)
    for given in (x, {"image": x[0], "words": x[1]}):
        found = Runner(graph, graph.outputs).all(model_inputs(graph, given), batch_size=4)
        for ours, theirs in zip(found, expected):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_names_and_kinds(keras_flavour):
    graph = trace_calls(branched(keras_flavour))
    names = [call.name for call in graph.calls]
    assert names[0] == "c" and names.count("inner/c") == 2
    assert graph.input_names == ("image", "words")
    assert {"o1", "o2"} <= set(names)
    made = [tensor for call in graph.calls for tensor in call.outputs]
    assert len(made) == len(set(made))
    for call in graph.calls:
        assert all(
            tensor in graph.inputs or made.index(tensor) < made.index(call.outputs[0])
            for tensor in call.inputs
        )


def test_only_what_is_needed_runs(keras_flavour, small_cnn):
    model = small_cnn(keras_flavour)
    graph = trace_calls(model)
    conv1 = next(call for call in graph.calls if call.name == "conv1")
    x = np.random.default_rng(0).random((5, 8, 8, 1), "float32")
    (found,) = Runner(graph, conv1.outputs).all([x], 5)
    kernel, bias = model.get_layer("conv1").get_weights()
    np.testing.assert_allclose(
        found[:, 3, 3],
        np.maximum(np.einsum("nij,ijo->no", x[:, 2:5, 2:5, 0], kernel[:, :, 0]) + bias, 0),
        atol=1e-5,
    )


def test_refuses_what_has_no_graph(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    with pytest.raises(ModelError, match="no input shape yet"):
        trace_calls(keras.Sequential([keras.layers.Dense(3)]))

    class Own(keras.Model):
        def call(self, x):
            return x

    for model in (Own(), 5):
        with pytest.raises(ModelError, match=r"subclassed model|Expected a Keras 3"):
            trace_calls(model)


def test_refuses_data_that_does_not_fit(keras_flavour, small_cnn):
    graph = trace_calls(small_cnn(keras_flavour))
    for bad, words in [
        (np.zeros((3, 8, 8)), r"takes \[n, 8, 8, 1\], but the data is \[3, 8, 8\]"),
        (np.zeros((0, 8, 8, 1)), "n > 0"),
        ([np.zeros((3, 8, 8, 1), object)], "is"),
        ({"nothing": 1}, "No data for the input"),
    ]:
        with pytest.raises(DataError, match=words):
            model_inputs(graph, bad)
    two = trace_calls(branched(keras_flavour))
    with pytest.raises(DataError, match="1 arrays for a model of 2"):
        model_inputs(two, np.zeros((3, 8, 8, 1)))
    with pytest.raises(DataError, match="same n"):
        model_inputs(two, [np.zeros((3, 8, 8, 1)), np.zeros((2, 5))])
