"""Is a difference in accuracy real? Two files compared on the same test examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array

RESAMPLES = 10_000
LEVEL = 0.05
HALVINGS = 50  # of [0, 1]: far below a millionth of a point


@dataclass(frozen=True)
class Difference:
    """Accuracy minus the base's on the same examples, with its 95 % interval [`low`, `high`].

    `gained` and `lost` count the examples that one of the two gets right more often over the seeds;
    `p_value` is McNemar's exact one. An interval that leaves zero out has a p-value below 0.05.
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
        """True when zero lies outside the interval."""
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        if self.gained == self.lost == 0:
            return f"no difference on any of the {self.examples:,} examples"
        verdict = "" if self.distinguishable else "not "
        interval = f"95 % interval {100 * self.low:+.2f} to {100 * self.high:+.2f}"
        return f"{100 * self.mean:+.2f} points, {verdict}distinguishable from zero ({interval})"


def paired_difference(correct: Sequence[str], base: Sequence[str], *, seed: int = 0) -> Difference:
    """The difference between files whose answers are `correct` and `base`, a string a seed.

    With d_i the mean over seeds of correct_i − base_i for example i, `mean` is the mean of d. The
    p-value is the exact binomial test of how many d_i are above against below zero, which for one
    seed is McNemar's exact test. The interval is the wider, on either side, of two: the percentile
    bootstrap over examples (10,000 resamples), and the differences that the exact test does not
    reject, so that interval and test never contradict each other. The seeds are taken as given: the
    interval speaks of other test examples, not of other trainings.

    Args:
        correct: one string of 0s and 1s a seed, an example a letter.
        base: the same of the file that it is held against.
        seed: of the bootstrap.

    Raises:
        DataError: the two sides have not the same number of seeds and examples.

    Source: McNemar, Psychometrika 12 (1947); Clopper and Pearson, Biometrika 26 (1934); Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    _check(correct, base)
    steps = [_bits(mine) - _bits(other) for mine, other in zip(correct, base)]
    differences = np.mean(steps, axis=0)
    examples = len(differences)
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    drawn_low, drawn_high = _bootstrap(differences, seed)
    exact_low, exact_high = _not_rejected(gained, lost, float(np.abs(differences).sum()) / examples)
    return Difference(
        float(np.mean(differences)),
        min(drawn_low, exact_low),
        max(drawn_high, exact_high),
        _sign_test(gained, lost),
        gained,
        lost,
        examples,
    )


def _check(correct: Sequence[str], base: Sequence[str]) -> None:
    lengths = {len(text) for text in [*correct, *base]}
    if len(correct) == len(base) and len(lengths) == 1 and lengths != {0}:
        return
    came = f"{[len(text) for text in correct]} against {[len(text) for text in base]}"
    raise DataError(
        "Paired answers need the same seeds and the same test examples on both sides, "
        f"got lengths {came}."
    )


def _bits(text: str) -> Array:
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(float) - ord("0")


def _bootstrap(differences: Array, seed: int) -> tuple[float, float]:
    """The middle 95 % of the means of resampled examples.

    Drawing n of n examples with replacement draws the counts of their few distinct values from a
    multinomial.
    """
    values, counts = np.unique(differences, return_counts=True)
    n = len(differences)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)
    low, high = np.quantile(drawn @ values / n, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _not_rejected(gained: int, lost: int, changed: float) -> tuple[float, float]:
    """The differences that the exact test on the examples that changed does not reject.

    With π the share of gains among them, whose exact interval is Clopper and Pearson's, the
    difference is (2π − 1) · `changed`, the share of examples that changed.
    """
    n = gained + lost
    low = _smallest(lambda share: _tail(n, lost, 1 - share) > LEVEL / 2) if gained else 0.0
    high = 1 - _smallest(lambda share: _tail(n, gained, 1 - share) > LEVEL / 2) if lost else 1.0
    return (2 * low - 1) * changed, (2 * high - 1) * changed


def _smallest(holds: Callable[[float], bool]) -> float:
    """The smallest number in [0, 1] for which `holds`, which is true from there on."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low


def _tail(n: int, most: int, share: float) -> float:
    """P(X ≤ `most`) for X ~ Binomial(n, `share`)."""
    if share <= 0 or share >= 1:
        return float(share <= 0 or most >= n)
    k = np.arange(most + 1)
    logs = _log_choose(n, most) + k * math.log(share) + (n - k) * math.log1p(-share)
    return float(np.exp(logs).sum())


def _log_choose(n: int, most: int) -> Array:
    """log of n over k for k = 0 … `most`: the running sum of log((n − k + 1) / k)."""
    k = np.arange(1, most + 1)
    return np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k))])


def _sign_test(gained: int, lost: int) -> float:
    """2 · P(X ≤ min(gained, lost)) for X ~ Binomial(gained + lost, ½), at most 1."""
    return min(1.0, 2 * _tail(gained + lost, min(gained, lost), 0.5))
