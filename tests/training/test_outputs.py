"""Whether a model gives probabilities or logits: by its graph, by its values, or by asking."""

import importlib

import numpy as np
import pytest

from tfcompress.core import ModelError
from tfcompress.training._outputs import output_kind


def model_ending(flavour, end, units=5):
    """Input [4] → Dense(units) → `end(keras, x)`."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    return keras.Model(inputs, end(keras, keras.layers.Dense(units)(inputs)))


ENDS = {
    "linear": (lambda k, x: x, "logits"),
    "softmax": (lambda k, x: k.layers.Activation("softmax")(x), "softmax"),
    "sigmoid": (lambda k, x: k.layers.Activation("sigmoid")(x), "sigmoid"),
    "a cast behind": (
        lambda k, x: k.layers.Activation("linear", dtype="float32")(k.layers.Softmax()(x)),
        "softmax",
    ),
    "a reshape behind": (
        lambda k, x: k.layers.Reshape((-1,))(k.layers.Softmax()(k.layers.Reshape((1, 5))(x))),
        "softmax",
    ),
    "a lambda behind": (
        lambda k, x: k.layers.Lambda(lambda a: a)(k.layers.Softmax()(x)),
        "softmax",
    ),
    "a softmax of parts": (
        lambda k, x: k.layers.Reshape((4,))(
            k.layers.Softmax()(k.layers.Reshape((2, 2))(k.layers.Dense(4)(x)))
        ),
        None,
    ),
    "a lambda": (lambda k, x: k.layers.Lambda(lambda a: 9.0 * a)(x), "logits"),
    "log softmax": (lambda k, x: k.layers.Activation("log_softmax")(x), "logits"),
    "dropout behind": (lambda k, x: k.layers.Dropout(0.5)(k.layers.Softmax()(x)), "softmax"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_a_model_ends_in(name, keras_flavour):
    end, kind = ENDS[name]
    if kind is None:  # rows sum to two and all values are in [0, 1]: it can only be asked
        with pytest.raises(ModelError, match="outputs='logits'"):
            output_kind(model_ending(keras_flavour, end))
        assert output_kind(model_ending(keras_flavour, end), "sigmoid") == "sigmoid"
    else:
        assert output_kind(model_ending(keras_flavour, end)) == kind


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "log_softmax"])
def test_operations_of_keras_3(name):
    model = model_ending("keras", lambda k, x: getattr(k.ops, name)(x))
    assert output_kind(model) == {"log_softmax": "logits"}.get(name, name)
    carried = importlib.import_module("tfcompress._backend.bridge").to_tf_keras(model)
    if name != "sigmoid":  # of a carried operation only the values tell
        assert output_kind(carried) == output_kind(model)


def test_a_model_inside_a_model(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    inner = model_ending(keras_flavour, ENDS["softmax"][0])
    inputs = keras.Input((4,))
    assert output_kind(keras.Model(inputs, inner(inputs))) == "softmax"


def test_a_quantization_aware_model(small_cnn):
    from tfcompress.techniques import QuantizeAware

    assert output_kind(QuantizeAware().apply(small_cnn("keras"))) == "softmax"


def test_several_outputs_are_refused():
    model = model_ending("keras", lambda k, x: [x, k.layers.Softmax()(x)])
    with pytest.raises(ModelError, match="one output"):
        output_kind(model)


def test_logits_behind_probabilities():
    from tfcompress.training._outputs import logits_of, tensor_logits

    z = np.random.default_rng(0).normal(0, 2, (6, 5))
    softmax = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-z))
    centred = logits_of(softmax, "softmax") - logits_of(softmax, "softmax").mean(-1, keepdims=True)
    np.testing.assert_allclose(centred, z - z.mean(-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(logits_of(sigmoid, "sigmoid"), z, atol=1e-5)
    half = tensor_logits(np.array([[1.0, 0.0]], np.float16), "sigmoid")
    assert np.isfinite(half).all()
