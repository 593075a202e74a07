"""Sensitivity on a trained net, and the weight transforms against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress.analysis import _weights, allocate_bits, sensitivity
from tfcompress.analysis._metric import accuracy
from tfcompress.core import DataError, RecipeError


def test_loss_is_the_accuracy_of_a_changed_copy(trained, digits):
    x, y = digits[2], digits[3]
    before = [w.copy() for w in trained.get_weights()]
    result = sensitivity(trained, (x, y), ("quantize", 1))
    base = np.mean(trained.predict(x, verbose=0).argmax(1) == y)
    assert result.details["base"] == pytest.approx(base) and base > 0.8
    assert result.details["how"] == ["quantize", 1] and result.details["n"] == len(x)
    assert result.details["ends"] == ["conv1", "dense2"]
    layer = trained.get_layer("conv2")
    kept = layer.get_weights()
    layer.set_weights([_weights.quantize(kept[0], 1)])
    changed = np.mean(trained.predict(x, verbose=0).argmax(1) == y)
    layer.set_weights(kept)
    assert result["conv2"] == pytest.approx(base - changed)
    assert list(result) == ["conv1", "conv2", "dense1", "dense2"] and result.unit == "accuracy lost"
    for old, new in zip(before, trained.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert trained.optimizer is not None


@pytest.mark.parametrize(
    "how,harsher",
    [
        (("quantize", 8), ("quantize", 1)),
        (("prune", 0.1), ("prune", 0.95)),
        (("cluster", 64), ("cluster", 2)),
    ],
)
def test_more_change_loses_more(trained, digits, how, harsher):
    data = digits[2][:300], digits[3][:300]
    mild, harsh = (sum(sensitivity(trained, data, each).scores.values()) for each in (how, harsher))
    assert abs(mild) < 0.05 < harsh


def test_losses_by_bits_make_an_allocation(trained, digits):
    data = digits[2][:200], digits[3][:200]
    measured = {
        b: sensitivity(trained, data, ("quantize", b), layers=["conv2", "dense1"])
        for b in (1, 2, 4)
    }
    table = {layer: {b: result[layer] for b, result in measured.items()} for layer in measured[1]}
    bits = allocate_bits(
        table, mean_bits=2, sizes=measured[1].details["params"], choices=(1, 2, 4), ends=None
    )
    assert set(bits) == {"conv2", "dense1"} and set(bits.values()) <= {1, 2, 4}


def test_metrics_and_labels(trained, digits):
    x, y = digits[2][:100], digits[3][:100]
    plain = sensitivity(trained, (x, y), ("prune", 0.5), layers=["conv1"])
    one_hot = sensitivity(trained, (x, np.eye(10)[y]), ("prune", 0.5), layers=["conv1"])
    assert plain.scores == one_hot.scores

    def certainty(y, outputs):
        return outputs[np.arange(len(y)), y].mean()

    steps = []
    result = sensitivity(
        trained,
        (x, y),
        ("prune", 0.5),
        ["conv1"],
        metric=certainty,
        progress=lambda *step: steps.append(step[0]),
    )
    assert result.unit == "certainty lost" and steps == ["whole model", "conv1", "done"]


def test_binary_outputs(quantnet):
    model = quantnet("keras")
    x = np.random.default_rng(0).random((20, 32, 32, 3), "float32")
    y = (model.predict(x, verbose=0)[:, 0] > 0.5).astype(int)
    assert sensitivity(model, (x, y), ("quantize", 8), ["linear2"]).details["base"] == 1.0


@pytest.mark.parametrize(
    "how,error,words",
    [
        (("round", 3), RecipeError, "choose"),
        (("quantize", 0), RecipeError, "1 to 16"),
        (("prune", 1.5), RecipeError, "ratio in"),
        (("cluster", 2.5), RecipeError, "clusters"),
        (("quantize", "x"), RecipeError, "expected"),
    ],
)
def test_refuses_ways(small_cnn, digits, how, error, words):
    with pytest.raises(error, match=words):
        sensitivity(small_cnn("keras"), digits[2:], how)


def test_refuses_data(small_cnn, digits):
    model = small_cnn("keras")
    for y, words in [(digits[3][:-1], "labels"), (np.zeros((597, 4)), "fit neither")]:
        with pytest.raises(DataError, match=words):
            sensitivity(model, (digits[2], y))
    with pytest.raises(RecipeError, match="metric"):
        sensitivity(model, digits[2:], metric="f1")


def test_everything_is_checked_before_anything_is_measured(small_cnn, digits):
    """Two outputs for accuracy, labels that are no class, NaN among inputs: no forward pass."""
    import keras

    model = small_cnn("keras")
    x, y = digits[2][:20], digits[3][:20]
    two = keras.Model(model.inputs, [model.outputs[0], model.get_layer("dense1").output])
    poisoned = x.copy()
    poisoned[3] = np.nan
    steps = []
    for net, data, options, error, words in [
        (two, (x, y), {}, DataError, "one output"),
        (model, (x, y + 5), {}, DataError, "classes 0 … 9"),
        (model, (x, y - 1), {}, DataError, "classes 0 … 9"),
        (model, (x, y.astype(str)), {}, DataError, "must be numbers"),
        (model, (poisoned, y), {}, DataError, "Input 3 holds NaN"),
        (model, (x, y), {"batch_size": 0}, RecipeError, "batch_size=0"),
        (model, (x, y), {"layers": ["conv9"]}, RecipeError, "conv9"),
    ]:
        with pytest.raises(error, match=words):
            sensitivity(net, data, **options, progress=lambda *step: steps.append(step))
    assert steps == []


def test_metrics_and_outputs_that_are_not_finite_are_errors(small_cnn, digits):
    model = small_cnn("keras")
    data = digits[2][:20], digits[3][:20]
    with pytest.raises(DataError, match="metric broken is nan: expected a finite number"):
        sensitivity(model, data, metric=broken)
    layer = model.get_layer("dense2")
    layer.set_weights([np.full(weight.shape, np.nan) for weight in layer.get_weights()])
    with pytest.raises(DataError, match="output for input 0 holds NaN"):
        sensitivity(model, data)


def broken(y, outputs):
    return float("nan")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(1, 200), st.integers(0, 99))
def test_quantize_is_nearest_of_its_levels(bits, size, seed):
    w = np.random.default_rng(seed).normal(size=size).astype("float32")
    result = _weights.quantize(w, bits)
    levels = np.unique(result)
    assert len(levels) <= 2**bits and result.dtype == w.dtype
    errors = []
    for scale in _weights.SCALES * np.abs(w).max():
        grid = scale * (2 * np.arange(2**bits) / (2**bits - 1) - 1)
        errors.append(np.square(grid[np.abs(w[:, None] - grid).argmin(1)] - w).sum())
    assert np.square(result - w).sum() == pytest.approx(min(errors), rel=1e-4, abs=1e-9)


def test_one_bit_is_sign_times_mean():
    w = np.array([[-1.0, 2.0], [0.0, 3.0]], "float32")
    np.testing.assert_array_equal(_weights.quantize(w, 1), [[-1.5, 1.5], [1.5, 1.5]])
    np.testing.assert_array_equal(_weights.quantize(np.zeros(3, "float32"), 2), np.zeros(3))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 1), st.integers(1, 200), st.integers(0, 99))
def test_prune_takes_the_smallest(ratio, size, seed):
    w = np.random.default_rng(seed).normal(size=size)
    result = _weights.prune(w, ratio)
    gone = result == 0
    assert gone.sum() == round(ratio * size)
    assert np.array_equal(result[~gone], w[~gone])
    assert not gone.any() or gone.all() or np.abs(w[gone]).max() <= np.abs(w[~gone]).min()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 300), st.integers(0, 99))
def test_cluster_is_a_fixed_point_of_k_means(number, size, seed):
    w = np.random.default_rng(seed).normal(size=size)
    result = _weights.cluster(w, number, rounds=1000)
    centroids = np.unique(result)
    assert len(centroids) <= number
    for centroid in centroids:
        assert w[result == centroid].mean() == pytest.approx(centroid, abs=1e-9)
    np.testing.assert_allclose(np.abs(w - result), np.abs(w[:, None] - centroids).min(1), atol=1e-9)


def test_accuracy_of_one_output_at_its_limits():
    """A probability above 0.5, or a logit above 0: at the limit it is not above."""
    labels = np.array([[0.0], [1.0], [1.0]])
    assert accuracy(labels, np.array([[0.5], [0.6], [0.0]])) == pytest.approx(2 / 3)
    assert accuracy(labels, np.array([[0.0], [0.2], [-0.1]])) == pytest.approx(2 / 3)
    assert accuracy(np.array([[0.5]]), np.array([[0.4]])) == 1.0
    assert accuracy(np.array([[1.0], [0.0]]), np.array([[1.0], [0.3]])) == 1.0
    assert accuracy(np.array([[0.0], [0.0]]), np.array([[0.0], [0.3]])) == 1.0
    assert accuracy(np.array([[0.0], [1.0]]), np.array([[1.0], [1.0]])) == 0.5
