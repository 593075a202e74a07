"""NumPy metrics against scikit-learn's and by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from tfcompress.core import DataError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.profiling import correct
from tfcompress.profiling._metrics import accuracy, auc, mae, mse, top5


@pytest.fixture
def scores() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 10, 200), rng.random((200, 10))


def test_accuracy_of_class_numbers_columns_and_one_hot_is_one(scores: tuple[Array, Array]) -> None:
    from sklearn.metrics import accuracy_score, top_k_accuracy_score

    y, outputs = scores
    expected = accuracy_score(y, outputs.argmax(1))
    assert (
        accuracy(y, outputs)
        == accuracy(y[:, None], outputs)
        == accuracy(np.eye(10)[y], outputs)
        == expected
    )
    assert top5(y, outputs) == pytest.approx(top_k_accuracy_score(y, outputs, k=5))
    assert correct(y, outputs).shape == (200,) and correct(y, outputs).mean() == expected


def test_one_unit_is_right_above_a_half() -> None:
    y, outputs = np.array([1, 0, 1, 0]), np.array([[0.9], [0.1], [0.5], [0.7]])
    np.testing.assert_array_equal(correct(y, outputs), [True, True, False, False])
    np.testing.assert_array_equal(correct(y[:, None], outputs[:, 0]), [True, True, False, False])


def test_a_nan_is_wrong() -> None:
    outputs = np.array([[np.nan, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(correct([0, 1], outputs), [False, True])
    np.testing.assert_array_equal(correct([0, 1], np.array([np.nan, 0.9])), [False, True])


def test_pixels_are_classified_one_by_one() -> None:
    y = np.array([[[0, 1], [1, 1]]])
    assert accuracy(y, np.eye(2)[y]) == 1.0
    assert correct(y, np.eye(2)[y]).shape == (1, 2, 2)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_scikit_learns(ties: bool) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 300)
    outputs = rng.integers(0, 7, 300) / 7 if ties else rng.random(300) + 0.3 * y
    expected = pytest.approx(roc_auc_score(y, outputs))
    assert auc(y, outputs) == expected
    assert auc(y[:, None], np.stack([1 - outputs, outputs], 1)) == expected
    assert auc(np.eye(2)[y], outputs[:, None]) == expected


def test_errors_of_regression() -> None:
    y, outputs = np.array([1.0, 2.0, 3.0]), np.array([[1.0], [0.0], [6.0]])
    assert mse(y, outputs) == pytest.approx(13 / 3)
    assert mae(y, outputs) == pytest.approx(5 / 3)


@pytest.mark.parametrize(
    ("metric", "y", "outputs", "says"),
    [
        (accuracy, [0, 10], np.zeros((2, 10)), "0 to 10"),
        (accuracy, [-1, 0], np.zeros((2, 10)), "-1 to 0"),
        (accuracy, [[0, 1, 0]] * 2, np.zeros((2, 10)), "do not fit"),
        (auc, [1, 1], np.array([0.1, 0.2]), "only one kind"),
        (auc, [1, 0], np.zeros((2, 3)), "one score"),
        (accuracy, [0.3, 17.5], np.zeros((2, 1)), "quantities from 0.3 to 17.5"),
        (accuracy, [0, 3], np.zeros(2), "name classes"),
        (accuracy, [0.5, 1.0], np.zeros((2, 4)), "name classes"),
        (accuracy, np.full((2, 4), 0.7), np.zeros((2, 4)), "name classes"),
        (top5, [0.5, 1.0], np.zeros((2, 10)), "top5 needs labels"),
        (auc, [0.2, 1.5], np.array([0.1, 0.2]), "auc needs labels"),
        (mse, np.zeros((2, 3)), np.zeros((2, 4)), "do not fit"),
    ],
)
def test_what_does_not_fit_is_said(
    metric: Callable[[Array, Array], float], y: ArrayLike, outputs: Array, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        metric(np.asarray(y), outputs)


def test_soft_labels_are_classes() -> None:
    y = np.array([[0.9, 0.1], [0.05, 0.95]])
    assert accuracy(y, np.array([[0.6, 0.4], [0.7, 0.3]])) == 0.5
