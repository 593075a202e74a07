"""Paired differences: the interval, the test, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress.core import DataError
from tfcompress.report import paired_difference

answers = st.text("01", min_size=1, max_size=60)


@given(st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01")), min_size=1, max_size=60))
def test_mean_is_the_difference_of_accuracies_and_lies_in_the_interval(
    pairs: list[tuple[Any, Any]],
) -> None:
    mine, base = ("".join(side) for side in zip(*pairs))
    found = paired_difference([mine], [base])
    assert found.mean == pytest.approx((mine.count("1") - base.count("1")) / len(base))
    assert found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high
    assert (found.gained, found.lost) == (pairs.count(("1", "0")), pairs.count(("0", "1")))


@given(answers)
def test_the_same_answers_are_not_distinguishable(text: str) -> None:
    found = paired_difference([text], [text])
    assert (found.mean, found.low, found.high, found.p_value, found.distinguishable) == (
        0,
        0,
        0,
        1,
        False,
    )
    assert str(found) == f"no difference on any of the {len(text)} examples"


def test_p_value_is_mcnemars_exact_one() -> None:
    # 3 examples gained, 12 lost of 15 discordant ones:
    # 2 · P(X ≤ 3) for X ~ Binomial(15, ½) = 2 · 576 / 2¹⁵.
    mine, base = "1" * 3 + "0" * 12 + "1" * 85, "0" * 3 + "1" * 12 + "1" * 85
    found = paired_difference([mine], [base])
    assert found.p_value == pytest.approx(2 * 576 / 2**15)
    assert found.distinguishable and "-9.00 points, distinguishable" in str(found)


def test_interval_holds_the_percentile_bootstrap_over_examples() -> None:
    rng = np.random.default_rng(0)
    mine, base = ("".join(rng.choice(["0", "1"], 300, p=[0.1, 0.9])) for _ in range(2))
    d = np.array([int(a) - int(b) for a, b in zip(mine, base)])
    low, high = np.quantile(rng.choice(d, (20_000, 300)).mean(axis=1), [0.025, 0.975])
    found = paired_difference([mine], [base])
    assert low - 0.01 <= found.low <= low + 0.004
    assert high - 0.004 <= found.high <= high + 0.01


def test_seeds_are_averaged_by_example() -> None:
    # One example gained for one seed and lost for the other is no difference at all.
    found = paired_difference(["10", "01"], ["01", "10"])
    assert (found.mean, found.gained, found.lost) == (0, 0, 0)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        base = rng.random(250) < 0.9
        mine = np.where(
            rng.random(250) < 0.1, rng.random(250) < 0.5, base
        )  # a tenth guessed anew: −4 points in truth
        found = paired_difference(
            ["".join("01"[int(v)] for v in mine)], ["".join("01"[int(v)] for v in base)]
        )
        hits += found.low <= -0.04 <= found.high
    assert 178 <= hits <= 199


@pytest.mark.parametrize(
    ("mine", "base"), [(["11"], ["111"]), (["11", "10"], ["11"]), ([], []), ([""], [""])]
)
def test_unpaired_answers_are_refused(mine: list[str], base: list[str]) -> None:
    with pytest.raises(DataError, match="same seeds and the same test examples"):
        paired_difference(mine, base)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 400))
def test_interval_and_test_say_the_same(gained: int, lost: int, same: int) -> None:
    mine = "1" * gained + "0" * lost + "1" * same
    base = "0" * gained + "1" * lost + "1" * same
    if not mine:
        return
    found = paired_difference([mine], [base])
    assert found.distinguishable == (not found.low <= 0 <= found.high)
    if found.distinguishable:
        assert found.p_value < 0.05
    else:
        assert "not distinguishable from zero" in str(found) or "no difference" in str(found)
        assert found.low <= 0 <= found.high


def test_four_examples_gained_of_360_are_no_proof() -> None:
    # The bootstrap alone gave +0.28 to +2.22 here while McNemar's p-value is 2 / 2⁴ = 0.125.
    found = paired_difference(["1" * 4 + "1" * 356], ["0" * 4 + "1" * 356])
    assert found.p_value == pytest.approx(0.125)
    assert found.low < 0 < found.high and not found.distinguishable


def test_the_exact_side_of_the_interval_is_clopper_and_pearsons() -> None:
    from scipy.stats import binomtest

    from tfcompress.report._paired import _not_rejected

    for gained, lost in ((7, 2), (0, 5), (5, 0), (40, 61), (1000, 800)):
        exact = binomtest(gained, gained + lost).proportion_ci(0.95, "exact")
        bounds = [(2 * exact.low - 1) * 0.25, (2 * exact.high - 1) * 0.25]
        assert _not_rejected(gained, lost, 0.25) == pytest.approx(bounds, abs=1e-9)
