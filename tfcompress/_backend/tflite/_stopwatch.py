"""How long a model takes on this machine, as a share of another's.

Both run as float32 files, in one interpreter each, by turns.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from tfcompress._backend import bridge as doors
from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress._backend.tflite import _converter as converter
from tfcompress.core._types import Model

ROUNDS = 15
VISIT_MS = 4.0
"""How long one model runs before it is the other's turn."""
WARMUP = 3
MOST_RUNS = 50


class Stopwatch:
    """Compares models with `model`: batch 1, one thread, float32 `.tflite`."""

    def __init__(self, model: Model):
        self.inputs = doors.random_inputs(model, 1)
        self.whole = self._open(model)

    def share(self, model: Model) -> float:
        """The time of `model` divided by that of the whole one, the median of ROUNDS visits."""
        narrow = self._open(model)
        whole_runs, narrow_runs = _runs_per_visit(self.whole), _runs_per_visit(narrow)
        ratios = []
        for _ in range(ROUNDS):
            whole_time = _fastest(self.whole, whole_runs)
            ratios.append(_fastest(narrow, narrow_runs) / whole_time)
        return statistics.median(ratios)

    def _open(self, model: Model) -> Interpreter:
        data = converter.convert(model, converter.Format("float32"))
        interpreter = open_interpreter(data, threads=1)
        interpreter.run(self.inputs)
        return interpreter


def _runs_per_visit(interpreter: Interpreter) -> int:
    """How many runs fill VISIT_MS."""
    seconds = 0.0
    for _ in range(WARMUP):
        seconds = _fastest(interpreter, 1)
    return int(np.clip(VISIT_MS / 1e3 / max(seconds, 1e-6), 1, MOST_RUNS))


def _fastest(interpreter: Interpreter, runs: int) -> float:
    """Seconds of the fastest of some runs in a row: what the machine can do undisturbed."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return min(times)
