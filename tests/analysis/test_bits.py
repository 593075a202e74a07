"""Bits by rule and by budget, against all allocations tried; the thesis' computed sizes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress.analysis import LayerScores, allocate_bits, weight_bits
from tfcompress.analysis._budget import losses
from tfcompress.core import DataError, RecipeError, Significance

THESIS = {
    "conv1": 7.58,
    "conv2": 16.29,
    "linear1": 25.72,
    "linear2": 22.78,
    "output": 0.5,
}  # table 4.6, TwoNN, source


def test_the_thesis_rule():
    expected = {"conv1": 32, "conv2": 1, "linear1": 2, "linear2": 2, "output": 32}
    assert (
        allocate_bits(THESIS)
        == allocate_bits(Significance(THESIS, "TwoNN"), threshold=20, significant=2, other=1)
        == expected
    )
    assert allocate_bits(THESIS, threshold=23, significant=8, other=4, ends=None) == dict(
        zip(THESIS, (4, 4, 8, 4, 4))
    )
    assert list(allocate_bits(THESIS)) == list(THESIS)


@pytest.mark.parametrize(
    "bits,reduction",
    [
        ({"conv2": 1, "linear1": 1, "linear2": 1}, 30.4227),
        ({"conv1": 1}, 1.0016),
        ({"conv2": 1}, 1.0339),
        ({"linear1": 1}, 14.4182),
        ({"conv2": 1, "linear1": 2, "linear2": 2}, 15.8707),
        ({}, 1.0),
    ],
)
def test_the_thesis_sizes(quantnet, keras_flavour, bits, reduction):
    result = weight_bits(quantnet(keras_flavour), bits)
    assert round(result.reduction, 4) == reduction
    assert result.float_bits == 32 * 545_889
    assert result.total_bytes == sum(result.by_layer.values()) / 8


def test_mixed_model_is_the_computed_137_584_bytes(quantnet):
    scored = allocate_bits(THESIS)
    assert (
        weight_bits(
            quantnet("keras"), {k: v for k, v in scored.items() if k != "output"}
        ).total_bytes
        == 137_584
    )


def test_normalisation_stays_float(small_cnn):
    result = weight_bits(small_cnn("keras"), {"conv2": 1})
    assert result.by_layer["conv2"] == 8 * 16 * 9 and result.other_bits == 32 * 4 * 16


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    part=st.floats(0, 1),
    exact=st.booleans(),
    by_bits=st.booleans(),
    seed=st.integers(0, 999),
)
def test_budget_is_the_best_of_all_allocations(sizes, part, exact, by_bits, seed):
    choices = tuple(1 << n for n in range(4))
    rng = np.random.default_rng(seed)
    names = [f"layer{i}" for i in range(len(sizes))]
    size = dict(zip(names, sizes))
    if by_bits:
        scores = {name: dict(zip(choices, rng.normal(size=4))) for name in names}
        loss = scores
    else:
        scores = dict(zip(names, rng.lognormal(sigma=2, size=len(names))))
        loss = {name: {b: scores[name] / (2**b - 1) ** 2 for b in choices} for name in names}
    least, most = sum(sizes) / 8, sum(sizes)
    budget = least + part * (most - least)
    if exact:  # a budget that one allocation fills to the bit
        budget = sum(n * int(rng.choice(choices)) for n in sizes) / 8
    result = allocate_bits(scores, budget_bytes=budget, choices=choices, sizes=size, ends=None)
    used = sum(size[name] * result[name] for name in names)
    best = min(
        sum(loss[name][b] for name, b in zip(names, bits))
        for bits in itertools.product(choices, repeat=len(names))
        if sum(n * b for n, b in zip(sizes, bits)) <= 8 * budget
    )
    assert used <= 8 * budget
    assert sum(loss[name][result[name]] for name in names) == pytest.approx(
        best, rel=1e-9, abs=1e-9
    )


def test_budget_of_a_model_counts_everything(small_cnn):
    from tfcompress.analysis import significance

    model = small_cnn("keras")
    scores = significance(model, np.random.default_rng(0).random((60, 8, 8, 1), "float32"))
    whole = weight_bits(model, {}).total_bytes
    for part in (0.2, 0.4, 0.7, 1.0):
        bits = allocate_bits(scores, budget_bytes=part * whole)
        assert bits["conv1"] == bits["dense2"] == 32
        assert weight_bits(model, bits).total_bytes <= part * whole
    assert set(bits.values()) == {32}
    few = allocate_bits(scores, mean_bits=8)
    assert sum(scores.details["params"][k] * b for k, b in few.items()) <= 8 * sum(
        scores.details["params"].values()
    )


def test_fewest_bits_where_nothing_is_lost():
    assert allocate_bits(
        {"a": 0.0, "b": -3.0}, mean_bits=32, sizes={"a": 5, "b": 5}, ends=None
    ) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "scores,options,words",
    [
        ({}, {}, "No layer has a score"),
        ({"a": 1}, {"significant": 0}, "0 bits"),
        ({"a": 1}, {"other": 64}, "64 bits"),
        ({"a": 1}, {"budget_bytes": 10}, "No size for the layer 'a'"),
        (
            {"a": 1, "b": 1},
            {"budget_bytes": 1, "sizes": {"a": 100, "b": 100}},
            "fewest bits take 800 bytes, the budget is 1",
        ),
        ({"a": 1}, {"budget_bytes": 10, "mean_bits": 2, "sizes": {"a": 1}}, "Give one of"),
        ({"a": 1}, {"threshold": 10, "mean_bits": 2, "sizes": {"a": 1}}, "Give one of"),
        ({"a": {2: 0.1}}, {}, "one score a layer"),
        (
            {"a": {3: 0.1}},
            {"mean_bits": 4, "sizes": {"a": 1}, "choices": (1, 2), "ends": None},
            "at any of",
        ),
        ({"a": float("nan")}, {"mean_bits": 4, "sizes": {"a": 1}, "ends": None}, "finite"),
        (
            {"a": float("nan")},
            {"mean_bits": 40, "sizes": {"a": 1}, "ends": None, "choices": (32,)},
            "finite",
        ),
        ({"a": 1}, {"threshold": float("nan")}, "threshold is NaN"),
        ({"a": 1}, {"budget_bytes": float("nan"), "sizes": {"a": 1}}, "fewest bits"),
    ],
)
def test_refuses(scores, options, words):
    with pytest.raises(RecipeError, match=words):
        allocate_bits(scores, **options)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_decides_nothing(score):
    with pytest.raises(DataError, match="score of 'b' is"):
        allocate_bits({"a": 1.0, "b": score, "c": 2.0})
    with pytest.raises(DataError, match="score of 'b' is"):
        LayerScores({"a": 1.0, "b": score}, "by hand")


def test_weight_bits_refuses(small_cnn):
    with pytest.raises(RecipeError, match="conv9"):
        weight_bits(small_cnn("keras"), {"conv9": 2})
    with pytest.raises(RecipeError, match="20 bits"):
        weight_bits(small_cnn("keras"), {"conv1": 20})


def test_the_loss_of_a_score_is_the_power_of_rounding_noise():
    assert losses("a", 9.0, None, (1, 2, 3, 32)) == {1: 9.0, 2: 1.0, 3: 9 / 49, 32: 0.0}
    assert losses("a", -2.0, None, (1, 32)) == {1: 0.0, 32: 0.0}
    assert losses("a", {2: 0.5, 4: 0.1}, None, (1, 2, 32)) == {2: 0.5, 32: 0.0}
    assert losses("a", 9.0, 32, (1, 2)) == {32: 0.0}
