"""An estimator's name means one thing wherever it is given."""

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress import analysis
from tfcompress.analysis import (
    ESTIMATORS,
    PCADimension,
    SignificanceBits,
    TwoNN,
    by_name,
    significance,
)
from tfcompress.core import DataError, RecipeError
from tfcompress.techniques import MixedPrecision


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize(
    ("name", "estimator", "view", "rule"),
    [("twonn", TwoNN(), "flatten", "change"), ("pca", PCADimension(), "channels", "rise")],
)
def test_a_name_is_its_estimator_view_and_rule(small_cnn, images, name, estimator, view, rule):
    assert by_name(name) == (estimator, view, rule)
    model = small_cnn("keras")
    by_word = tfc.significance(model, images, by=name)
    spelled_out = significance(model, images, estimator, view, rule)
    assert by_word.to_dict() == spelled_out.to_dict()
    assert (by_word.details["view"], by_word.details["rule"]) == (view, rule)
    technique = tfc.recipe(f"{name}-mixed21").techniques[0]
    assert isinstance(technique, MixedPrecision)
    assert isinstance(technique.bits, SignificanceBits)
    assert (technique.bits.by, technique.bits.view, technique.bits.rule) == by_name(name)


def test_view_and_rule_given_beside_a_name_win(small_cnn, images):
    result = significance(small_cnn("keras"), images, "pca", view="flatten", rule="change")
    assert result.by == "PCA 99 %, flatten, change"
    assert significance(small_cnn("keras"), images, PCADimension()).by == result.by


def test_every_estimator_has_one_name():
    members = [getattr(analysis.dimension, name) for name in analysis.dimension.__all__]
    estimators = {
        member
        for member in members
        if isinstance(member, type)
        and issubclass(member, analysis.Estimator)
        and member is not analysis.Estimator
    }
    assert set(ESTIMATORS.values()) == estimators and len(ESTIMATORS) == len(estimators)
    assert all(name == estimator.word for name, estimator in ESTIMATORS.items())


def test_unknown_names_and_numbers_are_refused_before_anything_is_measured(small_cnn, images):
    model = small_cnn("keras")
    poisoned = images.copy()
    poisoned[7, 0] = np.inf
    steps = []
    for x, options, error, words in [
        (images, {"by": "isomap"}, RecipeError, "by='isomap'.*twonn, pca"),
        (images, {"view": "channels", "points": 0}, RecipeError, "points=0"),
        (images, {"batch_size": 0}, RecipeError, "batch_size=0"),
        (images, {"threads": -1}, RecipeError, "threads=-1"),
        (poisoned, {"layers": ["dense2"]}, DataError, "Input 7 holds NaN or infinity"),
    ]:
        with pytest.raises(error, match=words):
            significance(model, x, **options, progress=lambda *step: steps.append(step))
    assert steps == []
