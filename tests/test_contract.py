"""One contract for all techniques, targets and estimators; a new member is found by itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tfcompress import targets, techniques
from tfcompress.analysis import ESTIMATORS, Dimension, Estimator
from tfcompress.core import Target, Technique
from tfcompress.testing import check_estimator, check_target, check_technique

TECHNIQUES = [getattr(techniques, name) for name in techniques.__all__]
TARGETS = [getattr(targets, name) for name in targets.__all__]
OPTIONS = {"MixedPrecision": {"bits": {"conv2": 2, "dense1": 1}}}


def members(names, base):
    return [name for name in names if isinstance(name, type) and issubclass(name, base)]


@pytest.mark.parametrize("technique", members(TECHNIQUES, Technique), ids=lambda cls: cls.__name__)
def test_technique(technique, keras_flavour, tiny):
    check_technique(
        technique(**OPTIONS.get(technique.__name__, {})), keras_flavour, tiny(keras_flavour)
    )


@pytest.mark.parametrize("target", members(TARGETS, Target), ids=lambda cls: cls.__name__)
def test_target(target, keras_flavour, tiny):
    check_target(target(), keras_flavour, tiny(keras_flavour))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator(name):
    check_estimator(ESTIMATORS[name]())


@dataclass(frozen=True, eq=False)
class Correlation(Estimator):
    """An outsider's: the slope of the logarithm of pairs nearer than r (Grassberger, Procaccia)."""

    word: ClassVar[str] = "correlation"
    inner: float = 0.02
    outer: float = 0.1

    @property
    def label(self):
        return f"correlation {self.inner:g} to {self.outer:g}"

    def measure_distinct(self, points, *, overwrite, budget_bytes, threads):
        exact = points.astype(np.float64)
        exact -= exact.mean(0)
        square = np.square(exact).sum(1)
        pairs = square[:, None] + square - 2 * exact @ exact.T
        distances = np.sqrt(np.maximum(pairs[np.triu_indices(len(points), 1)], 0))
        near, far = np.quantile(distances, [self.inner, self.outer])
        slope = np.log(self.outer / self.inner) / np.log(far / near)
        return Dimension(float(slope), self.label)


def test_an_outsiders_estimator():
    assert check_estimator(Correlation()).method == "correlation 0.02 to 0.1"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"measure_distinct": lambda self, points, **_: Dimension(9.0, "correlation")}, "of 3"),
        (
            {"measure_distinct": lambda self, points, **_: points.fill(0) or Dimension(3.0, "c")},
            "changed the points",
        ),
        (
            {
                "measure_distinct": lambda self, points, **_: Dimension(
                    3.0 + 0.01 * float(np.abs(points).max()), self.label
                )
            },
            "turned, moved and scaled",
        ),
        ({"word": "two-words"}, "recipe names"),
        ({"measure": lambda self, points, **_: Dimension(3.0, self.label)}, "rows given"),
        ({"label": ""}, "needs a label"),
    ],
)
def test_an_estimator_that_breaks_the_contract_is_told(broken, words, monkeypatch):
    for name, value in broken.items():
        monkeypatch.setattr(Correlation, name, value)
    with pytest.raises(AssertionError, match=words):
        check_estimator(Correlation())


def test_every_member_is_tested():
    assert len(ESTIMATORS) >= 2
    assert len(members(TECHNIQUES, Technique)) >= 3
    assert len(members(TARGETS, Target)) >= 5
