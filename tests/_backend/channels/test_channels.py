"""Dependency graph and narrowing: removed channels whose weights are zero leave every output as it
was, on any graph."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfcompress._backend.channels._labels import analyse
from tfcompress._backend.channels._narrow import cost, narrow

APPLICATIONS = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
    "DenseNet121": 32,
    "Xception": 71,
    "InceptionV3": 75,
    "ConvNeXtTiny": 32,
}


def silence(channels, gone):
    """Zero every filter, bias and BatchNormalization entry of the channels that are to go."""
    for site in channels.sites.values():
        weights = site.layer.get_weights()
        if site.makes or weights[site.weight].ndim == 1:
            mask = np.isin(channels.roots(site.ids), list(gone))
            weights[site.weight][(slice(None),) * site.axis + (mask,)] = 0
            site.layer.set_weights(weights)


def some_roots(channels, share, rng):
    roots = np.unique(np.concatenate([channels.roots(ids) for ids in channels.own_labels.values()]))
    free = np.array([root for root in roots.tolist() if root not in channels.frozen])
    gone = set(rng.choice(free, int(share * len(free)), replace=False).tolist())
    for ids in channels.own_labels.values():  # no layer may lose everything
        found = channels.roots(ids)
        if np.isin(found, list(gone)).all():
            gone.discard(int(found[0]))
    return gone


def check_narrowing(model, share, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    channels = analyse(model)
    gone = some_roots(channels, share, rng)
    silence(channels, gone)
    x = [rng.random((2, *model.input_shape[1:]), dtype=np.float32) * scale]
    before = [np.array(weight) for weight in model.get_weights()]
    new = narrow(model, channels, gone)
    expected, outputs = model.predict(x[0], verbose=0), new.predict(x[0], verbose=0)
    if not isinstance(expected, list):
        expected, outputs = [expected], [outputs]
    for one, other in zip(expected, outputs):
        np.testing.assert_allclose(other, one, atol=1e-5 * max(np.abs(one).max(), 1))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert new.count_params() == cost(channels, gone)[0]
    assert (new.count_params() < model.count_params()) == bool(gone)
    return new


def random_weights(model, seed):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            (rng.random(w.shape) + 0.3 if w.ndim == 1 else rng.normal(0, 0.3, w.shape)).astype(
                "float32"
            )
            for w in model.get_weights()
        ]
    )


def branch(keras, x):
    return keras.layers.Concatenate()(
        [keras.layers.Conv2D(3, 1)(x), x, keras.layers.MaxPooling2D(3, 1, "same")(x)]
    )


def gate(keras, x):
    """Squeeze and excitation: every channel times a value that its mean decides."""
    width = x.shape[-1]
    hidden = keras.layers.Dense(4, activation="relu")(keras.layers.GlobalAveragePooling2D()(x))
    factors = keras.layers.Dense(width, activation="sigmoid")(hidden)
    return keras.layers.Multiply()([x, keras.layers.Reshape((1, 1, width))(factors)])


def nested(keras, x):
    inner = keras.layers.Input(x.shape[1:])
    return keras.Model(inner, keras.layers.ReLU()(keras.layers.Conv2D(4, 1)(inner)))(x)


def residual(keras, x):
    return keras.layers.Add()([x, keras.layers.Conv2D(x.shape[-1], 1, use_bias=False)(x)])


def shared(keras, x):
    convolution = keras.layers.Conv2D(x.shape[-1], 1)
    return keras.layers.Add()([convolution(x), convolution(keras.layers.ReLU()(x))])


BLOCKS = {  # name → (keras or tf_keras, tensor [n, h, w, c]) → tensor
    "conv": lambda keras, x: keras.layers.Conv2D(
        x.shape[-1] + 2, 3, padding="same", activation="relu"
    )(x),
    "grouped": lambda keras, x: keras.layers.Conv2D(8, 3, padding="same", groups=2)(x),
    "groups of one": lambda keras, x: keras.layers.Conv2D(
        2 * x.shape[-1], 3, padding="same", groups=x.shape[-1]
    )(x),
    "depthwise": lambda keras, x: keras.layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=2
    )(x),
    "separable": lambda keras, x: keras.layers.SeparableConv2D(7, 3, padding="same")(x),
    "residual": residual,
    "branch": branch,
    "gate": gate,
    "bn": lambda keras, x: keras.layers.BatchNormalization()(x),
    "pool": lambda keras, x: keras.layers.AveragePooling2D(2)(x),
    "prelu": lambda keras, x: keras.layers.PReLU(shared_axes=[1, 2])(x),
    "transpose": lambda keras, x: keras.layers.Conv2DTranspose(5, 3, padding="same")(x),
    "nested": nested,
    "up": lambda keras, x: keras.layers.UpSampling2D()(x),
    "shared": shared,
}
FITS = {  # what a block asks of the tensor; where it does not hold, the block is left out
    "grouped": lambda x: x.shape[-1] % 2 == 0,
    "pool": lambda x: x.shape[1] > 2,
    "up": lambda x: x.shape[1] < 8,
}


def build(flavour, blocks):
    """A random network with branches, gates and concatenations, two outputs, and a Dense behind
    Flatten."""
    keras = importlib.import_module(flavour)
    layers = keras.layers
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same")(x)
    for block in blocks:
        if block not in FITS or FITS[block](x):
            x = BLOCKS[block](keras, x)
    side = layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))
    flat = layers.Dense(5, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, [layers.Dense(2)(flat), side])


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    blocks=st.lists(st.sampled_from(list(BLOCKS)), min_size=1, max_size=5),
    share=st.floats(0, 0.7),
    seed=st.integers(0, 99),
)
def test_random_graphs(keras_flavour, blocks, share, seed):
    model = build(keras_flavour, blocks)
    random_weights(model, seed)
    check_narrowing(model, share, seed)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block(block, keras_flavour):
    model = build(keras_flavour, [block, "conv"])
    random_weights(model, 1)
    new = check_narrowing(model, 0.4, 1)
    assert {layer.name for layer in new.layers} >= {
        layer.name
        for layer in model.layers
        if "functional" not in layer.name and "model" not in layer.name
    }


def test_what_cannot_be_followed_is_frozen_and_said(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="before")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    channels = analyse(model)
    frozen = [
        channels.frozen.get(root)
        for root in channels.roots(channels.own_labels[id(model.get_layer("before"))]).tolist()
    ]
    assert all(reason and "LayerNormalization 'norm'" in reason for reason in frozen)
    with pytest.raises(ValueError, match="LayerNormalization"):
        narrow(
            model,
            channels,
            set(channels.roots(channels.own_labels[id(model.get_layer("before"))])[:1].tolist()),
        )


def test_groups_of_a_convolution_stay_equal(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(9, 3, groups=1, name="before")(inputs)
    x = layers.Conv2D(6, 3, groups=3, name="grouped")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    channels = analyse(model)
    before, grouped = (
        channels.roots(channels.own_labels[id(model.get_layer(name))])
        for name in ("before", "grouped")
    )
    assert [len(set(before.tolist())), len(set(grouped.tolist()))] == [3, 2]
    new = narrow(model, channels, {int(before[1]), int(grouped[0])})
    assert [tuple(w.shape) for w in new.get_layer("grouped").weights] == [(3, 3, 2, 3), (3,)]
    assert new.get_layer("grouped").groups == 3
    kernel, kept = model.get_layer("grouped").get_weights()[0], [1, 3, 5]
    np.testing.assert_array_equal(
        new.get_layer("grouped").get_weights()[0], kernel[:, :, [0, 2]][..., kept]
    )


def test_other_layers_with_groups_stay_as_they_are(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.GroupNormalization(groups=2, name="norm")(layers.Conv2D(4, 3, name="held")(inputs))
    x = layers.Conv2D(6, 3, name="free")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    new = check_narrowing(model, 0.5, 0)
    assert (new.get_layer("norm").groups, new.get_layer("held").filters) == (2, 4)
    assert new.get_layer("free").filters == 3


def test_channels_under_a_layer_normalization_go_where_asked_and_its_statistics_are_of_the_rest(
    keras_flavour,
):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((5,))
    x = layers.Dense(6, name="before")(inputs)
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    random_weights(model, 3)
    channels = analyse(model, through_norms=True)
    made = channels.roots(channels.own_labels[id(model.get_layer("before"))])
    new = narrow(model, channels, {int(made[1]), int(made[4])})
    assert new.count_params() == cost(channels, {int(made[1]), int(made[4])})[0]
    rest = [0, 2, 3, 5]
    (kernel, bias), (gamma, beta), (last, add) = (
        [w.astype("float64") for w in layer.get_weights()] for layer in model.layers[1:]
    )
    given = np.random.default_rng(0).random((7, 5))
    h = (given @ kernel + bias)[:, rest]
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-3) * gamma[
        rest
    ] + beta[rest]
    np.testing.assert_allclose(
        new.predict(given.astype("float32"), verbose=0), h @ last[rest] + add, rtol=1e-4, atol=1e-5
    )


def test_layer_that_would_lose_everything_is_refused(keras_flavour):
    model = build(keras_flavour, ["conv"])
    channels = analyse(model)
    layer = model.layers[1]
    with pytest.raises(ValueError, match="would lose all its 6 channels"):
        narrow(model, channels, set(channels.roots(channels.own_labels[id(layer)]).tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name, keras_flavour):
    keras = importlib.import_module(keras_flavour)
    size = APPLICATIONS[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    check_narrowing(
        model,
        0.3,
        0,
        scale=255.0 if name in ("MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny") else 1.0,
    )


def test_mobilenet_v3(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    model = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), classes=10, alpha=0.35, classifier_activation=None
    )
    check_narrowing(model, 0.3, 0, scale=255.0)
