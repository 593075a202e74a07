"""Invoke times: several interpreters in turn, in random order, until every median is known."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfcompress.core import Latency

BLOCK_MS = 10.0
"""A visit to one interpreter lasts about this long, at least one run."""
MAX_BLOCK_RUNS = 200
MIN_ROUNDS, FEW_ROUNDS = 12, 5
WARMUP_RUNS, WARMUP_MS, MAX_WARMUP_RUNS = 3, 20.0, 50
WINDOWS = 8


@dataclass
class Series:
    """The runs of one interpreter, which `invoke` runs once: times in ms and preemptions."""

    threads: int
    invoke: Callable[[], None]
    block_runs: int = 1
    warmup_runs: int = 0
    blocks: list[list[float]] = field(default_factory=list)
    preempted: list[bool] = field(default_factory=list)

    @property
    def times(self) -> list[float]:
        """All times in ms, in order."""
        return [time_ms for block in self.blocks for time_ms in block]


def measure(
    series: Sequence[Series], *, runs: int | None, precision: float, seconds: float, seed: int = 0
) -> bool:
    """Time every series in rounds; False where time ran out before every median was known.

    Each round visits all of them in a new random order, so that drift meets all alike.

    Args:
        series: what to time; gets the times.
        runs: of each; None: until every median is known to ± `precision` (see `uncertainty`) after
            at least MIN_ROUNDS rounds.
        precision: a share of the median.
        seconds: of time for each series that end it earlier.
        seed: of the order.
    """
    order = random.Random(seed)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for item in series:
            _warm_up(item)
        if runs is not None:
            _fixed_runs(series, runs, order)
            return True
        return _until_known(series, precision, seconds * len(series), order)
    finally:
        if collecting:
            gc.enable()


def _fixed_runs(series: Sequence[Series], runs: int, order: random.Random) -> None:
    """Rounds until every series has its runs."""
    while any(len(item.times) < runs for item in series):
        for item in order.sample(series, len(series)):
            left = min(item.block_runs, runs - len(item.times))
            if left > 0:
                _visit(item, left, alone=len(series) == 1)


def _until_known(
    series: Sequence[Series], precision: float, seconds: float, order: random.Random
) -> bool:
    """Rounds until every median is known to ± `precision`; False after `seconds`."""
    end = time.perf_counter() + seconds
    rounds = 0
    while True:
        for item in order.sample(series, len(series)):
            _visit(item, item.block_runs, alone=len(series) == 1)
        rounds += 1
        if rounds >= MIN_ROUNDS and all(uncertainty(item.blocks) <= precision for item in series):
            return True
        if rounds >= FEW_ROUNDS and time.perf_counter() > end:
            return False


def uncertainty(blocks: Sequence[Sequence[float]]) -> float:
    """Half the 95 % interval of the median, as a share of it.

    1.57 · IQR / √n over the medians of n visits: visits rather than runs, because runs close in
    time are alike.

    Source: McGill, Tukey, Larsen, The American Statistician 32 (1978): the notches of box plots.
    """
    medians = [statistics.median(block) for block in blocks]
    if len(medians) < 2:
        return float("inf")
    low, high = np.percentile(medians, [25, 75])
    return float(1.57 * (high - low) / len(medians) ** 0.5 / statistics.median(medians))


def summary(item: Series) -> Latency:
    """Percentiles and the rest over all runs of a series, preempted ones too."""
    times = np.asarray(item.times)
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    windows = [float(np.median(part)) for part in np.array_split(times, min(WINDOWS, len(times)))]
    return Latency(
        threads=item.threads,
        runs=len(times),
        warmup_runs=item.warmup_runs,
        latency_ms_p50=p50,
        latency_ms_p90=p90,
        latency_ms_p99=p99,
        latency_ms_mean=float(times.mean()),
        latency_ms_std=float(times.std(ddof=1)) if len(times) > 1 else 0.0,
        latency_ms_min=float(times.min()),
        latency_ms_max=float(times.max()),
        preempted_fraction=float(np.mean(item.preempted)),
        drift_fraction=(max(windows) - min(windows)) / p50,
        uncertainty_fraction=uncertainty(item.blocks) if len(item.blocks) > 1 else 0.0,
    )


def _warm_up(item: Series) -> None:
    start = time.perf_counter()
    took = 0.0
    while item.warmup_runs < WARMUP_RUNS or (
        took < WARMUP_MS and item.warmup_runs < MAX_WARMUP_RUNS
    ):
        item.invoke()
        item.warmup_runs += 1
        took = (time.perf_counter() - start) * 1e3
    item.block_runs = int(np.clip(BLOCK_MS * item.warmup_runs / took, 1, MAX_BLOCK_RUNS))


def _visit(item: Series, runs: int, *, alone: bool) -> None:
    if not alone and item.block_runs > 1:
        item.invoke()  # brings its weights back into the caches that the others have filled
    block = []
    for _ in range(runs):
        switches = _switches()
        start = time.perf_counter_ns()
        item.invoke()
        block.append((time.perf_counter_ns() - start) / 1e6)
        item.preempted.append(_switches() != switches)
    item.blocks.append(block)


def _switches() -> int:
    """How often the scheduler took the CPU away from this process; 0 where unknown."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
