"""Cost against published counts, hand counts, and the model's own parameters, in both Kerases."""

import importlib

import pytest

from tfcompress.analysis import cost
from tfcompress.core import ModelError

PUBLISHED = {"MobileNet": 568.7e6, "MobileNetV2": 300.8e6}
SLOW = {
    "VGG16": 15.470e9,
    "ResNet50": 3.858e9,
    "EfficientNetB0": 385.8e6,
    "Xception": 8.357e9,
    "InceptionV3": 5.713e9,
    "DenseNet121": 2.834e9,
}


def check(flavour, name, macs):
    model = getattr(importlib.import_module(flavour).applications, name)(weights=None)
    costs = cost(model)
    assert costs.macs == pytest.approx(macs, rel=2e-4)
    assert costs.params == model.count_params() == sum(layer.params for layer in costs.layers)
    assert costs.unknown == ()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(keras_flavour, name):
    check(keras_flavour, name, PUBLISHED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_more_published_counts(keras_flavour, name):
    check(keras_flavour, name, SLOW[name])


def test_quantnet_by_hand(quantnet, keras_flavour):
    costs = cost(quantnet(keras_flavour))
    assert (costs["conv1"].macs, costs["conv2"].macs, costs["linear1"].macs) == (
        32 * 32 * 27 * 32,
        16 * 16 * 9 * 32 * 64,
        4096 * 128,
    )
    assert costs["conv1"].activation_bytes == 4 * 32_768
    assert costs.params == 545_889
    assert costs.peak_activation_bytes == 4 * (32_768 + 8_192), (
        "conv1's output beside its pooled one"
    )
    assert "545,889" in str(costs)


def test_every_kind_of_layer(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    image = layers.Input((8, 8, 4))
    h = layers.Conv2D(8, 3, groups=2, padding="same", name="grouped")(image)
    h = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, name="depthwise")(
        h
    )
    h = layers.SeparableConv2D(6, 3, padding="same", name="separable")(h)
    h = layers.Conv2DTranspose(5, 2, strides=2, name="transposed")(h)
    h = layers.PReLU(name="prelu")(layers.BatchNormalization(name="bn")(h))
    h = layers.Reshape((64, 5))(h)
    h = layers.Dense(6, name="dense")(h)
    h = layers.MultiHeadAttention(2, 3, name="attention")(h, h)
    h = layers.Conv1D(4, 3, name="conv1d")(h)
    d = layers.Dot(2, name="dot")([h, h])
    h = layers.LSTM(7, return_sequences=True, name="lstm")(h)
    h = layers.Bidirectional(layers.GRU(3), name="both")(h)
    model = keras.Model(image, [h, d])
    costs = cost(model)
    expected = {
        "grouped": 64 * 9 * 2 * 8,
        "depthwise": 16 * 9 * 8 * 2,
        "separable": 16 * (9 * 16 + 16 * 6),
        "transposed": 16 * 4 * 6 * 5,
        "bn": 0,
        "prelu": 0,
        "dense": 64 * 5 * 6,
        "attention": 64 * 6 * 6 * 4 + 2 * 64 * 64 * 2 * 3,
        "conv1d": 62 * 3 * 6 * 4,
        "dot": 62 * 62 * 4,
        "lstm": 62 * 4 * (4 * 7 + 7 * 7),
        "both": 2 * 62 * 3 * (7 * 3 + 3 * 3),
    }
    assert {name: costs[name].macs for name in expected} == expected
    assert costs.params == model.count_params()
    assert costs.macs == sum(expected.values())


def test_shared_layers_count_macs_twice_and_params_once(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    x = keras.layers.Input((10,))
    dense = keras.layers.Dense(10, name="shared")
    costs = cost(keras.Model(x, dense(dense(x))))
    assert (costs["shared"].macs, costs["shared"].params, costs["shared"].activation_bytes) == (
        200,
        110,
        80,
    )


def test_unknown_kernels_are_named():
    import keras

    class Strange(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")

        def call(self, x):
            return x @ self.kernel @ self.kernel

    x = keras.layers.Input((4,))
    costs = cost(keras.Model(x, keras.layers.Dense(2, name="d")(Strange(name="strange")(x))))
    assert costs.unknown == ("strange",) and costs.macs == 8 and costs.params == 16 + 10
    assert "unknown" in str(costs)


def test_refuses_open_shapes(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    x = keras.layers.Input((None, None, 3))
    with pytest.raises(ModelError, match="no fixed size"):
        cost(keras.Model(x, keras.layers.Conv2D(2, 3)(x)))


def test_an_input_without_use_is_let_go(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    small, large = keras.layers.Input((4,)), keras.layers.Input((1000,))
    h = keras.layers.Dense(8)(small)
    model = keras.Model([small, large], keras.layers.Dense(2000)(h))
    assert cost(model).peak_activation_bytes == 4 * (8 + 2000)
