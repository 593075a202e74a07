"""The copy that the converter is shown: in float32, recurrent layers unrolled or fused."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.bridge import flavour, leaf_layers, predict, random_inputs
from tfcompress._backend.tflite._rebuild import (
    fusible,
    in_float32,
    is_mixed,
    is_recurrent,
    unrolled,
)
from tfcompress.core import ConversionError


def recurrent(flavour, layer, shape=(6, 5)):
    k = importlib.import_module(flavour)
    inputs = k.Input(shape, name="steps")
    return k.Model(inputs, k.layers.Dense(3, name="out")(layer(k.layers)(inputs)))


def lstm(layers):
    return layers.LSTM(4, name="memory")


def both_ways(layers):
    return layers.Bidirectional(layers.LSTM(4), name="both")


RECURRENT = {
    "LSTM": lstm,
    "GRU": lambda layers: layers.GRU(4, name="memory"),
    "SimpleRNN": lambda layers: layers.SimpleRNN(4, name="memory"),
    "Bidirectional": both_ways,
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_unrolled_copy_gives_the_same_and_leaves_the_model(kind, keras_flavour):
    model = recurrent(keras_flavour, RECURRENT[kind])
    config, inputs = model.get_config(), random_inputs(model, 4)
    copy = unrolled(model, "int8")
    np.testing.assert_allclose(predict(copy, inputs)[0], predict(model, inputs)[0], atol=1e-6)
    layer = next(layer for layer in leaf_layers(copy) if is_recurrent(layer))
    assert getattr(layer, "forward_layer", layer).unroll
    assert model.get_config() == config
    assert copy is not model


def test_a_model_that_needs_no_copy_is_returned(keras_flavour, small_cnn):
    model = small_cnn(keras_flavour, compiled=False)
    assert unrolled(model, "int8") is model
    assert in_float32(model) is model


def test_half_precision_becomes_float32(keras_flavour):
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((6,), name="x")
    hidden = k.layers.Dense(8, activation="relu", dtype="mixed_float16", name="half")(inputs)
    model = k.Model(inputs, k.layers.Dense(3, dtype="float32", name="out")(hidden))
    copy = in_float32(model)
    assert not any(map(is_mixed, leaf_layers(copy)))
    x = random_inputs(model, 8)
    np.testing.assert_allclose(predict(copy, x)[0], predict(model, x)[0], atol=5e-3)


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [
        (lstm, (300, 2), "LSTM layer 'memory' takes 300 steps, more than 256"),
        (lstm, (None, 2), "LSTM layer 'memory' takes an unknown number of steps"),
        (
            lambda layers: layers.ConvLSTM2D(2, 3, name="watch"),
            (3, 6, 6, 2),
            "ConvLSTM2D layer 'watch' cannot be unrolled",
        ),
    ],
    ids=["long", "open", "ConvLSTM"],
)
def test_what_cannot_be_unrolled_is_named(layer, shape, reason, keras_flavour):
    with pytest.raises(ConversionError, match=reason):
        unrolled(recurrent(keras_flavour, layer, shape), "int8")


def test_an_lstm_can_be_fused_in_tf_keras(keras_flavour):
    model = recurrent(keras_flavour, lstm)
    shown = fusible(model, "int8")
    assert flavour(shown) == "tf_keras"
    x = random_inputs(model, 4)
    np.testing.assert_allclose(predict(shown, x)[0], predict(model, x)[0], atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        RECURRENT["GRU"],
        lambda layers: layers.LSTM(4, activation="relu", name="memory"),
        lambda layers: layers.LSTM(4, use_bias=False, name="memory"),
        both_ways,
    ],
    ids=["GRU", "relu", "no bias", "Bidirectional"],
)
def test_what_cannot_be_fused_is_named(layer, keras_flavour):
    with pytest.raises(
        ConversionError, match=r"layer '(memory|both)' cannot be fused.*lstm='unrolled'"
    ):
        fusible(recurrent(keras_flavour, layer), "int8")
