"""Structured pruning: the right filters go, budgets are met, trained networks stay accurate, and each wrong call is named."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfcompress._backend import filters
from tfcompress.core import RecipeError
from tfcompress.techniques import FineTune, PruneFilters, Slim
from tfcompress.testing import check_technique, tiny_model, untouched
from tfcompress.training import Fit


@pytest.fixture(scope="module")
def tiny():
    made = {}
    return lambda flavour: made.setdefault(flavour, tiny_model(flavour))


@pytest.mark.parametrize(
    "technique",
    [
        PruneFilters(0.3),
        PruneFilters(target_macs=0.5, scope="global"),
        PruneFilters(0.5, importance="l2", round_to=4),
        Slim(0.3),
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
    after = PruneFilters(0.25, skip=["conv1", "dense1"]).apply(model).get_layer("conv2").get_weights()[0]
    np.testing.assert_array_equal(after, before[..., np.sort(order[4:])])


def test_ratio_by_layer(keras_flavour, small_cnn):
    pruned = PruneFilters({"conv.*": 0.5, "dense1": 0.25}).apply(small_cnn(keras_flavour))
    widths = {name: pruned.get_layer(name).get_weights()[0].shape[-1] for name in ("conv1", "conv2", "dense1", "dense2")}
    assert widths == {"conv1": 4, "conv2": 8, "dense1": 24, "dense2": 10}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.15, 0.95), which=st.sampled_from(["target_macs", "target_params"]), scope=st.sampled_from(["layer", "global"]))
def test_budgets_are_met(small_cnn, share, which, scope):
    model = small_cnn("keras", compiled=False)
    options = {"importance": "l1", "ratio": None, "round_to": 1, "target_macs": None, "target_params": None, "only": None, "skip": None}
    plan = filters.plan(model, **{**options, which: share, "scope": scope})
    number = int(which == "target_macs")
    assert plan.cost()[number] <= share * plan.cost(())[number] + 1
    assert plan.cost()[number] > 0.3 * share * plan.cost(())[number]


def test_rounding_keeps_multiples(keras_flavour, small_cnn):
    pruned = PruneFilters(0.4, round_to=8).apply(small_cnn(keras_flavour))
    assert [pruned.get_layer(name).get_weights()[0].shape[-1] for name in ("conv1", "conv2", "dense1")] == [8, 16, 24]


def test_importance_of_ones_own(small_cnn):
    model = small_cnn("keras")
    last_first = PruneFilters(0.5, importance=lambda layer: np.arange(layer.get_weights()[0].shape[-1]), only=["conv1"])
    kernel = model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(last_first.apply(model).get_layer("conv1").get_weights()[0], kernel[..., 4:])


def test_trained_network_keeps_its_accuracy_at_half_the_macs(keras_flavour, small_cnn, digits):
    x, y, x_test, y_test = digits
    model = small_cnn(keras_flavour)
    model.fit(x, y, epochs=8, verbose=0)
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
    np.testing.assert_array_equal(np.abs(stripped.get_layer("bn2").get_weights()[0]), gamma[gamma > np.sort(gamma)[7]])
    assert stripped.get_layer("bn2").gamma_regularizer is None
    assert {item.layer for item in slim.skips(model)} == {"conv1", "dense1"}


def test_what_is_coupled_to_a_frozen_channel_is_said(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="normed")(inputs)
    x = layers.Conv2D(5, 1, name="free")(layers.LayerNormalization(name="norm")(x))
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(x)))
    said = {item.layer: item.reason for item in PruneFilters(0.5).skips(model)}
    assert "LayerNormalization 'norm'" in said["normed"]
    assert set(said) == {"normed"}


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
