"""What cannot be carried over is named: the layer, its class and what to do."""

import importlib

import keras
import numpy as np
import pytest
import tf_keras

from tfcompress._backend import bridge as bridge
from tfcompress.core import ModelError


@pytest.mark.parametrize(
    "thing, told",
    [
        (3, "int"),
        ("net.keras", "load_model"),
        (keras.Sequential, "class Sequential"),
        (None, "NoneType"),
    ],
)
def test_no_model(thing, told):
    with pytest.raises(ModelError, match=told):
        bridge.flavour(thing)


def test_unbuilt_subclassed_and_layer(keras_flavour):
    package = importlib.import_module(keras_flavour)

    class Net(package.Model):
        def __init__(self):
            super().__init__()
            self.first = package.layers.Dense(3, name="first")

        def call(self, x):
            return self.first(x)

    with pytest.raises(ModelError, match=r"no input shape yet.*build"):
        bridge.to_tf_keras(package.Sequential([package.layers.Dense(3)], name="bare"))
    with pytest.raises(
        ModelError, match=r"Net.*subclassed.*first: Dense.*keras.Model\(inputs, outputs\)"
    ):
        bridge.require_graph(Net())
    with pytest.raises(ModelError, match="Dense layer 'lone'"):
        bridge.require_graph(package.layers.Dense(3, name="lone"))
    built = package.Sequential([package.layers.Dense(3)])
    built(np.zeros((1, 4), "float32"))
    bridge.require_graph(built)
    assert bridge.input_specs(bridge.to_tf_keras(built))[0][1] == (None, 4) or bridge.input_specs(
        built
    )[0][1] == (1, 4)


def test_layer_without_config(keras_flavour):
    package = importlib.import_module(keras_flavour)

    class Silent(package.layers.Layer):
        def __init__(self, function, **kwargs):
            super().__init__(**kwargs)
            self.function = function

        def call(self, x):
            return self.function(x)

    i = package.Input((3,))
    model = package.Model(i, Silent(lambda x: x + 1.0, name="quiet")(i))
    for carry in (bridge.to_tf_keras, bridge.clone):
        with pytest.raises(ModelError, match=r"Silent layer 'quiet'.*get_config"):
            carry(model)


def test_config_that_forgets_an_argument_is_found_out(keras_flavour):
    package = importlib.import_module(keras_flavour)

    class Forgetful(package.layers.Layer):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def get_config(self):
            return super().get_config()

    i = package.Input((3,))
    model = package.Model(i, package.layers.Dense(2)(Forgetful(3.0, name="forgets")(i)))
    with pytest.raises(ModelError, match=r"Forgetful 'forgets'"):
        bridge.to_tf_keras(model)
    with pytest.raises(ModelError, match="outputs"):
        bridge.clone(model)


def test_random_in_inference(keras_flavour):
    package = importlib.import_module(keras_flavour)
    import tensorflow as tf

    i = package.Input((3,))
    model = package.Model(i, package.layers.Lambda(lambda x: x + tf.random.normal([1]))(i))
    with pytest.raises(ModelError, match=r"other outputs each time.*training=True"):
        bridge.to_tf_keras(model)


def test_other_keras_backend(monkeypatch):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ModelError, match=r"jax.*KERAS_BACKEND=tensorflow"):
        bridge.flavour(model)


def test_tf_keras_subclass_of_functional_is_taken_by_its_graph():
    class Named(tf_keras.Model):
        pass

    i = tf_keras.Input((3,))
    model = Named(i, tf_keras.layers.Dense(2)(i))
    assert len(bridge.leaf_layers(bridge.to_tf_keras(model))) == 1
