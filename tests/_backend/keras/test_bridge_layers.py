"""Single layers: activations that differ, layers of the user's own, layers tf_keras lacks,
operations, names, flags."""

import importlib
import inspect

import keras
import numpy as np
import pytest
import tf_keras

from tfcompress._backend import bridge
from tfcompress._backend.bridge import _native
from tfcompress.core import ModelError


class Scale(keras.layers.Layer):
    """A user's layer: weights, state, a layer inside, a loss, `training` needed inside only."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)
        self.dropout = keras.layers.Dropout(0.9)
        self.norm = keras.layers.BatchNormalization(momentum=0.5)

    def build(self, shape):
        self.gain = self.add_weight(shape=(self.units,), initializer="ones", name="gain")
        self.dense.build(shape)
        self.norm.build((*shape[:-1], self.units))

    def call(self, x):
        self.add_loss(keras.ops.sum(self.gain**2))
        return self.norm(self.dropout(self.dense(x))) * self.gain

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class TfScale(tf_keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1], self.units), name="gain")

    def call(self, x):
        return x @ self.gain

    def get_config(self):
        return {**super().get_config(), "units": self.units}


OWN = {"keras": Scale, "tf_keras": TfScale}


def own_layer_model(flavour):
    package = importlib.import_module(flavour)
    layers = [
        package.layers.Input((6,)),
        OWN[flavour](5, name="own"),
        package.layers.Dense(2, name="out"),
    ]
    return package.Sequential(layers, name="owned")


def test_every_keras3_activation_means_the_same():
    x = np.linspace(-7, 7, 60, dtype="float32").reshape(3, 20)
    names = [
        n
        for n, f in inspect.getmembers(keras.activations, inspect.isfunction)
        if n not in ("get", "serialize", "deserialize", "threshold")
    ]
    assert len(names) > 25
    for name in names:
        function = getattr(keras.activations, name)
        carried = tf_keras.layers.Activation(_native.activation(function))
        copied = tf_keras.layers.Activation.from_config(carried.get_config())
        np.testing.assert_allclose(copied(x), function(x), atol=1e-6, err_msg=name)


def test_own_layers(keras_flavour, models):
    model = models.randomize(own_layer_model(keras_flavour))
    flat = bridge.to_tf_keras(model)
    assert [layer.name for layer in bridge.leaf_layers(flat)] == ["own", "out"]
    assert len(flat.trainable_weights) == len(model.trainable_weights)
    assert len(flat.weights) == len(model.weights)
    copied = tf_keras.Model.from_config(flat.get_config(), custom_objects={"TfScale": TfScale})
    copied.set_weights(flat.get_weights())
    models.assert_same_outputs(model, copied)
    copied.set_weights([w + 0.5 for w in copied.get_weights()])
    models.assert_same_outputs(copied, bridge.restore(copied, model))
    models.assert_same_outputs(model, bridge.clone(model), 1e-6)


def test_own_keras3_layer_trains(models):
    """Gradients reach it, dropout and batch statistics are on only in training, its loss counts."""
    model = models.randomize(own_layer_model("keras"))
    flat = bridge.to_tf_keras(model)
    before = flat.get_weights()
    x = np.random.default_rng(0).random((32, 6), dtype="float32")
    np.testing.assert_allclose(flat(x, training=False), flat(x, training=False))
    assert np.abs(flat(x, training=True) - flat(x, training=True)).max() > 1e-3
    flat.compile("sgd", "mse")
    history = flat.fit(x, x[:, :2], epochs=1, verbose=0)
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, flat.get_weights())]
    assert all(moved), [w.name for w in flat.weights]
    assert history.history["loss"][0] > np.sum(before[0] ** 2)
    assert len(model.layers[0].losses) <= 1


@pytest.mark.parametrize(
    "name",
    [
        "GroupQueryAttention",
        "RMSNormalization",
        "AdaptiveAveragePooling2D",
        "SpectralNormalization",
    ],
)
def test_layers_that_tf_keras_lacks(name, models):
    layers = keras.layers
    if name == "GroupQueryAttention":
        i = keras.Input((5, 8))
        out = layers.GroupQueryAttention(4, 4, 2)(i, value=i, use_causal_mask=True)
    elif name == "RMSNormalization":
        i = keras.Input((6,))
        out = layers.RMSNormalization()(i)
    elif name == "AdaptiveAveragePooling2D":
        i = keras.Input((8, 8, 2))
        out = layers.AdaptiveAveragePooling2D((2, 2))(i)
    else:
        i = keras.Input((6,))
        out = layers.SpectralNormalization(layers.Dense(3))(i)
    model = models.randomize(keras.Model(i, layers.Dense(2, name="after")(out)))
    flat = bridge.to_tf_keras(model)
    assert "Keras3Layer" in {type(layer).__name__ for layer in flat.layers}
    copied = tf_keras.Model.from_config(flat.get_config())
    copied.set_weights(flat.get_weights())
    models.assert_same_outputs(model, copied)


def test_keras3_operations(models):
    ops = importlib.import_module("keras").ops
    i = keras.Input((6, 6, 4), name="i")
    x = ops.transpose(i, (0, 2, 1, 3)) / 2.0
    x = ops.mean(x, axis=(1, 2), keepdims=True) + ops.relu(x)
    x = ops.concatenate([x, ops.silu(1.0 - x)], axis=-1)
    parts = ops.split(x, 2, axis=-1)
    x = ops.where(parts[0] > 0.1, parts[0], ops.stop_gradient(parts[1]))
    x = ops.einsum("bhwc,cd->bhwd", x, np.eye(4, dtype="float32"))
    x = ops.reshape(x, (-1, 36, 4))[:, ::3]
    model = keras.Model(i, [ops.sum(x, axis=1), ops.argmax(x, axis=-1)])
    flat = bridge.to_tf_keras(model)
    kinds = {type(layer).__name__ for layer in flat.layers}
    assert {
        "Add",
        "Permute",
        "Rescaling",
        "Concatenate",
        "GlobalAveragePooling2D",
        "Reshape",
        "OpLayer",
    } <= kinds
    models.assert_same_outputs(model, tf_keras.Model.from_config(flat.get_config()))


def test_tf_operations(models):
    import tensorflow as tf

    i = tf_keras.Input((6, 6, 4), name="i")
    x = tf.nn.relu(i) + i
    x = tf.concat([x, tf.reduce_mean(x, axis=-1, keepdims=True)], axis=-1)
    left, right = tf.split(x[:, 1:, :, :4], 2, axis=-1)
    x = tf.math.multiply(left, y=right) * 3.0
    model = tf_keras.Model(i, [x, tf.reshape(x, [tf.shape(x)[0], -1])])
    flat = bridge.to_tf_keras(model)
    assert {"Add", "Multiply"} <= {type(layer).__name__ for layer in flat.layers}
    models.assert_same_outputs(model, tf_keras.Model.from_config(flat.get_config()))


def test_keras3_layers_run_in_a_tflite_file(models):
    """A user's layer and operations, wrapped, convert like any other."""
    import tensorflow as tf

    i = keras.Input((6,))
    x = Scale(5, name="own")(i)
    model = models.randomize(keras.Model(i, keras.ops.where(x > 0.5, x, -x)))
    flat = bridge.to_tf_keras(model)
    interpreter = tf.lite.Interpreter(
        model_content=tf.lite.TFLiteConverter.from_keras_model(flat).convert()
    )
    interpreter.allocate_tensors()
    data = bridge.random_inputs(model, n=1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], data[0])
    interpreter.invoke()
    got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(got, bridge.predict(model, data)[0], rtol=1e-4)


def test_names_are_kept_and_clashes_numbered(models, keras_flavour):
    model = models.build(models.nested, keras_flavour)
    names = [layer.name for layer in bridge.to_tf_keras(model).layers]
    assert len(set(names)) == len(names)
    assert {"image", "conv", "bn", "relu", "conv_1", "conv_2", "conv_3"} <= set(names)
    assert (
        bridge.to_tf_keras(model).get_layer("conv_1").units == 3
    )  # the Dense that the user called conv_1


def test_split_layers(models, keras_flavour):
    model = models.build(models.sequential, keras_flavour)
    flat = bridge.to_tf_keras(model, split=True)
    kinds = {layer.name: type(layer).__name__ for layer in flat.layers}
    assert (
        kinds["separable_depthwise"] == "DepthwiseConv2D"
        and kinds["separable_pointwise"] == "Conv2D"
    )
    assert kinds["separable_act"] == "ReLU"
    assert "separable" not in kinds and kinds["conv1"] == "Conv2D"


def test_trainable_flags(models, keras_flavour):
    package = importlib.import_module(keras_flavour)
    model = models.build(models.nested, keras_flavour)
    model.get_layer("second").get_layer("tail").trainable = False
    model.get_layer("first").get_layer("bn").trainable = False
    flat, copied = bridge.to_tf_keras(model), bridge.clone(model)
    assert (
        len(flat.trainable_weights) == len(copied.trainable_weights) == len(model.trainable_weights)
    )
    assert not flat.get_layer("bn").trainable and flat.get_layer("conv").trainable
    whole = models.build(models.sequential, keras_flavour)
    whole.trainable = False
    assert (
        not bridge.to_tf_keras(whole).trainable_weights
        and not bridge.clone(whole).trainable_weights
    )
    assert isinstance(copied, package.Model)


def test_frozen_batch_norm_in_a_tf_keras_model_stays_in_inference_mode():
    inner = tf_keras.Sequential(
        [
            tf_keras.layers.Input((4,)),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Dropout(0.9),
        ]
    )
    i = tf_keras.Input((4,))
    flat = bridge.to_tf_keras(tf_keras.Model(i, inner(i, training=False)))
    x = np.random.default_rng(0).random((16, 4), dtype="float32") * 9
    np.testing.assert_allclose(flat(x, training=True), flat(x, training=False))


def test_tf_keras_added_losses_survive():
    i = tf_keras.Input((4,))
    x = tf_keras.layers.Dense(3, name="d")(i)
    model = tf_keras.Model(i, x)
    model.add_loss(tf_keras.backend.sum(x**2))
    flat, data = bridge.to_tf_keras(model), np.ones((2, 4), "float32")
    for built in (flat, model):
        built(data)
    np.testing.assert_allclose(flat.losses, model.losses, rtol=1e-5)


def test_restore_refuses_another_models_weights(models, keras_flavour):
    flat = bridge.to_tf_keras(models.build(models.lstm, keras_flavour))
    with pytest.raises(ModelError, match="conv1"):
        bridge.restore(flat, models.build(models.sequential, keras_flavour))


def test_a_layer_that_computes_otherwise_in_tf_keras_is_wrapped(monkeypatch, models):
    """Were a twin wrong, the proof would find the layer and take the Keras 3 one."""
    true = _native._SPECIAL["LeakyReLU"]

    def wrong(layer, config):
        settings = true(layer, config)
        assert settings is not None
        return {**settings, "alpha": 0.9}

    monkeypatch.setitem(_native._SPECIAL, "LeakyReLU", wrong)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4),
            keras.layers.LeakyReLU(name="leaky"),
            keras.layers.Dense(2),
        ]
    )
    flat = bridge.to_tf_keras(model)
    assert type(flat.get_layer("leaky")).__name__ == "Keras3Layer"
    models.assert_same_outputs(model, flat)


def test_outsiders_layers_can_have_a_tf_keras_twin():
    import keras
    import tf_keras

    from tfcompress.techniques import register_tf_keras_twin

    class Linear(keras.layers.Layer):
        """y = x · W."""

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
            super().build(shape)

        def call(self, x):
            return keras.ops.matmul(x, self.kernel)

    model = keras.Sequential([keras.Input((4,)), Linear(name="own")])
    assert type(bridge.to_tf_keras(model).layers[-1]).__name__ == "Keras3Layer"
    register_tf_keras_twin(
        Linear, lambda layer, name: tf_keras.layers.Dense(3, use_bias=False, name=name)
    )
    twin = bridge.to_tf_keras(model)
    assert type(twin.layers[-1]) is tf_keras.layers.Dense
    np.testing.assert_array_equal(twin.get_weights()[0], model.get_weights()[0])
