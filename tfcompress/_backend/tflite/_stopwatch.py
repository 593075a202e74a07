"""How long a model takes on this machine, as a share of another's: both as float32 files in one interpreter each, by turns."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _converter as converter

ROUNDS, VISIT_MS, WARMUP = 15, 4.0, 3


class Stopwatch:
    """Compares models with `model`: batch 1, one thread, float32 `.tflite`."""

    def __init__(self, model: Any):
        self.inputs = _keras.random_inputs(model, 1)
        self.whole = self._open(model)

    def share(self, model: Any) -> float:
        """The time of `model` divided by that of the whole one: the median over rounds in which each runs in turn."""
        both = self.whole, self._open(model)
        runs = []
        for interpreter in both:
            for _ in range(WARMUP):
                start = time.perf_counter()
                interpreter.invoke()
            runs.append(
                int(np.clip(VISIT_MS / 1e3 / max(time.perf_counter() - start, 1e-6), 1, 50))
            )
        ratios = []
        for _ in range(ROUNDS):
            whole, narrow = (_visit(interpreter, count) for interpreter, count in zip(both, runs))
            ratios.append(narrow / whole)
        return statistics.median(ratios)

    def _open(self, model: Any) -> Any:
        interpreter = open_interpreter(
            converter.convert(model, converter.Format("float32")), threads=1
        )
        interpreter.run(self.inputs)
        return interpreter


def _visit(interpreter: Any, runs: int) -> float:
    """The fastest of some runs in a row: what the machine can do when nothing else wants it."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return min(times)
