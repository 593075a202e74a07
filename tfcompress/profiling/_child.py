"""The jobs that run in a child process: `python -m tfcompress.profiling._child OUT`, the job as JSON on stdin.

OUT gets JSON lines: {"doing": …} before each step, then {"result": …} or {"error": …}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress._backend.interpreter._runtimes import load_runtime
from tfcompress.core import TfcompressError
from tfcompress.profiling import _macs, _memory
from tfcompress.profiling._latency import Series, measure, summary

Say = Callable[[str], None]


def look(say: Say, path: str, runtime: str, threads: int, delegates: bool) -> dict[str, Any]:
    """Load time and first run in a fresh process, and what the file contains."""
    say("importing the runtime")
    load_runtime(runtime)
    say("loading")
    opened = open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates)
    opened.set_inputs(random_inputs(opened))
    say("running for the first time")
    start = time.perf_counter()
    opened.invoke()
    first_ms = (time.perf_counter() - start) * 1e3
    say("reading its operations")
    outputs = [opened.value(info.index) for info in opened.outputs]
    return {
        "version": opened.version,
        "init_ms": opened.load_ms,
        "first_ms": first_ms,
        "inputs": [info.to_dict() for info in opened.inputs],
        "outputs": [info.to_dict() for info in opened.outputs],
        "finite": all(bool(np.isfinite(out).all()) for out in outputs if out.dtype.kind == "f"),
        "ops": [asdict(op) for op in _macs.count_ops(opened)],
        "weights": _macs.count_weights(opened),
        "delegate_parts": sum(op.kind == "DELEGATE" for op in opened.ops()),
    }


def memory(say: Say, path: str, runtime: str, threads: int, delegates: bool) -> dict[str, Any]:
    """How much the file adds to a process in which the runtime has already run something; see `_memory`."""
    say("running the smallest file")
    _run_few(
        open_interpreter(_memory.SMALLEST, runtime=runtime, threads=threads, delegates=delegates)
    )
    reset = _memory.forget_peak()
    before = _memory.status()
    say("measuring memory")
    opened = open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates)
    _run_few(opened)
    after = _memory.status()
    if not after:
        return {"peak": None, "anon": None, "exact": False}
    peak = max(after["VmHWM"], after["VmRSS"]) - before["VmRSS"]
    return {"peak": peak, "anon": after["RssAnon"] - before["RssAnon"], "exact": reset}


def clock(
    say: Say,
    paths: list[str],
    runtime: str,
    threads: int,
    delegates: bool,
    runs: int | None,
    precision: float,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    """Latency of every file at that thread count, interleaved."""
    series, opened = [], []
    for path in paths:
        say(f"loading {path} for timing")
        opened.append(open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates))
        opened[-1].set_inputs(random_inputs(opened[-1]))
        series.append(Series(threads, opened[-1].raw.invoke))
    say("timing")
    settled = measure(series, runs=runs, precision=precision, seconds=seconds, seed=seed)
    return {"latency": [asdict(summary(item)) for item in series], "settled": settled}


def ops(say: Say, path: str, threads: int, seconds: float) -> list[tuple[str, int | None, float]]:
    """Times of single operations from inside LiteRT."""
    from tfcompress._backend.interpreter._litert_c import time_ops

    say("timing operations")
    return [
        (item.kernel, item.op, item.time_us_p50)
        for item in time_ops(path, threads=threads, seconds=seconds)
    ]


def random_inputs(opened: Interpreter) -> list[np.ndarray]:
    """One batch (1 where it is dynamic): floats uniform in 0..1, quantized inputs over their whole range, other integers 0."""
    rng = np.random.default_rng(0)
    made = []
    for info in opened.inputs:
        shape = [n or 1 for n in info.shape]
        if info.dtype.kind == "f":
            made.append(rng.random(shape, dtype=np.float32).astype(info.dtype))
        elif info.scale:
            kind = np.iinfo(info.dtype)
            made.append(rng.integers(kind.min, kind.max, shape, dtype=info.dtype, endpoint=True))
        else:
            made.append(np.zeros(shape, info.dtype))
    return made


def _run_few(opened: Interpreter) -> None:
    opened.set_inputs(random_inputs(opened))
    for _ in range(3):
        opened.invoke()


JOBS = {"look": look, "memory": memory, "clock": clock, "ops": ops}


def main() -> None:
    with open(sys.argv[1], "w", buffering=1) as out:

        def say(doing: str) -> None:
            out.write(json.dumps({"doing": doing}) + "\n")

        task = json.load(sys.stdin)
        try:
            said = {"result": JOBS[task["job"]](say, **task["arguments"])}
        except (TfcompressError, RuntimeError, ValueError, MemoryError) as error:
            said = {"error": str(error) or type(error).__name__}
        out.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
