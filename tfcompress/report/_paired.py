"""Is a difference in accuracy real? Two files compared on the same test examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.core import DataError

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """Accuracy minus the base's on the same examples, with its 95 % interval [`low`, `high`] and a test against zero.

    `gained` and `lost` count the examples that one of the two gets right more often over the seeds; `p_value` is McNemar's.
    """

    mean: float
    low: float
    high: float
    p_value: float
    gained: int
    lost: int
    examples: int

    @property
    def distinguishable(self) -> bool:
        """True when zero lies outside the interval and the test agrees at 5 %."""
        return not self.low <= 0 <= self.high and self.p_value < 0.05

    def __str__(self) -> str:
        if self.gained == self.lost == 0:
            return f"no difference on any of the {self.examples:,} examples"
        verdict = (
            "distinguishable from zero" if self.distinguishable else "not distinguishable from zero"
        )
        return f"{100 * self.mean:+.2f} points, {verdict} (95 % interval {100 * self.low:+.2f} to {100 * self.high:+.2f})"


def paired_difference(correct: Sequence[str], base: Sequence[str], *, seed: int = 0) -> Difference:
    """The difference between the files whose answers are `correct` and those of `base`, one string of 0s and 1s a seed.

    With d_i the mean over seeds of correct_i − base_i for example i: `mean` is the mean of d, the interval is the percentile
    bootstrap over examples (10,000 resamples), and the p-value the exact binomial test of how many d_i are above against below
    zero, which for one seed is McNemar's exact test. The seeds are taken as given: the interval speaks of other test examples,
    not of other trainings. Raises DataError unless both have the same number of seeds and examples.
    """
    if (
        len(correct) != len(base)
        or not correct
        or len({len(text) for text in [*correct, *base]}) != 1
        or not correct[0]
    ):
        came = f"{[len(text) for text in correct]} against {[len(text) for text in base]}"
        raise DataError(
            f"Paired answers need the same seeds and the same test examples on both sides, got lengths {came}."
        )
    d = np.mean([_bits(a) - _bits(b) for a, b in zip(correct, base)], axis=0)
    values, counts = np.unique(d, return_counts=True)
    # Drawing n of n examples with replacement draws the counts of their few distinct values from a multinomial.
    draws = (
        np.random.default_rng(seed).multinomial(len(d), counts / len(d), size=RESAMPLES)
        @ values
        / len(d)
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    gained, lost = int(np.sum(d > 0)), int(np.sum(d < 0))
    return Difference(
        float(np.mean(d)), float(low), float(high), _sign_test(gained, lost), gained, lost, len(d)
    )


def _bits(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(float) - ord("0")


def _sign_test(gained: int, lost: int) -> float:
    """2 · P(X ≤ min(gained, lost)) for X ~ Binomial(gained + lost, ½), at most 1."""
    n = gained + lost
    logs = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        for k in range(min(gained, lost) + 1)
    )
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))
