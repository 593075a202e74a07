"""MixedPrecision: stated formulas, straight-through gradients, plain Keras on exact levels."""

import importlib

import numpy as np
import pytest

from tfcompress._backend import bridge as bridge
from tfcompress.core import InvariantError, ModelError, RecipeError
from tfcompress.techniques import MixedPrecision
from tfcompress.techniques.mixed_precision import _levels as low_bit
from tfcompress.techniques.mixed_precision._layer import kernel_of, low_bit_class
from tfcompress.techniques.mixed_precision._wrapping import wrapped_layers

BITS = {"conv2": 2, "dw": 3, "dense1": 1, "dense2": "ternary"}


def net(flavour, compiled=True):
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
            layers.Conv2D(12, 3, padding="same", use_bias=False, name="conv2"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.DepthwiseConv2D(3, strides=2, activation="relu", name="dw"),
            layers.Flatten(name="flat"),
            layers.Dense(32, activation="relu", name="dense1"),
            layers.Dense(16, activation="relu", name="dense2"),
            layers.Dense(10, activation="softmax", name="out"),
        ],
        name="net",
    )
    if compiled:
        model.compile(
            keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
    return model


def kernel(model, name):
    return np.asarray(kernel_of(model.get_layer(name)))


@pytest.mark.parametrize("channels", [(), (3,)], ids=["layer", "channel"])
def test_the_stated_formulas(channels):
    w = np.random.RandomState(0).normal(0.02, 0.4, (3, 3, 8, 6)).astype("float32")
    axes = tuple(i for i in range(4) if i not in channels)
    c = w - w.mean(axes, keepdims=True)
    alpha = np.abs(w).mean(axes, keepdims=True)
    np.testing.assert_allclose(
        low_bit.levels_of(w, 1, channels)[0], alpha * np.where(c >= 0, 1, -1), rtol=1e-5
    )
    for bits in (2, 3, 4, 8):
        n = 2**bits - 1
        wanted = alpha * (np.round((np.clip(c, -1, 1) + 1) / 2 * n) / n * 2 - 1)
        if bits > 3:
            n = 2 ** (bits - 1) - 1
            wanted = alpha * np.round(np.clip(c, -1, 1) * n) / n
        np.testing.assert_allclose(low_bit.levels_of(w, bits, channels)[0], wanted, atol=1e-6)
    two = np.unique(np.asarray(low_bit.levels_of(w, 2)[0]) / np.abs(w).mean())
    np.testing.assert_allclose(two, [-1, -1 / 3, 1 / 3, 1], rtol=1e-5)


@pytest.mark.parametrize("channels", [(), (1,)], ids=["layer", "channel"])
def test_ternary_weights_are_zero_below_seven_tenths_of_the_mean(channels):
    w = np.random.RandomState(0).normal(0.1, 0.4, (60, 8)).astype("float32")
    axes = tuple(axis for axis in range(2) if axis not in channels)
    c = w - w.mean(axes, keepdims=True)
    kept = np.abs(c) > 0.7 * np.abs(c).mean(axes, keepdims=True)
    alpha = (np.abs(c) * kept).sum(axes, keepdims=True) / kept.sum(axes, keepdims=True)
    values = low_bit.levels_of(w, "ternary", channels)[0]
    np.testing.assert_allclose(values, alpha * np.sign(c) * kept, rtol=1e-4, atol=1e-7)


def test_scales_at_one_bit_are_means_of_what_each_fit_says():
    w = np.random.RandomState(0).normal(0.5, 0.4, (60, 8)).astype("float32")
    unit, gaussian = (np.asarray(low_bit.levels_of(w, 1, fit=f)[0]) for f in ("unit", "gaussian"))
    assert unit.max() == pytest.approx(np.abs(w).mean(), rel=1e-5)
    assert gaussian.max() == pytest.approx(np.abs(w - w.mean()).mean(), rel=1e-5)


@pytest.mark.parametrize("bits", range(2, 9))
def test_gaussian_steps_have_the_least_mean_square_error(bits):
    """Max's table: ∫(x − Q(x))² φ(x) dx over the step of a uniform quantizer of 2^b levels."""
    from scipy.optimize import minimize_scalar

    x = np.linspace(-8, 8, 200_001)
    density = np.exp(-(x**2) / 2)

    def error(step):
        last = 2 ** (bits - 1) - 0.5
        levels = np.clip(np.floor(x / step) + 0.5, -last, last)
        return np.sum((x - step * levels) ** 2 * density)

    tabled = low_bit.GAUSSIAN_STEP[bits]
    best = minimize_scalar(error, bounds=(0.8 * tabled, 1.25 * tabled), method="bounded").x
    assert tabled == pytest.approx(best, abs=2e-4)


def test_the_fitted_range_rounds_gaussian_weights_better_and_uses_every_level():
    w = np.random.RandomState(0).normal(0, 0.05, (64, 512)).astype("float32")
    for bits in (2, 3, 4, 8):
        unit, fitted = (
            np.asarray(low_bit.levels_of(w, bits, fit=fit)[0]) for fit in ("unit", "gaussian")
        )
        assert np.square(fitted - w).mean() < 0.5 * np.square(unit - w).mean()
        assert len(np.unique(fitted)) > 0.9 * 2**bits
    assert len(np.unique(low_bit.levels_of(w, 2)[0])) == 2, (
        "in the unit range only the middle levels occur"
    )
    best = np.square(np.asarray(low_bit.levels_of(w, 2, fit="gaussian")[0]) - w).mean() / w.var()
    assert best == pytest.approx(0.1188, rel=0.03), "Max's mean square error of 4 uniform levels"


def test_gradients_pass_straight_through_inside_the_range():
    import tensorflow as tf

    w = tf.constant([[-2.0, -0.4, 0.3, 2.1]])
    with tf.GradientTape() as tape:
        tape.watch(w)
        out = tf.reduce_sum(low_bit.weights_on_levels(w, 2) * [[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(tape.gradient(out, w), [[0, 2, 3, 0]])
    with tf.GradientTape() as tape:
        tape.watch(w)
        out = tf.reduce_sum(low_bit.weights_on_levels(w, 1))
    np.testing.assert_array_equal(tape.gradient(out, w), [[1, 1, 1, 1]])
    x = tf.constant([-3.0, -0.5, 0.0, 0.2, 1.0, 1.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = low_bit.activations_on_levels(x, 1)
    np.testing.assert_array_equal(out, [-1, -1, 0, 1, 1, 1])
    np.testing.assert_array_equal(tape.gradient(out, x), [0, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(
        low_bit.activations_on_levels(x, 2), [-1, -1 / 3, 1 / 3, 1 / 3, 1, 1], rtol=1e-6
    )


def test_information_passes_a_binary_activation_behind_a_relu():
    """sign(0) = 0: what the ReLU cut off stays apart from what it let through."""
    x = np.maximum(np.random.RandomState(0).normal(size=(4, 50)), 0).astype("float32")
    out = np.asarray(low_bit.activations_on_levels(x, 1))
    assert set(np.unique(out)) == {0, 1}
    np.testing.assert_array_equal(out == 0, x == 0)


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": "channel"}, {"activations": "same"}],
    ids=["layer", "channel", "activations"],
)
def test_trains_and_strips_to_exact_levels(keras_flavour, digits, options):
    x, y = digits[0][:512], digits[1][:512]
    model = net(keras_flavour)
    before = [w.copy() for w in model.get_weights()]
    technique = MixedPrecision(BITS, **options)
    wrapped = technique.apply(model)
    losses = wrapped.fit(
        x, y, epochs=4, batch_size=32, verbose=0, callbacks=technique.callbacks()
    ).history["loss"]
    assert losses[-1] < (0.97 if options.get("activations") else 0.8) * losses[0]
    trained = wrapped.predict(x[:64], verbose=0)
    stripped = technique.strip(wrapped)
    assert bridge.flavour(stripped) == keras_flavour
    assert [layer.name for layer in stripped.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(bridge.predict(stripped, [x[:64]])[0], trained, rtol=1e-4, atol=1e-5)
    checks = {check.layer: check for check in technique.check(model, stripped)}
    assert (
        set(checks) == set(BITS)
        and checks["dense1"].value == 2
        and checks["dense2"].value == 3
        and checks["conv2"].bound == 4
    )
    assert len(np.unique(kernel(stripped, "conv1"))) > 50
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert len(wrapped_layers(stripped)) == (len(BITS) if options.get("activations") else 0)


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": "channel"}, {"activations": "same"}],
    ids=["layer", "channel", "activations"],
)
def test_files_hold_the_trained_levels(keras_flavour, digits, options):
    from tfcompress._backend.interpreter._interpreter import open_interpreter
    from tfcompress.targets import Packed, packed_layers

    technique = MixedPrecision(BITS, **options)
    stripped = technique.strip(technique.apply(net(keras_flavour)))
    target = Packed(prefer="size")
    data = target.convert(stripped)
    layers = {layer.name: layer for layer in packed_layers(data)}
    assert all(layers[name].encoding != "float" for name in ("dense1", "dense2", "conv2"))
    dense = kernel(stripped, "dense1")
    np.testing.assert_array_equal(layers["dense1"].weights(), dense.T)
    assert len(target.check(stripped, data)) == 6
    got = open_interpreter(data).predict([digits[2][:64]])[0]
    wanted = bridge.predict(stripped, [digits[2][:64]])[0]
    assert np.linalg.norm(got - wanted) <= 0.02 * np.linalg.norm(wanted)


def test_one_number_is_for_all_but_first_and_last(keras_flavour):
    model = net(keras_flavour, compiled=False)
    technique = MixedPrecision(4)
    stripped = technique.strip(technique.apply(model))
    assert {check.layer for check in technique.check(model, stripped)} == {
        "conv2",
        "dw",
        "dense1",
        "dense2",
    }
    assert {(item.layer, item.reason.split()[0]) for item in technique.skips(model)} == {
        ("conv1", "first"),
        ("out", "last"),
    }
    np.testing.assert_array_equal(kernel(stripped, "conv1"), kernel(model, "conv1"))


def test_nested_models_and_branches_keep_their_shape(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inner_in = layers.Input((6, 6, 4))
    inner = keras.Model(
        inner_in, layers.Conv2D(4, 3, padding="same", name="inside")(inner_in), name="block"
    )
    x = layers.Input((6, 6, 4))
    h = layers.Conv2D(4, 1, name="first")(x)
    h = layers.Add(name="add")([inner(h), h])
    model = keras.Model(x, layers.Dense(3, name="last")(layers.Flatten(name="flat")(h)))
    for activations in (None, "same"):
        technique = MixedPrecision({"inside": 1}, activations=activations)
        stripped = technique.strip(technique.apply(model))
        assert [layer.name for layer in stripped.layers] == [layer.name for layer in model.layers]
        assert [check.value for check in technique.check(model, stripped)] == [2]


def test_one_dimensional_convolutions(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((20, 3)),
            layers.Conv1D(8, 5, name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="out"),
        ]
    )
    technique = MixedPrecision({"conv": 2}, scale="channel")
    stripped = technique.strip(technique.apply(model))
    assert technique.check(model, stripped)[0].value <= 4


def test_check_finds_weights_off_their_levels(keras_flavour):
    model = net(keras_flavour, compiled=False)
    technique = MixedPrecision({"dense1": 2})
    stripped = technique.strip(technique.apply(model))
    values = stripped.get_layer("dense1").get_weights()
    values[0][0, 0] *= 1.5
    stripped.get_layer("dense1").set_weights(values)
    with pytest.raises(InvariantError, match="dense1"):
        technique.check(model, stripped)
    with pytest.raises(InvariantError, match="still carries its wrapper"):
        technique.check(model, technique.apply(model))


def test_a_wrapped_model_survives_a_copy_through_its_config(keras_flavour):
    """Saving, cloning and distributing copy layers through get_config()."""
    tf_keras = importlib.import_module("tf_keras")
    wrapped = MixedPrecision(BITS, activations="same").apply(net(keras_flavour))
    again = tf_keras.models.Model.from_config(wrapped.get_config())
    again.set_weights(wrapped.get_weights())
    x = np.random.RandomState(0).uniform(size=(5, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(
        again.predict(x, verbose=0), wrapped.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"bits": 0}, "1 to 8"),
        ({"bits": {"a": 9}}, "1 to 8"),
        ({"bits": {"a": True}}, "1 to 8"),
        ({"bits": 32}, "changes nothing"),
        ({"bits": {"a": 32}}, "changes nothing"),
        ({"bits": 2, "activations": "int8"}, "activations must be"),
        ({"bits": 2, "scale": "tensor"}, "scale must be"),
        ({"bits": 2, "fit": "best"}, "fit must be"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(RecipeError, match=words):
        MixedPrecision(**options)


def test_unknown_layers_and_models_without_any_are_named(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    with pytest.raises(RecipeError, match=r"'nowhere'.*'conv1'"):
        MixedPrecision({"nowhere": 1}).apply(net(keras_flavour, compiled=False))
    lone = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="only")])
    with pytest.raises(ModelError, match=r"no layer to put on levels.*'only'"):
        MixedPrecision(2).apply(lone)


def sequence_net(flavour, **options):
    """Embedding(mask_zero) → Dense, compiled; `options` are the hidden Dense layer's."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(20, 8, mask_zero=True, name="embedding"),
            layers.Dense(16, name="hidden", **options),
            layers.SimpleRNN(8, unroll=True, name="recurrent"),
            layers.Dense(3, activation="softmax", name="out"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def padded_ids():
    ids = np.random.RandomState(0).randint(1, 20, (6, 7))
    ids[:, 4:] = 0
    return ids, np.arange(6) % 3


@pytest.mark.parametrize("activations", [None, "same"])
def test_masks_pass_through_while_it_trains(keras_flavour, activations):
    ids, labels = padded_ids()
    technique = MixedPrecision({"hidden": 2}, activations=activations)
    wrapped = technique.apply(sequence_net(keras_flavour, activation="tanh"))
    wrapped.fit(ids, labels, verbose=0)
    stripped = technique.strip(wrapped)
    np.testing.assert_allclose(
        stripped.predict(ids, verbose=0), wrapped.predict(ids, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("activations", [None, "same"])
def test_the_activity_loss_is_that_of_the_stripped_model(keras_flavour, activations):
    keras = importlib.import_module(keras_flavour)
    ids, labels = padded_ids()
    model = sequence_net(keras_flavour, activity_regularizer=keras.regularizers.L2(10.0))
    technique = MixedPrecision({"hidden": 2}, activations=activations)
    wrapped = technique.apply(model)
    wrapped.fit(ids, labels, verbose=0)
    loss = wrapped.evaluate(ids, labels, verbose=0)
    likelihoods = wrapped.predict(ids, verbose=0)[np.arange(6), labels]
    assert loss > -np.log(likelihoods).mean() + 0.1
    stripped = technique.strip(wrapped)
    assert stripped.evaluate(ids, labels, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_half_precision_trains_on_the_levels_that_are_shipped(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(16, "relu", dtype="mixed_float16", name="hidden"),
            keras.layers.Dense(3, dtype="float32", name="out"),
        ]
    )
    technique = MixedPrecision({"hidden": 3}, activations="same")
    wrapped = technique.apply(model)
    stripped = technique.strip(wrapped)
    x = np.random.RandomState(0).rand(4, 8).astype("float32")
    assert wrapped.layers[1].compute_dtype == "float16"
    np.testing.assert_array_equal(stripped.predict(x), wrapped.predict(x))


def test_the_kernel_stays_a_variable_while_the_layer_is_called():
    """Replicas call the same layer at once: nothing that they share may be swapped meanwhile."""
    import tf_keras

    seen = []

    def activation(x):
        seen.append(inner.kernel)
        return x

    inner = tf_keras.layers.Dense(3, activation=activation)
    low_bit_class("tf_keras")(inner, bits=2)(np.ones((2, 4), "float32"))
    assert len(seen) == 1 and seen[0] is inner.kernel


def test_a_class_of_ones_own_called_dense_stays_float(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Dense(keras.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    model = keras.Sequential([keras.layers.Input((4,)), Dense(3, name="own")])
    (skipped,) = MixedPrecision({"own": 2}).skips(model)
    assert skipped.layer == "own" and "low-bit kernels" in skipped.reason


def test_it_is_data():
    technique = MixedPrecision({"b": 2, "a": 1, "c": 32}, activations="same", scale="channel")
    assert technique.label == "mixed21apc" and MixedPrecision("ternary").label == "mixedt"
    again = MixedPrecision.from_dict(technique.to_dict())
    assert again == technique and hash(again) == hash(technique)
