"""Plans: scores that can be compared, and errors where they cannot be."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.channels import _plan
from tfcompress.core import ModelError
from tfcompress.techniques import PruneFilters, Slim

NOTHING = {"round_to": 1, "target_macs": None, "target_params": None, "only": None, "skip": None}


def two_convolutions(flavour, large=1.0):
    """conv → bn → conv → bn → dense; the first kernel is `large` times as large as the second."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((6, 6, 8)),
            layers.Conv2D(8, 3, name="first"),
            layers.BatchNormalization(name="bn1"),
            layers.Conv2D(8, 3, name="second"),
            layers.BatchNormalization(name="bn2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="out"),
        ]
    )
    kernel = np.random.RandomState(0).normal(size=(3, 3, 8, 8)) * np.linspace(0.2, 1, 8)
    model.get_layer("first").set_weights([large * kernel, np.zeros(8)])
    model.get_layer("second").set_weights([kernel, np.zeros(8)])
    return model


def widths(model):
    return [model.get_layer(name).get_weights()[0].shape[-1] for name in ("first", "second")]


@pytest.mark.parametrize("importance", ["l1", "l2"])
def test_a_global_threshold_compares_shares_of_each_layers_mean(keras_flavour, importance):
    """A kernel a hundred times as large does not win by its size."""
    model = two_convolutions(keras_flavour, large=100.0)
    pruned = PruneFilters(0.5, importance=importance, scope="global").apply(model)
    assert widths(pruned) == [4, 4]


def test_a_global_threshold_compares_scales_as_they_are(keras_flavour):
    """Slimming: a layer whose γ are all smaller loses its channels first."""
    model = two_convolutions(keras_flavour)
    for name, top in (("bn1", 0.1), ("bn2", 1.0)):
        layer = model.get_layer(name)
        layer.set_weights([np.linspace(0.2, 1, 8) * top, *layer.get_weights()[1:]])
    pruned = PruneFilters(0.25, importance="bn_gamma", scope="global").apply(model)
    assert widths(pruned) == [4, 8]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("importance", ["l1", "l2", "bn_gamma"])
def test_weights_that_are_not_finite_are_an_error(keras_flavour, importance, value):
    model = two_convolutions(keras_flavour)
    name = "bn2" if importance == "bn_gamma" else "second"
    weights = model.get_layer(name).get_weights()
    weights[0][..., 5] = value
    model.get_layer(name).set_weights(weights)
    with pytest.raises(ModelError, match=f"1 of 8 channels of '{name}'"):
        PruneFilters(0.5, importance=importance).apply(model)


def test_scores_of_ones_own_that_are_not_finite_are_an_error(keras_flavour):
    model = two_convolutions(keras_flavour)
    with pytest.raises(ModelError, match=r"\(a function\) of 8 of 8 channels of 'first'"):
        PruneFilters(0.5, importance=lambda layer: np.full(8, np.nan)).apply(model)


def test_gradients_that_are_not_finite_are_an_error(keras_flavour):
    technique = PruneFilters(0.5, importance="taylor", batches=1)
    gated = technique.apply(two_convolutions(keras_flavour))
    gate = gated.get_layer("second_gate")
    gate.set_weights([np.full(8, np.nan), np.array(1.0)])
    with pytest.raises(ModelError, match="second_gate"):
        technique.strip(gated)


def test_a_diverged_slimming_is_an_error(keras_flavour):
    slim = Slim(0.5)
    wrapped = slim.apply(two_convolutions(keras_flavour))
    wrapped.set_weights([np.full_like(weight, np.nan) for weight in wrapped.get_weights()])
    with pytest.raises(ModelError, match="The training before diverged"):
        slim.strip(wrapped)


def test_a_bisection_says_what_its_own_choice_emptied(keras_flavour):
    """The last ratio tried need not be the one that is kept."""
    model = two_convolutions(keras_flavour)
    layer = model.get_layer("bn1")
    layer.set_weights([np.linspace(0.001, 0.002, 8), *layer.get_weights()[1:]])
    options = {**NOTHING, "target_macs": 0.11}
    plan = _plan.plan(model, importance="bn_gamma", ratio=None, scope="global", **options)
    assert [name for name, _, _ in plan.kept_whole()] == ["first"]
    assert 0.1 < plan.cost()[1] / plan.cost(())[1] <= 0.11


@pytest.mark.parametrize(("scope", "steps"), [("layer", 8), ("global", 16)])
@pytest.mark.parametrize(("goal", "which"), [("target_params", 0), ("target_macs", 1)])
def test_a_budget_is_met_by_the_smallest_ratio_that_does(goal, which, scope, steps):
    """Bisection finds what trying every ratio finds."""
    model = two_convolutions("keras")
    options = {"importance": "l1", "scope": scope}
    planned = _plan.plan(model, ratio=None, **options, **{**NOTHING, goal: 0.5})
    plans = (_plan.plan(model, ratio=n / steps, **options, **NOTHING) for n in range(steps))
    tried = next(plan for plan in plans if plan.cost()[which] <= 0.5 * plan.cost(())[which])
    assert planned.removed == tried.removed and len(tried.removed) >= 2


def joined_net(flavour):
    """Four convolutions: two side by side, and two that are added to both."""
    keras = importlib.import_module(flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 3))
    wide = [layers.Conv2D(4, 1, name=name)(inputs) for name in ("left", "right")]
    hidden = layers.Concatenate()(wide)
    for name in ("third", "fourth"):
        hidden = layers.Add()([hidden, layers.Conv2D(8, 1, name=name)(inputs)])
    hidden = layers.Conv2D(8, 3, name="alone")(layers.ReLU()(hidden))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(hidden)))


def test_layers_joined_through_others_are_one_group(keras_flavour):
    options = {"importance": "l1", "ratio": 0.5, "scope": "layer", **NOTHING}
    plan = _plan.plan(joined_net(keras_flavour), **options)
    groups = [[layer.name for layer in group.layers] for group in plan.groups]
    assert sorted(map(sorted, groups)) == [["alone"], ["fourth", "left", "right", "third"]]
    assert [len(group.roots) for group in plan.groups] == [8, 8]


def test_a_global_threshold_reaches_every_group(keras_flavour, small_cnn):
    """Groups of 8, 16 and 32 filters whose importance is spread alike: each loses its half."""

    def spread(layer):
        return np.linspace(0, 1, layer.get_weights()[0].shape[-1])

    technique = PruneFilters(0.5, scope="global", importance=spread)
    pruned = technique.apply(small_cnn(keras_flavour))
    names = ("conv1", "conv2", "dense1")
    kept = [pruned.get_layer(name).get_weights()[0].shape[-1] for name in names]
    assert kept == [4, 8, 16]
