"""One contract for all techniques and all targets, in both Kerases; a new member is found by itself."""

import pytest

from tfcompress import targets, techniques
from tfcompress.core import Target, Technique
from tfcompress.testing import check_target, check_technique, tiny_model

TECHNIQUES = [getattr(techniques, name) for name in techniques.__all__]
TARGETS = [getattr(targets, name) for name in targets.__all__]
OPTIONS = {"MixedPrecision": {"bits": {"conv2": 2, "dense1": 1}}}


def members(found, base):
    return [thing for thing in found if isinstance(thing, type) and issubclass(thing, base)]


@pytest.fixture(scope="module")
def models():
    made = {}
    return lambda flavour: made.setdefault(flavour, tiny_model(flavour))


@pytest.mark.parametrize("technique", members(TECHNIQUES, Technique), ids=lambda cls: cls.__name__)
def test_technique(technique, keras_flavour, models):
    check_technique(
        technique(**OPTIONS.get(technique.__name__, {})), keras_flavour, models(keras_flavour)
    )


@pytest.mark.parametrize("target", members(TARGETS, Target), ids=lambda cls: cls.__name__)
def test_target(target, keras_flavour, models):
    check_target(target(), keras_flavour, models(keras_flavour))


def test_every_member_is_tested():
    assert len(members(TECHNIQUES, Technique)) >= 3
    assert len(members(TARGETS, Target)) >= 5
