"""Who teaches a network that lost parts: the network that it was, where that knows the data."""

import functools

import numpy as np
import pytest

from tfcompress.core import TrainingError
from tfcompress.techniques import Cluster, FineTune, LowRank, Prune, PruneFilters
from tfcompress.training import Distill, Fit
from tfcompress.training import _recovery as recovery

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def few(digits):
    """320 digits."""
    return digits[0][:320], digits[1][:320]


@pytest.fixture(scope="module")
def trained(small_cnn, digits):
    """`trained(flavour)`: a network that knows the digits, the same one every time."""

    @functools.cache
    def build(flavour):
        model = small_cnn(flavour)
        model.fit(digits[0], digits[1], epochs=2, verbose=0)
        return model

    return build


@pytest.fixture
def whole(trained, keras_flavour):
    return trained(keras_flavour)


def weights_after(trainer, technique, model):
    """The weights of what `technique` leaves of `model` after `trainer`."""
    wrapped = technique.apply(model)
    trainer(wrapped, technique.callbacks())
    return wrapped.get_weights()


def same(some, others):
    return all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("technique", [Prune(0.5), PruneFilters(0.3)], ids=str)
def test_the_whole_network_teaches_what_lost_parts_of_it(technique, whole, few):
    with_fit = weights_after(Fit(*few, distill=0.9, seed=0), technique, whole)
    taught = weights_after(Distill(whole, *few, optimizer=None, seed=0), technique, whole)
    assert same(with_fit, taught)
    assert not same(with_fit, weights_after(Fit(*few, distill=0, seed=0), technique, whole))


def test_a_network_that_knows_nothing_teaches_nothing(small_cnn, keras_flavour, few):
    untrained = small_cnn(keras_flavour)
    with_fit = weights_after(Fit(*few, distill=0.9, seed=0), PruneFilters(0.3), untrained)
    labels_alone = weights_after(Fit(*few, distill=0, seed=0), PruneFilters(0.3), untrained)
    assert same(with_fit, labels_alone)


def test_what_is_trained_once_is_no_longer_taught(whole, few):
    damaged = PruneFilters(0.3).apply(whole)
    assert recovery.whole_teacher(damaged, few[0], few[1], None) is whole
    Fit(*few)(damaged)
    assert damaged.optimizer is not None and damaged.loss is not None
    assert recovery.whole_teacher(damaged, few[0], few[1], None) is None
    assert recovery.whole_teacher(FineTune().apply(damaged), few[0], few[1], None) is None


def test_only_what_was_removed_is_taught(whole, few):
    assert recovery.whole_teacher(LowRank(energy=0.5).apply(whole), few[0], few[1], None) is whole
    assert recovery.whole_teacher(Cluster(8).apply(whole), few[0], few[1], None) is None
    assert recovery.whole_teacher(whole, few[0], few[1], None) is None
    gated = PruneFilters(0.3, importance="taylor").apply(whole)
    assert recovery.whole_teacher(gated, few[0], few[1], None) is None


def test_a_copy_of_the_copy_has_the_same_teacher_while_there_is_one(whole, few):
    damaged = PruneFilters(0.3).apply(whole)
    assert recovery.whole_teacher(FineTune().apply(damaged), few[0], few[1], None) is whole
    twice = PruneFilters(0.3).apply(damaged)
    assert recovery.whole_teacher(twice, few[0], few[1], None) is whole


def test_other_losses_and_data_are_the_users(whole, few):
    import tensorflow as tf

    damaged = PruneFilters(0.3).apply(whole)
    x, y = few
    assert recovery.whole_teacher(damaged, x, np.eye(10)[y], "mse") is None
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    assert recovery.whole_teacher(damaged, batches, None, None) is None
    assert recovery.whole_teacher(damaged, {"image": x}, y, None) is None
    weights = {0: 2.0, **dict.fromkeys(range(1, 10), 1.0)}
    assert Fit(x, y, distill=0.9, class_weight=weights)._teaching(damaged) is None
    by_sample = Fit(x, y, distill=0.9, sample_weight=np.ones(len(y)))
    assert by_sample._teaching(damaged) is None
    assert Fit(x, y, distill=0.9)._teaching(damaged) is not None
    assert Fit(x, y)._teaching(damaged) is None


def test_smoothed_labels_are_the_users():
    import keras
    import tf_keras

    for losses in (keras.losses, tf_keras.losses):
        assert recovery._is_cross_entropy(losses.CategoricalCrossentropy())
        assert not recovery._is_cross_entropy(losses.CategoricalCrossentropy(label_smoothing=0.1))
        assert recovery._is_cross_entropy(losses.binary_crossentropy)
        assert not recovery._is_cross_entropy(losses.MeanSquaredError())
    assert recovery._is_cross_entropy(SPARSE)


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.5", None])
def test_a_share_out_of_range(share, few):
    with pytest.raises(TrainingError, match=r"distill=.*expected a share"):
        Fit(*few, distill=share)


def test_losses_and_entropies_are_the_formulas():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (6, 4)), np.eye(4)[rng.integers(0, 4, 6)]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(p[labels == 1]).mean()
    assert recovery._softmax_loss(labels, logits) == pytest.approx(expected)
    q = 1 / (1 + np.exp(-logits))
    expected = -(labels * np.log(q) + (1 - labels) * np.log(1 - q)).mean()
    assert recovery._binary_loss(labels, logits) == pytest.approx(expected)
    assert recovery._entropy(np.full(8, 1 / 8), False) == pytest.approx(np.log(8))
    assert recovery._entropy(np.full(3, 1 / 2), True) == pytest.approx(np.log(2))
