"""RoundWeights: the grid and feedback against brute force, what files keep, and bad input."""

import itertools

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress._backend import bridge
from tfcompress.core import DataError, Recipe, RecipeError
from tfcompress.targets import Int8, Packed
from tfcompress.techniques import RoundWeights
from tfcompress.techniques.rounding._inputs import kernel_of_rows, moments, rows_of_kernel
from tfcompress.techniques.rounding._solve import largest_integer, on_grid, refitted


@pytest.fixture(scope="module")
def correlated():
    """H of eight inputs that go together, and weights for three channels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(500, 8))
    return x.T @ x / len(x), rng.normal(size=(3, 8))


def output_error(weights, rounded, second):
    off = weights - rounded
    return np.sum(off @ second * off, axis=1)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_integers_are_within_the_bits_and_feedback_helps(correlated, bits):
    second, weights = correlated
    top = largest_integer(bits)
    errors = {}
    for feedback in (False, True):
        integers, steps = on_grid(weights, second, bits, feedback=feedback)
        assert np.array_equal(integers, np.rint(integers)) and np.abs(integers).max() <= top
        errors[feedback] = output_error(weights, integers * steps[:, None], second).sum()
    assert errors[True] < errors[False]
    if bits == 8:
        assert (np.abs(integers).max(axis=1) == 127).all()


def test_two_bits_come_near_the_best_of_all_integers(correlated):
    """Of 3^8 choices on the same step, fewer than one in a hundred is better than feedback's."""
    second, weights = correlated
    integers, steps = on_grid(weights, second, 2, feedback=True)
    choices = np.array(list(itertools.product((-1, 0, 1), repeat=8)))
    for row, chosen, step in zip(weights, integers, steps):
        off = row - choices * step
        errors = np.sum(off @ second * off, axis=1)
        ours = output_error(row[None], chosen[None] * step, second)[0]
        assert np.mean(errors < ours) < 0.01


def test_without_moments_the_step_is_that_of_least_squares(correlated):
    weights = correlated[1]
    integers, steps = on_grid(weights, None, 4, feedback=False)
    error = np.sum((weights - integers * steps[:, None]) ** 2, axis=1)
    plain = np.abs(weights).max(axis=1) / 7
    rounded = plain[:, None] * np.rint(weights / plain[:, None])
    assert (error <= np.sum((weights - rounded) ** 2, axis=1) + 1e-12).all()
    assert on_grid(np.zeros((2, 4)), None, 4, feedback=False)[0].tolist() == [[0] * 4] * 2


def test_refitting_is_ridge_regression():
    rng = np.random.default_rng(1)
    exact, weights = rng.normal(size=(400, 5)), rng.normal(size=(2, 5))
    given = exact @ np.diag([1, 1, 0.5, 2, 1.0])
    second, crossed = given.T @ given / 400, exact.T @ given / 400
    np.testing.assert_allclose(
        refitted(weights, second, crossed, 0.0), weights / [1, 1, 0.5, 2, 1], rtol=1e-6
    )
    np.testing.assert_allclose(refitted(weights, second, crossed, 1e9), weights, rtol=1e-3)


@pytest.mark.parametrize("kind", ["Dense", "Conv1D", "Conv2D", "DepthwiseConv2D"])
def test_rows_times_the_kernel_are_the_layers_output(kind, keras_flavour):
    import importlib

    kit = importlib.import_module(keras_flavour)
    rng = np.random.default_rng(0)
    options = {"padding": "same", "strides": 2} if "Conv" in kind else {}
    sizes = {"Dense": [5], "Conv1D": [5, 3], "Conv2D": [5, 3], "DepthwiseConv2D": [3]}[kind]
    layer = getattr(kit.layers, kind)(*sizes, use_bias=False, **options)
    shape = {"Dense": (4, 6), "Conv1D": (4, 7, 6)}.get(kind, (4, 8, 7, 6))
    x = rng.normal(size=shape).astype("float32")
    outputs = np.asarray(layer(x))
    kernel = layer.get_weights()[0]
    rows = rows_of_kernel(layer, kernel)
    np.testing.assert_array_equal(kernel_of_rows(layer, rows, kernel.shape), kernel)
    groups = moments(layer, iter([(x, x)]), 4, centred=False)
    means = np.concatenate([row @ group.exact for row, group in zip(rows, groups)])
    flat = outputs.reshape(-1, outputs.shape[-1])
    np.testing.assert_allclose(means, flat.mean(axis=0), rtol=1e-4, atol=1e-5)
    powers = [np.diag(row @ group.second @ row.T) for row, group in zip(rows, groups)]
    np.testing.assert_allclose(np.concatenate(powers), (flat**2).mean(axis=0), rtol=1e-4)


def outputs(model, x):
    return np.asarray(bridge.predict(model, [x])[0], np.float64)


def test_samples_make_the_outputs_more_exact(tiny, keras_flavour):
    model, x, _ = tiny(keras_flavour)
    exact = outputs(model, x[128:])
    errors = []
    for technique in (
        RoundWeights(3, feedback=False, refit=False, correct_bias=False),
        RoundWeights(3),
    ):
        rounded = technique.apply_to(model, x[:128])
        technique.check(model, rounded)
        errors.append(np.linalg.norm(outputs(rounded, x[128:]) - exact))
    assert errors[1] < errors[0]


def test_packed_and_int8_keep_the_levels(tiny, keras_flavour):
    model, x, _ = tiny(keras_flavour)
    packed = tfc.compress(
        model, Recipe([RoundWeights(4, inputs=256)], Packed(prefer="size")), samples=x
    )
    layers = {layer.name: layer for layer in tfc.packed_layers(packed.data)}
    assert layers["dense1"].encoding != "float" and layers["dense1"].bits <= 4.1
    int8 = tfc.compress(model, Recipe([RoundWeights(8, inputs=256)], Int8()), samples=x)
    ours = {layer.name: layer for layer in bridge.leaf_layers(int8.model)}
    for layer in tfc.packed_layers(int8.data):
        if layer.name in ("conv1", "dense1", "dense2"):
            kernel = np.asarray(ours[layer.name].get_weights()[0])
            rows = kernel.reshape(-1, kernel.shape[-1]).T
            stored = np.moveaxis(layer.weights(), layer.axis, 0).reshape(rows.shape)
            np.testing.assert_allclose(stored, rows, rtol=1e-5, atol=1e-7)


def test_layers_by_name_and_what_is_left_alone(tiny):
    model, x, _ = tiny("keras")
    technique = RoundWeights({"conv1": 4, "dense1": 32})
    rounded = technique.apply_to(model, x[:50])
    assert technique.label == "round4" and len(technique.check(model, rounded)) == 1
    before = {layer.name: layer.get_weights() for layer in model.layers}
    np.testing.assert_array_equal(rounded.get_layer("dense2").get_weights()[0], before["dense2"][0])
    assert {item.layer for item in technique.skips(model)} >= {"conv2", "dense1", "dense2"}


def test_bad_input(tiny):
    model = tiny("keras")[0]
    with pytest.raises(RecipeError, match="2 to 8 or 32, got 9"):
        RoundWeights(9)
    with pytest.raises(RecipeError, match="inputs=0"):
        RoundWeights(inputs=0)
    with pytest.raises(RecipeError, match=r"'nothing'.*conv1"):
        RoundWeights({"nothing": 4}).apply(model)
    with pytest.raises(DataError, match="samples"):
        tfc.compress(model, Recipe([RoundWeights(4)], Packed()))
    assert tfc.recipe("round4-packedsize").techniques == (RoundWeights(4),)
