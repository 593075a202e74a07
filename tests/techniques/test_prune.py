import numpy as np
import pytest

from tfcompress.core import InvariantError, ModelError, RecipeError, TrainingError
from tfcompress.techniques import Prune

ONE_STEP = {"epochs": 1, "steps_per_epoch": 1}


def zeros(model, name):
    kernel = model.get_layer(name).get_weights()[0]
    return np.mean(kernel == 0)


def test_constant_schedule_prunes_and_gives_back_the_users_model(model, run, digits, keras_flavour):
    stripped, checks = run(Prune(0.7), model, epochs=2)
    assert type(stripped).__module__.partition(".")[0] == keras_flavour
    assert [layer.name for layer in stripped.layers] == [layer.name for layer in model.layers]
    assert {check.layer for check in checks} == {"conv1", "conv2", "dense1", "dense2"}
    assert all(0.69 < zeros(stripped, check.layer) < 0.75 for check in checks)
    assert (
        stripped.evaluate(digits[2], digits[3], verbose=0)[1] > 0.8
    )  # compiled as the model given was, and still useful


@pytest.mark.parametrize("options", [{}, {"schedule": "polynomial"}, {"frequency": 7, "begin": 3}])
@pytest.mark.parametrize("fit", [ONE_STEP, {}], ids=["one step", "no training"])
def test_promise_holds_after_one_step_and_without_training(trained, run, options, fit):
    stripped, _ = run(Prune(0.8, **options), trained("tf_keras"), **fit)
    assert zeros(stripped, "dense1") == pytest.approx(0.8, abs=1e-3)


def test_one_step_of_constant_schedule_sets_the_mask_in_training(trained, digits):
    technique = Prune(0.8)
    wrapped = technique.apply(trained("tf_keras"))
    wrapped.fit(digits[0], digits[1], verbose=0, callbacks=technique.callbacks(), **ONE_STEP)
    assert zeros(wrapped, "prune_low_magnitude_dense1") == pytest.approx(0.8, abs=1e-3)


def test_polynomial_schedule_fits_itself_to_the_training(trained, digits):
    technique = Prune(0.6, schedule="polynomial")
    wrapped = technique.apply(trained("tf_keras"))
    wrapped.fit(
        digits[0],
        digits[1],
        verbose=0,
        callbacks=technique.callbacks(),
        epochs=2,
        steps_per_epoch=20,
    )
    schedule = wrapped.get_layer("prune_low_magnitude_dense1").pruning_schedule
    assert (
        25 <= schedule.end_step <= 31
        and (schedule.end_step - schedule.begin_step) % schedule.frequency == 0
    )
    assert zeros(wrapped, "prune_low_magnitude_dense1") == pytest.approx(
        0.6, abs=1e-3
    )  # reached in training, not by strip


def test_polynomial_schedule_without_end_refuses_a_training_of_unknown_length(trained, digits):
    import tensorflow as tf

    data = tf.data.Dataset.from_generator(
        lambda: iter([(digits[0][:8], digits[1][:8])]),
        output_signature=(
            tf.TensorSpec((None, 8, 8, 1), tf.float32),
            tf.TensorSpec((None,), tf.int64),
        ),
    )
    technique = Prune(0.6, schedule="polynomial")
    with pytest.raises(TrainingError, match="end="):
        technique.apply(trained("tf_keras")).fit(data, verbose=0, callbacks=technique.callbacks())


@pytest.mark.parametrize("pattern", ["2:4", (1, 3)])
def test_m_by_n_zeroes_along_input_channels(trained, run, pattern):
    stripped, checks = run(Prune(pattern=pattern), trained("tf_keras"), **ONE_STEP)
    m, n = (2, 4) if pattern == "2:4" else pattern
    kernel = stripped.get_layer("conv2").get_weights()[0]  # 8 input channels
    padded = (
        np.pad(kernel, ((0, 0), (0, 0), (0, -8 % n), (0, 0))).transpose(3, 0, 1, 2).reshape(-1, n)
    )
    assert ((padded == 0).sum(1) >= m).all() and kernel.any()
    assert all(check.value == 1 for check in checks)


@pytest.mark.parametrize("fit", [ONE_STEP, {}], ids=["one step", "no training"])
def test_blocks_are_zero_as_a_whole_and_convolutions_are_listed(trained, run, fit):
    technique = Prune(0.5, block=(4, 8))
    stripped, _ = run(technique, trained("tf_keras"), **fit)
    blocks = (
        stripped.get_layer("dense1")
        .get_weights()[0]
        .reshape(64, 4, 4, 8)
        .transpose(0, 2, 1, 3)
        .reshape(-1, 32)
    )
    dead = ~blocks.any(axis=1)
    assert dead.mean() == 0.5 and (blocks[~dead] != 0).all()
    assert {(item.layer, item.kind) for item in technique.skips(trained("tf_keras"))} == {
        ("conv1", "Conv2D"),
        ("conv2", "Conv2D"),
    }


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ({"only": "conv.*"}, {"conv1", "conv2"}),
        ({"only": ["dense1", "conv1"]}, {"dense1", "conv1"}),
        ({"skip": "dense."}, {"conv1", "conv2"}),
        ({"only": lambda layer: layer.name.endswith("2"), "skip": ["conv2"]}, {"dense2"}),
    ],
)
def test_selection(trained, run, select, expected):
    technique = Prune(0.8, **select)
    stripped, checks = run(technique, trained("keras"))
    assert {check.layer for check in checks} == expected
    assert {
        name for name in ("conv1", "conv2", "dense1", "dense2") if zeros(stripped, name) > 0.5
    } == expected
    assert technique.skips(trained("keras")) == ()  # what the user left out is no surprise to list


def test_unknown_layer_names_the_near_ones(trained):
    with pytest.raises(RecipeError, match=r"'conf2'.*Near: conv2"):
        Prune(0.8, only=["conf2"]).apply(trained("tf_keras"))


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0},
        {"sparsity": 1},
        {"sparsity": 80},
        {"schedule": "cosine"},
        {"pattern": "4:2"},
        {"pattern": "half"},
        {"pattern": "2:4", "sparsity": 0.8},
        {"pattern": "2:4", "block": (1, 4)},
        {"block": (0, 4)},
        {"begin": 5, "end": 5},
        {"frequency": 0},
        {"only": 3},
        {"skip": "("},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(RecipeError):
        Prune(**options)


def test_a_wrapped_model_fails_the_check_and_so_does_a_dense_one(trained):
    technique, net = Prune(0.8), trained("tf_keras")
    with pytest.raises(InvariantError, match="conv1"):
        technique.check(net, technique.apply(net))
    with pytest.raises(InvariantError, match=r"'conv1' has a share of zeros of 0\.0.*0\.80"):
        technique.check(net, net)


def test_nothing_to_prune_is_an_error():
    import keras

    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.ReLU()])
    with pytest.raises(ModelError, match="no layer to prune"):
        Prune(0.5).apply(net)


def test_layers_tfmot_cannot_prune_are_listed():
    import keras

    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.DepthwiseConv2D(3, name="dw"),
            layers.Conv2D(4, 3, name="conv"),
        ]
    )
    assert [item.layer for item in Prune(0.5).skips(net)] == ["dw"]


def test_nested_models_that_use_one_name_twice():
    import keras

    def block(name):
        return keras.Sequential(
            [keras.layers.Input((6,)), keras.layers.Dense(6, name="fc")], name=name
        )

    inputs = keras.Input((6,))
    net = keras.Model(inputs, block("b")(block("a")(inputs)))
    technique = Prune(0.5)
    stripped = technique.strip(technique.apply(net))
    assert len(technique.check(net, stripped)) == 2
    assert [zeros(stripped.get_layer(name), "fc") for name in "ab"] == [0.5, 0.5]


def test_kept_weights_are_the_largest():
    kernel = np.random.RandomState(0).randn(5, 7)
    kept = Prune(0.6).kept(kernel)
    assert kept.sum() == 14 and np.abs(kernel)[kept].min() > np.abs(kernel)[~kept].max()
    assert Prune(0.6).kept(np.ones((5, 7))).sum() == 14  # ties are broken, not all kept


@pytest.mark.parametrize("members", [10, 320, 1000])
@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_kernel_that_was_pruned_so_keeps_the_promise(members, sparsity):
    """0.3 of 320 weights are 96 zeros, not fewer than 1 − 224/320 in floating point."""
    technique = Prune(sparsity)
    kernel = np.random.RandomState(0).randn(members, 1)
    _, share, promised = technique.measure(kernel * technique.kept(kernel))
    assert share >= promised


def test_labels():
    assert [t.label for t in (Prune(0.8), Prune(0.875), Prune(pattern="2:4"))] == [
        "prune80",
        "prune87.5",
        "prune2of4",
    ]


@pytest.mark.parametrize("options", [{}, {"pattern": "2:4"}, {"block": (2, 2)}], ids=str)
def test_weights_that_are_not_finite_are_an_error(options):
    kernel = np.ones((8, 8))
    kernel[3, 3] = np.nan
    with pytest.raises(ModelError, match="NaN or infinity"):
        Prune(**options).kept(kernel)


def test_the_promise_is_no_rounding_error_above_what_was_done():
    """1 − 7373/9216 is above 1843/9216 in floating point: `prune20` failed its own check."""
    rng = np.random.default_rng(0)
    for shape, sparsity in (((3, 3, 32, 32), 0.2), ((9216, 1), 0.2), ((577, 1), 0.1)):
        prune, kernel = Prune(sparsity), rng.normal(size=shape)
        _, share, bound = prune.measure(kernel * prune.kept(kernel))
        assert share == bound
