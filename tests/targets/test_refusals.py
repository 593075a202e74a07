"""What a target cannot do is said instead of a traceback: layer, operator, sample, way out."""

import numpy as np
import pytest

from tfcompress.core import ConversionError, DataError, ModelError
from tfcompress.targets import DynamicRange, Float16, Float32, Int8, Int16x8


def _elu(k):
    x = k.Input((6, 6, 3), name="image")
    h = k.layers.PReLU(name="slope", alpha_initializer="ones")(
        k.layers.Conv2D(8, 3, name="conv")(x)
    )
    return k.Model(
        x,
        k.layers.Dense(3, name="out")(
            k.layers.Flatten()(k.layers.Activation("elu", name="bend")(h))
        ),
    )


def _layer_norm(k):
    x = k.Input((6, 8), name="tokens")
    h = k.layers.LayerNormalization(name="norm")(k.layers.Dense(8, name="dense")(x))
    return k.Model(
        x, k.layers.Dense(3, name="out")(k.layers.GlobalAveragePooling1D(name="pool")(h))
    )


def _conv_lstm(k):
    x = k.Input((3, 6, 6, 2), name="film")
    return k.Model(x, k.layers.Flatten(name="flat")(k.layers.ConvLSTM2D(2, 3, name="watch")(x)))


def _long_lstm(k):
    x = k.Input((1000, 2), name="series")
    return k.Model(x, k.layers.LSTM(4, name="memory")(x))


def _error_function(k):
    import tensorflow as tf

    x = k.Input((6,), name="x")
    return k.Model(x, k.layers.Lambda(tf.math.erf, name="bell")(k.layers.Dense(4, name="dense")(x)))


def _volume(k):
    x = k.Input((6, 6, 6, 2), name="volume")
    return k.Model(
        x,
        k.layers.Dense(3, name="out")(k.layers.Flatten()(k.layers.Conv3D(8, 3, name="conv3d")(x))),
    )


def _open_image(k):
    x = k.Input((None, None, 3), name="image")
    return k.Model(
        x,
        k.layers.Dense(3, name="out")(
            k.layers.GlobalAveragePooling2D(name="pool")(k.layers.Conv2D(8, 3, name="conv")(x))
        ),
    )


def _random(*shape):
    return np.random.default_rng(0).random((100, *shape), np.float32)


def test_int16x8_names_layers_and_a_fallback(keras_flavour, built):
    model = built(keras_flavour, _elu)
    with pytest.raises(
        ConversionError,
        match=r"ELU in layer 'bend'.*PRELU in layer 'slope'.*Take Int8, Float16.*fallback=True",
    ):
        Int16x8().convert(model, _random(6, 6, 3))


def test_int16x8_fallback_lists_what_stays_float(keras_flavour, built, differs):
    model = built(keras_flavour, _elu)
    target = Int16x8(fallback=True)
    data = target.convert(model, _random(6, 6, 3))
    assert {(item.layer, item.kind) for item in target.skips(model, data)} == {
        ("bend", "ELU"),
        ("slope", "PRELU"),
    }
    assert differs(model, data, [_random(6, 6, 3)]) < 0.06


@pytest.mark.parametrize("fallback", [False, True])
def test_layer_norm_in_16_bits_is_refused_before_it_ends_the_process(
    fallback, keras_flavour, built
):
    model = built(keras_flavour, _layer_norm)
    with pytest.raises(
        ConversionError,
        match=r"SQUARED_DIFFERENCE in layer 'norm' \(the interpreter has no 16-bit.*Take Int8",
    ) as said:
        Int16x8(fallback=fallback).convert(model, _random(6, 8))
    assert "fallback=True" not in str(said.value)


def _sums(k):
    import tensorflow as tf

    x = k.Input((6, 6, 3), name="image")
    total = k.layers.Lambda(lambda t: tf.reduce_sum(t, [1, 2]), name="total", output_shape=(8,))
    return k.Model(x, k.layers.Dense(3, name="out")(total(k.layers.Conv2D(8, 3, name="conv")(x))))


def test_sums_that_16_bits_get_wrong_are_refused_and_right_in_8(keras_flavour, built, differs):
    model = built(keras_flavour, _sums)
    with pytest.raises(
        ConversionError, match=r"SUM in layer 'total' \(the written file gives wrong numbers\)"
    ):
        Int16x8(fallback=True).convert(model, _random(6, 6, 3))
    assert differs(model, Int8().convert(model, _random(6, 6, 3)), [_random(6, 6, 3)]) < 0.1


def _many_elu(k):
    x = h = k.Input((8,), name="x")
    for number in range(8):
        h = k.layers.Activation("elu", name=f"bend{number}")(
            k.layers.Dense(8, name=f"dense{number}")(h)
        )
    return k.Model(x, h)


def test_many_layers_are_counted_rather_than_listed(keras_flavour, built):
    with pytest.raises(ConversionError, match=r"ELU in layer 'bend0', .*'bend5' and 2 more \("):
        Int16x8().convert(built(keras_flavour, _many_elu), _random(8))


def test_layer_norm_converts_to_int8(keras_flavour, built, differs):
    model = built(keras_flavour, _layer_norm)
    assert differs(model, Int8().convert(model, _random(6, 8)), [_random(6, 8)]) < 0.1


def test_int8_lists_operators_that_stay_float(keras_flavour, built):
    model = built(keras_flavour, _elu)
    target = Int8()
    data = target.convert(model, _random(6, 6, 3))
    assert [(item.layer, item.kind, item.by) for item in target.skips(model, data)] == [
        ("bend", "ELU", "int8")
    ]


def test_conv3d_has_no_int8_form(keras_flavour, built):
    model = built(keras_flavour, _volume)
    target = Int8()
    data = target.convert(model, _random(6, 6, 6, 2))
    assert [(item.layer, item.kind) for item in target.skips(model, data)] == [
        ("conv3d", "CONV_3D")
    ]
    assert [(check.value, check.bound) for check in target.check(model, data)] == [(1, 2)]


@pytest.mark.parametrize("target", [Int8(), Int16x8()], ids=lambda target: target.label)
@pytest.mark.parametrize(
    ("build", "shape", "reason"),
    [
        (_conv_lstm, (3, 6, 6, 2), r"ConvLSTM2D layer 'watch' cannot be unrolled"),
        (_long_lstm, (1000, 2), r"LSTM layer 'memory' takes 1000 steps, more than 256"),
    ],
    ids=["ConvLSTM", "1000 steps"],
)
def test_recurrent_layers_that_cannot_be_integer(
    target, build, shape, reason, keras_flavour, built
):
    with pytest.raises(ConversionError, match=reason + r".*Take Float32, Float16 or DynamicRange"):
        target.convert(built(keras_flavour, build), _random(*shape)[:4].repeat(25, axis=0))


@pytest.mark.parametrize(
    "target", [Float32(), Float16(), DynamicRange()], ids=lambda target: target.label
)
def test_conv_lstm_keeps_its_loop_in_float(target, keras_flavour, built, differs):
    model = built(keras_flavour, _conv_lstm)
    assert differs(model, target.convert(model), [_random(3, 6, 6, 2)]) < 0.02


@pytest.mark.parametrize("target", [Float32(), Int8(), Int16x8()], ids=lambda target: target.label)
def test_an_operator_that_no_file_can_hold(target, keras_flavour, built):
    with pytest.raises(
        ConversionError, match=rf"^{target.label}: \.tflite has no operator for Erf in layer 'bell'"
    ):
        target.convert(built(keras_flavour, _error_function), _random(6))


def test_open_shape_needs_samples(keras_flavour, built, differs):
    model = built(keras_flavour, _open_image)
    with pytest.raises(
        ConversionError,
        match=r"'image' has the open shape \(None, None, None, 3\).*Pass samples of the size",
    ):
        Float32().convert(model)
    samples = _random(9, 9, 3)
    assert differs(model, Float32().convert(model, samples), [samples]) < 1e-4


def test_unbuilt_and_subclassed_models(keras_flavour, built):
    unbuilt = built(keras_flavour, lambda k: k.Sequential([k.layers.Dense(3)]))
    subclassed = built(
        keras_flavour, lambda k: type("Mine", (k.Model,), {"call": lambda self, x: x})()
    )
    for model in (unbuilt, subclassed):
        for target in (Float32(), Int8()):
            with pytest.raises(ModelError):
                target.convert(model, _random(6))


@pytest.mark.parametrize("target", [Int8(), Int16x8()], ids=lambda target: target.label)
def test_missing_samples(target, keras_flavour, made):
    model, _ = made(keras_flavour, "two_in_two_out")
    with pytest.raises(
        DataError,
        match=rf"^{target.label} calibrates .*`samples` is missing: "
        r".*zeta \[n, 6\], alpha \[n, 8, 8, 1\]",
    ):
        target.convert(model)


def test_few_samples_are_warned_about(keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    with pytest.warns(UserWarning, match=r"int8: ranges calibrated on 12 samples; 100 or more"):
        Int8().convert(model, inputs[0][:12])


BAD = {
    "shape": (
        lambda x: x[:, :7],
        r"'image' have shape \(120, 7, 8, 1\); expected image \[n, 8, 8, 1\]",
    ),
    "one example": (
        lambda x: x[0],
        r"'image' have shape \(8, 8, 1\); expected image \[n, 8, 8, 1\]\."
        r" One example needs a leading axis",
    ),
    "NaN": (
        lambda x: np.where(np.arange(120).reshape(-1, 1, 1, 1) == 7, np.nan, x),
        r"hold 64 NaN or infinite values, first in example 7",
    ),
    "infinite": (lambda x: x * np.float32(np.inf), r"NaN or infinite values, first in example 0"),
    "empty": (lambda x: x[:0], r"samples are empty"),
    "empty list": (lambda x: [], r"samples are an empty list"),
    "constant": (lambda x: np.zeros_like(x), r"'image' are 0 throughout: no range"),
    "text": (lambda x: np.array(["cat"] * 120), r"'image' are of type <U3; expected numbers"),
    "wrong name": (
        lambda x: {"picture": x},
        r"given for inputs 'picture'; the model's inputs are 'image'",
    ),
    "nothing readable": (lambda x: object(), r"of type object cannot be read; expected an array"),
    "spent generator": (
        lambda x: iter(()),
        r"gave no example; a generator that was used before is empty",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_samples(case, keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    spoil, message = BAD[case]
    with pytest.raises(DataError, match=message):
        Int8().convert(model, spoil(inputs[0]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda z, a: z,
            r"one array of shape \(120, 6\); the model has 2 inputs: zeta \[n, 6\], alpha",
        ),
        (lambda z, a: [z, a[:100]], r"as many examples as the others, got zeta: 120, alpha: 100"),
        (
            lambda z, a: [a, z],
            r"2 arrays of shapes \(120, 8, 8, 1\), \(120, 6\); the model has 2 inputs",
        ),
        (
            lambda z, a: {"zeta": z},
            r"given for inputs 'zeta'; the model's inputs are 'zeta', 'alpha'",
        ),
    ],
    ids=["one array", "counts", "order", "one name"],
)
def test_bad_samples_of_two_inputs(spoil, message, keras_flavour, made):
    model, (zeta, alpha) = made(keras_flavour, "two_in_two_out")
    with pytest.raises(DataError, match=message):
        Int8().convert(model, spoil(zeta, alpha))


def test_fractions_where_ids_belong(keras_flavour, made):
    model, _ = made(keras_flavour, "embedding")
    with pytest.raises(DataError, match=r"'ids' are fractions; the model takes int32"):
        Int8().convert(model, _random(12))
