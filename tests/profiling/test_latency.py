"""When timing stops, in which order it goes, and what is made of the times."""

import itertools
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from tfcompress.profiling import _latency
from tfcompress.profiling._latency import Series, measure, summary, uncertainty


def wait(ms: float) -> Callable[[], None]:
    """A run that takes `ms` milliseconds."""

    def invoke() -> None:
        end = time.perf_counter() + ms / 1e3
        while time.perf_counter() < end:
            pass

    return invoke


def test_a_given_number_of_runs_is_kept() -> None:
    series = [Series(1, wait(0.05)), Series(1, wait(0.2))]
    assert measure(series, runs=37, precision=0.0, seconds=0.0)
    assert [len(item.times) for item in series] == [37, 37]
    assert all(item.warmup_runs >= 3 for item in series)


def test_a_steady_run_is_settled_after_the_fewest_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_latency, "BLOCK_MS", 1.0)
    item = Series(1, wait(0.2))
    assert measure([item], runs=None, precision=0.5, seconds=30.0)
    assert len(item.blocks) == _latency.MIN_ROUNDS
    assert summary(item).uncertainty_fraction <= 0.5


def test_a_wild_one_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_latency, "BLOCK_MS", 1.0)
    lengths = itertools.cycle([0.1] * 10 + [3.0] * 10)
    item = Series(1, lambda: wait(next(lengths))())
    start = time.perf_counter()
    assert not measure([item], runs=None, precision=1e-4, seconds=0.3)
    assert 0.25 < time.perf_counter() - start < 5
    assert len(item.blocks) >= _latency.FEW_ROUNDS


def test_every_round_visits_all_in_changing_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_latency, "BLOCK_MS", 0.0)
    visits: list[str] = []

    def visit(name: str) -> None:
        visits.append(name)
        wait(0.01)()

    series = [Series(1, partial(visit, name)) for name in "abc"]
    measure(series, runs=20, precision=0.0, seconds=0.0)
    rounds = ["".join(visits[-60:][i : i + 3]) for i in range(0, 60, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert len(set(rounds)) >= 4


def test_uncertainty_is_the_notch_of_a_box_plot() -> None:
    blocks = [[1.0, 1.0, 50.0], [2.0, 2.0, 2.0], [3.0], [4.0], [5.0]]
    assert uncertainty(blocks) == pytest.approx(1.57 * 2.0 / np.sqrt(5) / 3.0)
    assert uncertainty(blocks[:1]) == np.inf


def test_summary_of_known_times() -> None:
    times = [float(n) for n in range(1, 101)]
    item = Series(
        2,
        wait(0),
        warmup_runs=3,
        blocks=[times[:50], times[50:]],
        preempted=[True] * 25 + [False] * 75,
    )
    row = summary(item)
    assert (row.threads, row.runs, row.warmup_runs) == (2, 100, 3)
    assert (row.latency_ms_p50, row.latency_ms_p90, row.latency_ms_p99) == pytest.approx(
        (50.5, 90.1, 99.01)
    )
    assert (row.latency_ms_mean, row.latency_ms_std) == pytest.approx((50.5, np.std(times, ddof=1)))
    assert (row.latency_ms_min, row.latency_ms_max, row.preempted_fraction) == (1.0, 100.0, 0.25)
    # eight windows: the first has the median 7, the last 94.5
    assert row.drift_fraction == pytest.approx((94.5 - 7.0) / 50.5)
