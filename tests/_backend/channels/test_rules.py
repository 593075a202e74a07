"""What layers do to channels where Keras's rule must not be taken for granted."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._mixing import mixes_channels
from tfcompress._backend.channels._narrow import narrow
from tfcompress._backend.channels._rules import register_channel_rule
from tfcompress.core import ModelError, RecipeError
from tfcompress.techniques import PruneFilters


def sequential(keras, *layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3, name="out")])


def test_a_softmax_inside_a_hidden_layer_keeps_its_channels(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    model = sequential(
        keras,
        keras.layers.Dense(8, "relu", name="before"),
        keras.layers.Dense(8, "softmax", name="gate"),
    )
    pruned = PruneFilters(0.5).apply(model)
    assert pruned.get_layer("gate").units == 8
    assert pruned.get_layer("before").units == 4
    reasons = {skip.layer: skip.reason for skip in PruneFilters(0.5).skips(model)}
    assert "mixes them" in reasons["gate"]


@pytest.mark.parametrize("name", ["relu", "sigmoid", "gelu", "tanh", "softplus", "linear"])
def test_elementwise_activations_do_not_mix(keras_flavour, name):
    keras = importlib.import_module(keras_flavour)
    assert not mixes_channels(keras.activations.get(name))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_normalizing_activations_mix(keras_flavour, name):
    keras = importlib.import_module(keras_flavour)
    assert mixes_channels(getattr(keras.activations, name, None) or (lambda x: x / x.sum()))


def test_a_users_class_of_keras_name_does_not_get_kerass_rule(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Dense(keras.layers.Layer):
        """x reversed along the channels, which Keras's Dense rule would not see."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def call(self, x):
            return x[..., ::-1]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    model = sequential(keras, keras.layers.Dense(8, name="hidden"), Dense(8, name="own"))
    with pytest.raises(RecipeError, match="hidden: Dense 'own' uses them in a way that cannot be"):
        PruneFilters(0.5).skips(model)


def test_a_subclass_that_keeps_call_is_followed(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Wide(keras.layers.Dense):
        """A Dense with another default."""

    model = sequential(keras, Wide(8, name="wide"))
    assert PruneFilters(0.5).apply(model).get_layer("wide").units == 4


def test_outsiders_layers_can_be_followed(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Scale(keras.layers.Layer):
        """y_c = w_c · x_c."""

        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
            super().build(shape)

        def call(self, x):
            return x * self.scale

    def rule(channels, layer, inputs, args, shapes):
        channels.index(layer, 0, 0, inputs[0].ids)
        return [type(inputs[0])(shapes[0], inputs[0].ids)]

    model = sequential(keras, keras.layers.Dense(8, name="hidden"), Scale(name="scale"))
    model.get_layer("scale").set_weights([np.arange(8.0)])
    with pytest.raises(
        RecipeError, match="Scale 'scale' uses them in a way that cannot be followed"
    ):
        PruneFilters(0.5).skips(model)
    register_channel_rule(Scale, rule)
    pruned = PruneFilters(0.5).apply(model)
    assert pruned.get_layer("hidden").units == 4
    assert set(pruned.get_layer("scale").get_weights()[0]) < set(range(8))


def test_register_takes_a_class():
    with pytest.raises(ModelError, match="layer class"):
        register_channel_rule("Scale", lambda *_: None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["constant", "rescaling"])
def test_values_for_each_channel_that_are_no_weights_freeze_it(keras_flavour, kind):
    keras = importlib.import_module(keras_flavour)
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    x = keras.Input((6,))
    hidden = keras.layers.Dense(8, name="hidden")(x)
    scale = np.arange(1.0, 9.0).astype("float32")
    if kind == "constant":
        scaled = hidden * tf.constant(scale)
    else:
        scaled = keras.layers.Rescaling(scale)(hidden)
    free = keras.layers.Dense(8, name="free")(scaled)
    model = keras.Model(x, keras.layers.Dense(2, name="out")(free))
    pruned = PruneFilters(0.5).apply(model)
    assert (pruned.get_layer("hidden").units, pruned.get_layer("free").units) == (8, 4)
    values = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    same = narrow(model, analyse(model))
    np.testing.assert_allclose(np.asarray(same(values)), np.asarray(model(values)), atol=1e-5)
