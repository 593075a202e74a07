"""The jobs that run in a child process: `python -m tfcompress.profiling._child OUT`.

The job comes as JSON on stdin, OUT gets the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress._backend.interpreter._runtimes import load_runtime
from tfcompress._backend.isolate import answer
from tfcompress.profiling import _memory
from tfcompress.profiling._graphs import Graph, read_graphs
from tfcompress.profiling._inputs import random_inputs
from tfcompress.profiling._latency import Series, measure, summary
from tfcompress.profiling._macs import count_ops, count_weights, graph_macs, main_graph
from tfcompress.profiling._throughput import throughput

Announce = Callable[[str], None]
"""Notes down what the job does next, so that a crash can be placed."""


def look(
    announce: Announce, path: str, runtime: str, threads: int, delegates: bool
) -> dict[str, Any]:
    """Load time and first run in a fresh process, and what the file contains."""
    announce("importing the runtime")
    load_runtime(runtime)
    announce("loading")
    opened = open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates)
    opened.set_inputs(random_inputs(opened))
    announce("running for the first time")
    start = time.perf_counter()
    opened.invoke()
    first_ms = (time.perf_counter() - start) * 1e3
    announce("reading its operations")
    outputs = [opened.value(info.index) for info in opened.outputs]
    floats = [values for values in outputs if values.dtype.kind == "f"]
    return {
        "version": opened.version,
        "init_ms": opened.load_ms,
        "first_ms": first_ms,
        "inputs": [info.to_dict() for info in opened.inputs],
        "outputs": [info.to_dict() for info in opened.outputs],
        "finite": all(bool(np.isfinite(values).all()) for values in floats),
        **contents(opened, path),
        "delegate_parts": sum(op.kind == "DELEGATE" for op in opened.ops()),
    }


def contents(opened: Interpreter, path: str) -> dict[str, Any]:
    """Operations and weights of a file, and in words what of them could not be counted."""
    graphs: tuple[Graph, ...] = ()
    notes: list[str] = []
    loops = [op for op in opened.ops() if op.kind in ("WHILE", "IF")]
    if loops:
        try:
            graphs = read_graphs(Path(path).read_bytes())
        except ImportError:
            reader = "pip install ai-edge-litert to read them"
            notes.append(f"{len(loops)} loops or branches not counted: {reader}")
    _, unknown = graph_macs(main_graph(opened, graphs), graphs)
    if unknown:
        notes.append(
            f"{unknown} loops whose number of rounds depends on the input: counted as one round"
        )
    ops = [asdict(op) for op in count_ops(opened, graphs)]
    return {"ops": ops, "weights": count_weights(opened, graphs), "notes": notes}


def memory(
    announce: Announce, path: str, runtime: str, threads: int, delegates: bool
) -> dict[str, Any]:
    """How much the file adds to a process whose runtime has already run something."""
    announce("running the smallest file")
    _run_few(
        open_interpreter(_memory.SMALLEST, runtime=runtime, threads=threads, delegates=delegates)
    )
    reset = _memory.forget_peak()
    before = _memory.status()
    announce("measuring memory")
    opened = open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates)
    _run_few(opened)
    after = _memory.status()
    if not after:
        return {"peak": None, "anon": None, "exact": False}
    peak = max(after["VmHWM"], after["VmRSS"]) - before["VmRSS"]
    return {"peak": peak, "anon": after["RssAnon"] - before["RssAnon"], "exact": reset}


def clock(
    announce: Announce,
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
        announce(f"loading {path} for timing")
        opened.append(open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates))
        opened[-1].set_inputs(random_inputs(opened[-1]))
        series.append(Series(threads, opened[-1].raw.invoke))
    announce("timing")
    settled = measure(series, runs=runs, precision=precision, seconds=seconds, seed=seed)
    return {"latency": [asdict(summary(item)) for item in series], "settled": settled}


def ops(
    announce: Announce, path: str, threads: int, seconds: float
) -> list[tuple[str, int | None, float]]:
    """Times of single operations from inside LiteRT."""
    from tfcompress._backend.interpreter._litert_c import time_ops

    announce("timing operations")
    return [
        (item.kernel, item.op, item.time_us_p50)
        for item in time_ops(path, threads=threads, seconds=seconds)
    ]


def _run_few(opened: Interpreter) -> None:
    opened.set_inputs(random_inputs(opened))
    for _ in range(3):
        opened.invoke()


JOBS = {
    "look": look,
    "memory": memory,
    "clock": clock,
    "ops": ops,
    "throughput": throughput,
}


if __name__ == "__main__":
    answer(JOBS)
