"""Structured pruning: the right filters go, budgets are met, and each wrong call is named."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfcompress as tfc
from tfcompress._backend.channels import _plan as filters
from tfcompress._backend.tflite._stopwatch import Stopwatch
from tfcompress.analysis import cost
from tfcompress.core import Recipe, RecipeError, SkippedError, TrainingError
from tfcompress.targets import Float32
from tfcompress.techniques import FineTune, PruneFilters, Slim
from tfcompress.testing import check_technique, untouched
from tfcompress.training import Fit
from tfcompress.zoo import resnet


@pytest.mark.parametrize(
    "technique",
    [
        PruneFilters(0.3),
        PruneFilters(target_macs=0.5, scope="global"),
        PruneFilters(0.5, importance="l2", round_to=4),
        PruneFilters(0.3, importance="taylor", batches=4),
        PruneFilters(target_params=0.6, importance="taylor", scope="global", batches=None),
        Slim(0.3),
        Slim(target_macs=0.8),
        FineTune(),
    ],
    ids=lambda t: t.label,
)
def test_contract(technique, keras_flavour, tiny):
    check_technique(technique, keras_flavour, tiny(keras_flavour))


def test_smallest_filters_go(keras_flavour, small_cnn):
    model = small_cnn(keras_flavour)
    before = model.get_layer("conv2").get_weights()[0]
    order = np.argsort(np.abs(before).sum((0, 1, 2)))
    after = (
        PruneFilters(0.25, skip=["conv1", "dense1"])
        .apply(model)
        .get_layer("conv2")
        .get_weights()[0]
    )
    np.testing.assert_array_equal(after, before[..., np.sort(order[4:])])


def test_ratio_by_layer(keras_flavour, small_cnn):
    pruned = PruneFilters({"conv.*": 0.5, "dense1": 0.25}).apply(small_cnn(keras_flavour))
    widths = {
        name: pruned.get_layer(name).get_weights()[0].shape[-1]
        for name in ("conv1", "conv2", "dense1", "dense2")
    }
    assert widths == {"conv1": 4, "conv2": 8, "dense1": 24, "dense2": 10}


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    share=st.floats(0.15, 0.95),
    which=st.sampled_from(["target_macs", "target_params"]),
    scope=st.sampled_from(["layer", "global"]),
)
def test_budgets_are_met(small_cnn, share, which, scope):
    model = small_cnn("keras", compiled=False)
    options = {
        "importance": "l1",
        "ratio": None,
        "round_to": 1,
        "target_macs": None,
        "target_params": None,
        "only": None,
        "skip": None,
    }
    plan = filters.plan(model, **{**options, which: share, "scope": scope})
    number = int(which == "target_macs")
    assert plan.cost()[number] <= share * plan.cost(())[number] + 1
    assert plan.cost()[number] > 0.3 * share * plan.cost(())[number]


def test_rounding_keeps_multiples(keras_flavour, small_cnn):
    pruned = PruneFilters(0.4, round_to=8).apply(small_cnn(keras_flavour))
    assert [
        pruned.get_layer(name).get_weights()[0].shape[-1] for name in ("conv1", "conv2", "dense1")
    ] == [8, 16, 24]


def test_importance_of_ones_own(small_cnn):
    model = small_cnn("keras")
    last_first = PruneFilters(
        0.5, importance=lambda layer: np.arange(layer.get_weights()[0].shape[-1]), only=["conv1"]
    )
    kernel = model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(
        last_first.apply(model).get_layer("conv1").get_weights()[0], kernel[..., 4:]
    )


def test_taylor_is_the_squared_first_order_term(keras_flavour, small_cnn, digits):
    """Gates against a tape: (Σ a·∂L/∂a)² of each layer's output, by batch, in training mode."""
    import tensorflow as tf

    x, y = digits[0][:64], digits[1][:64]
    model = small_cnn(keras_flavour)
    technique = PruneFilters(0.5, importance="taylor", batches=2)
    wrapped = technique.apply(model)
    before = [np.array(w) for w in wrapped.get_weights()]
    wrapped.fit(
        x, y, batch_size=32, epochs=5, shuffle=False, verbose=0, callbacks=technique.callbacks()
    )
    gates = {
        layer.name: layer.get_weights()[0]
        for layer in wrapped.layers
        if type(layer).__name__ == "ChannelGate"
    }
    assert set(gates) == {"conv1_gate", "conv2_gate", "bn2_gate", "dense1_gate"}
    kept = [
        np.array_equal(a, b)
        for a, b, v in zip(before, wrapped.get_weights(), wrapped.weights)
        if "importance" not in v.name
    ]
    assert len(kept) == len(model.weights) and all(kept)

    keras = importlib.import_module(keras_flavour)
    expected = dict.fromkeys(gates, 0.0)
    for start in (0, 32):
        taken, value = {}, tf.constant(x[start : start + 32])
        with tf.GradientTape() as tape:
            for layer in model.layers:
                value = (
                    layer(value, training=True)
                    if type(layer).__name__ == "BatchNormalization"
                    else layer(value)
                )
                tape.watch(value)
                taken[f"{layer.name}_gate"] = value
            loss = keras.losses.SparseCategoricalCrossentropy()(y[start : start + 32], value)
        for name, gradient in zip(
            expected, tape.gradient(loss, [taken[name] for name in expected])
        ):
            product = (taken[name] * gradient).numpy()
            expected[name] = expected[name] + product.reshape(-1, product.shape[-1]).sum(0) ** 2
    for name in gates:
        np.testing.assert_allclose(gates[name], expected[name], rtol=2e-3, atol=1e-9)
    assert (
        gates["conv2_gate"].max() < 0.05 * gates["bn2_gate"].max()
    )  # BatchNormalization takes the scale out again, but for its epsilon
    stripped = technique.strip(wrapped)
    order = np.argsort(gates["conv1_gate"], kind="stable")
    kernel = model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(
        stripped.get_layer("conv1").get_weights()[0], kernel[..., np.sort(order[4:])]
    )
    assert not [layer for layer in stripped.layers if "gate" in layer.name]


def test_a_layer_whose_gradients_are_small_is_not_cut_to_nothing(trained_cnn, digits):
    """One threshold compares shares of each layer's mean: late layers have tiny gradients."""
    model = trained_cnn("keras")
    technique = PruneFilters(0.5, importance="taylor", scope="global")
    wrapped = technique.apply(model)
    Fit(*digits[:2])(wrapped, technique.callbacks())
    gates = [
        layer.get_weights()[0].mean()
        for layer in wrapped.layers
        if layer.name in ("conv1_gate", "bn2_gate", "dense1_gate")
    ]
    assert max(gates) > 3 * min(gates)
    after = technique.strip(wrapped)
    shares = [
        after.get_layer(name).get_weights()[0].shape[-1] / n
        for name, n in (("conv1", 8), ("conv2", 16), ("dense1", 32))
    ]
    assert min(shares) > 0.2


def test_taylor_while_training_moves_the_weights(small_cnn, digits):
    model = small_cnn("keras")
    technique = PruneFilters(0.5, importance="taylor", batches=None)
    assert technique.callbacks() == []
    wrapped = technique.apply(model)
    Fit(*digits[:2], epochs=1)(wrapped, [])
    stripped = technique.strip(wrapped)
    assert stripped.get_layer("conv1").get_weights()[0].shape[-1] == 4
    kernel = model.get_layer("conv1").get_weights()[0]
    left = stripped.get_layer("conv1").get_weights()[0]
    assert not any(np.array_equal(left[..., 0], kernel[..., i]) for i in range(8))


def test_taylor_needs_its_training(small_cnn, digits):
    technique = PruneFilters(0.5, importance="taylor")
    with pytest.raises(RecipeError, match="trainer between"):
        technique.strip(technique.apply(small_cnn("keras")))
    with pytest.raises(TrainingError, match="filters50taylor"):
        tfc.compress(small_cnn("keras"), Recipe([technique], Float32()))
    fit = Fit(digits[0][:128], digits[1][:128])
    artifact = tfc.compress(small_cnn("keras"), "filters50taylor-finetune", fit=fit)
    assert artifact.model is not None
    assert artifact.model.get_layer("conv1").get_weights()[0].shape[-1] == 4


@pytest.mark.parametrize(
    "technique",
    [PruneFilters(target_macs=0.4), PruneFilters(0.5, importance="taylor", batches=3)],
    ids=lambda t: t.label,
)
def test_steps_together_remove_as_much(technique, small_cnn, digits):
    parts = technique.in_steps(3)
    again = Recipe.from_json(Recipe([*parts, FineTune()], Float32()).to_json()).techniques
    assert again[:3] == parts
    model = small_cnn("keras")
    fit = Fit(digits[0][:128], digits[1][:128])
    artifact = tfc.compress(model, Recipe([*parts, FineTune()], Float32()), fit=fit)
    assert artifact.model is not None
    widths = [
        artifact.model.get_layer(name).get_weights()[0].shape[-1]
        for name in ("conv1", "conv2", "dense1")
    ]
    if technique.ratio:
        assert [part.batches for part in parts] == [3, None, None]
        assert all(
            0.5 * full <= width <= 0.5 * full + 2 for width, full in zip(widths, (8, 16, 32))
        )
    else:
        share = cost(artifact.model).macs / cost(model).macs
        assert 0.25 < share <= 0.4
    with pytest.raises(RecipeError, match="in_steps"):
        technique.in_steps(0)


def test_latency_budget_is_measured(keras_flavour):
    model = resnet(8, keras=keras_flavour)
    pruned = PruneFilters(target_latency=0.6).apply(model)
    assert Stopwatch(model).share(pruned) < 0.75
    assert cost(pruned).macs > 0.1 * cost(model).macs
    with pytest.raises(RecipeError, match="out of reach"):
        PruneFilters(target_latency=0.01).apply(model)


def test_trained_network_keeps_its_accuracy_at_half_the_macs(keras_flavour, trained_cnn, digits):
    x, y, x_test, y_test = digits
    model = trained_cnn(keras_flavour)
    technique = PruneFilters(target_macs=0.5)
    with untouched(model, x):
        pruned = technique.apply(model)
        Fit(x, y, epochs=4)(pruned, [])
    share = technique.check(model, technique.strip(pruned))[0].value
    assert share <= 0.5
    assert (pruned.predict(x_test, verbose=0).argmax(1) == y_test).mean() > 0.9


def test_slimming_removes_by_one_threshold(keras_flavour, small_cnn, digits):
    model = small_cnn(keras_flavour)
    slim = Slim(0.5, l1=1e-3)
    wrapped = slim.apply(model)
    assert wrapped.get_layer("bn2").gamma_regularizer is not None
    Fit(digits[0], digits[1], epochs=3)(wrapped, [])
    gamma = np.abs(wrapped.get_layer("bn2").get_weights()[0])
    stripped = slim.strip(wrapped)
    np.testing.assert_array_equal(
        np.abs(stripped.get_layer("bn2").get_weights()[0]), gamma[gamma > np.sort(gamma)[7]]
    )
    assert stripped.get_layer("bn2").gamma_regularizer is None
    assert {item.layer for item in slim.skips(model)} == {"conv1", "dense1"}


def test_what_is_coupled_to_a_frozen_channel_is_said(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="normed")(inputs)
    x = layers.Conv2D(5, 1, name="free")(layers.LayerNormalization(name="norm")(x))
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(x)))
    reasons = {item.layer: item.reason for item in PruneFilters(0.5).skips(model)}
    assert "LayerNormalization 'norm'" in reasons["normed"]
    assert set(reasons) == {"normed"}


def test_what_only_leaves_out_keeps_its_partners_too(keras_flavour):
    model = resnet(8, keras=keras_flavour)
    technique = PruneFilters(0.5, only=["stage1_block1_conv1", "stage1_block1_conv2"])
    reasons = {item.layer: item.reason for item in technique.skips(model)}
    assert set(reasons) == {"stage1_block1_conv2"}
    assert "'stem_conv'" in reasons["stage1_block1_conv2"]
    pruned = technique.apply(model)
    assert pruned.get_layer("stage1_block1_conv1").get_weights()[0].shape[-1] == 8
    assert pruned.get_layer("stage1_block1_conv2").get_weights()[0].shape[-1] == 16


def test_a_layer_that_a_threshold_would_empty_keeps_one_filter_and_is_said(keras_flavour):
    technique = PruneFilters(0.5, importance="bn_gamma", scope="global")
    layers = importlib.import_module(keras_flavour).layers
    inputs = layers.Input((8, 8, 1))
    x = layers.BatchNormalization(name="bn1")(layers.Conv2D(8, 3, name="first")(inputs))
    x = layers.BatchNormalization(name="bn2")(layers.Conv2D(16, 3, name="second")(x))
    net = importlib.import_module(keras_flavour).Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    net.get_layer("bn1").set_weights(
        [np.linspace(0.001, 0.002, 8), *net.get_layer("bn1").get_weights()[1:]]
    )
    assert {item.layer for item in technique.skips(net)} == {"first"}
    pruned = technique.apply(net)
    assert pruned.get_layer("bn1").get_weights()[0].tolist() == pytest.approx([0.002])
    with pytest.raises(SkippedError, match="first"):
        tfc.compress(net, Recipe([technique], Float32()), training=False, strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.0}, r"ratio=1\.0"),
        ({"ratio": -0.1}, r"in \[0, 1\)"),
        ({"ratio": {"conv1": 2}}, r"in \[0, 1\)"),
        ({"ratio": 0.5, "target_macs": 0.5}, "one of"),
        ({"target_macs": 0}, "target_macs"),
        ({"importance": "size"}, "l1"),
        ({"scope": "block"}, "global"),
        ({"round_to": 0}, "round_to"),
        ({"batches": 0}, "batches"),
        ({"target_latency": 1.5}, "target_latency"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(RecipeError, match=message):
        PruneFilters(**options)


def test_wrong_models(small_cnn, keras_flavour):
    with pytest.raises(RecipeError, match="matches no layer"):
        PruneFilters({"convolution": 0.5}).apply(small_cnn(keras_flavour))
    with pytest.raises(RecipeError, match="out of reach"):
        PruneFilters(target_macs=0.001).apply(small_cnn(keras_flavour))
    keras = importlib.import_module(keras_flavour)
    inputs = keras.layers.Input((4,))
    only_outputs = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    with pytest.raises(RecipeError, match="No channel"):
        PruneFilters(0.5).apply(only_outputs)
    with pytest.raises(RecipeError, match=r"ratio=1"):
        Slim(1)
    with pytest.raises(RecipeError, match="both"):
        Slim(0.5, target_macs=0.5)
    with pytest.raises(RecipeError, match="target_macs=0"):
        Slim(target_macs=0)
