"""Choices left open until a recipe runs: decided from the model and its inputs."""

import warnings

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.analysis import (
    PCADimension,
    SignificanceBits,
    SignificantLayers,
    TwoNN,
    allocate_bits,
    significance,
)
from tfcompress.core import DataError, Recipe, RecipeError
from tfcompress.targets import Float32, Packed
from tfcompress.techniques import Cluster, MixedPrecision, Prune
from tfcompress.training import Fit


@pytest.fixture(scope="module")
def scored(small_cnn, digits):
    cache = {}

    def get(flavour):
        if flavour not in cache:
            model = small_cnn(flavour)
            cache[flavour] = model, significance(model, digits[0][:300])
        return cache[flavour]

    return get


def middle(scores):
    return [name for name in scores if name not in scores.details["ends"]]


def test_bits_are_those_of_significance_and_allocation(keras_flavour, scored, digits):
    model, scores = scored(keras_flavour)
    limit = float(np.median([scores[name] for name in middle(scores)]))
    rule = SignificanceBits(threshold=limit, significant=4, other=1)
    assert rule.decide(model, digits[0][:300]) == allocate_bits(scores, limit, 4, 1)
    rule = SignificanceBits(mean_bits=8, choices=(1, 2, 8))
    assert rule.decide(model, digits[0][:300]) == allocate_bits(
        scores, mean_bits=8, choices=(1, 2, 8)
    )


def test_layers_on_either_side_of_the_threshold(keras_flavour, scored, digits):
    model, scores = scored(keras_flavour)
    inner = middle(scores)
    limit = min(scores[name] for name in inner)
    low = SignificantLayers(threshold=limit, significant=False).decide(model, digits[0][:300])
    assert low == tuple(name for name in inner if scores[name] <= limit)
    if len(inner) > len(low):
        high = SignificantLayers(threshold=limit).decide(model, digits[0][:300])
        assert set(low) | set(high) == set(inner)
    with pytest.raises(
        RecipeError,
        match=rf"No layer has a significance above 1e\+06 .*{inner[0]}.*move the threshold",
    ):
        SignificantLayers(threshold=1e6).decide(model, digits[0][:300])


def test_a_recipe_with_rules_is_carried_out_and_tells_what_was_decided(
    keras_flavour, scored, digits
):
    model, scores = scored(keras_flavour)
    rule = SignificanceBits(inputs=300, threshold=1.0)
    recipe = Recipe([MixedPrecision(rule)], Packed(), name="mine")
    assert Recipe.from_json(recipe.to_json()) == recipe
    x, y = digits[0], digits[1]
    art = tfc.compress(model, recipe, fit=Fit(x, y, epochs=1), samples=x[:300], seed=0)
    assert art.recipe.name == "mine"
    assert art.recipe.techniques == (MixedPrecision(allocate_bits(scores, 1.0)),)
    assert recipe.techniques == (MixedPrecision(rule),)
    again = tfc.compress(model, art.recipe, fit=Fit(x, y, epochs=1), samples=x[:300], seed=0)
    assert again.data == art.data


def test_only_takes_a_rule(scored, digits):
    model, scores = scored("keras")
    limit = min(scores[name] for name in middle(scores))
    rule = SignificantLayers(threshold=limit, significant=False, inputs=300)
    art = tfc.compress(
        model, Recipe([Cluster(4, only=rule)], Float32()), samples=digits[0][:300], training=False
    )
    technique = art.recipe.techniques[0]
    assert isinstance(technique, Cluster) and art.model is not None
    chosen = technique.only
    assert isinstance(chosen, tuple)
    for layer in art.model.layers:
        if hasattr(layer, "kernel"):
            few = len(np.unique(np.asarray(layer.kernel))) <= 4
            assert few == (layer.name in chosen)


@pytest.mark.parametrize(
    "technique",
    [
        MixedPrecision(SignificanceBits()),
        Cluster(only=SignificantLayers()),
        Prune(0.5, skip=SignificantLayers()),
    ],
)
def test_undecided_and_without_samples(technique, scored):
    model = scored("keras")[0]
    with pytest.raises(
        RecipeError,
        match=r"not decided yet: compress\(\) does it, or technique.decided\(model, x\)",
    ):
        technique.apply(model)
    with pytest.raises(
        DataError, match="decides by what the model makes of real inputs: pass samples="
    ):
        tfc.compress(model, Recipe([technique], Float32()), fit=lambda *_: None)


def test_too_few_samples_are_told(scored, digits):
    recipe = Recipe([Cluster(4, only=SignificantLayers(threshold=0.0))], Float32())
    with pytest.warns(UserWarning, match="look at 150 samples and ask for 2,000"):
        tfc.compress(scored("keras")[0], recipe, samples=digits[0][:150], training=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tfc.compress(scored("keras")[0], Float32(), samples=digits[0][:150])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SignificanceBits(by="twonn"),  # pyright: ignore[reportArgumentType]
            "a rule is data, so it takes TwoNN",
        ),
        (
            lambda: SignificanceBits(view="pixels"),  # pyright: ignore[reportArgumentType]
            "view is 'flatten' or 'channels'",
        ),
        (lambda: SignificanceBits(inputs=5), "at least 100 inputs"),
        (
            lambda: SignificanceBits(threshold=20, mean_bits=2),
            "give one of threshold, budget_bytes and mean_bits",
        ),
        (
            lambda: SignificantLayers(rule="fall"),  # pyright: ignore[reportArgumentType]
            "rule is 'change' or 'rise'",
        ),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_labels():
    assert MixedPrecision(SignificanceBits()).label == "twonn-mixed21"
    assert (
        MixedPrecision(
            SignificanceBits(PCADimension(), significant=4, other=2), activations="same"
        ).label
        == "pca-mixed42a"
    )
    assert MixedPrecision(SignificanceBits(TwoNN(), mean_bits=3)).label == "twonn-mixed"
