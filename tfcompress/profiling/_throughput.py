"""How many samples a second a file answers in batches, and what that takes of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress.core import InterpreterError, Throughput
from tfcompress.profiling import _memory
from tfcompress.profiling._inputs import random_inputs

Announce = Callable[[str], None]
WARMUP_RUNS = 3
LEAST_RUNS = 5


def throughput(
    announce: Announce,
    path: str,
    runtime: str,
    threads: int,
    delegates: bool,
    batches: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Throughput at every batch size for `seconds` each; what cannot be run is a refusal."""
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    for batch in batches:
        announce(f"running {path} in batches of {batch}")
        opened = open_interpreter(path, runtime=runtime, threads=threads, delegates=delegates)
        try:
            _resize(opened, batch)
            rows.append(asdict(_measured(opened, batch, threads, seconds)))
        except InterpreterError as error:
            refused.append(f"not in batches of {batch}: {error}")
    return {"rows": rows, "refused": refused}


def _resize(opened: Interpreter, batch: int) -> None:
    """Give all inputs the batch size; InterpreterError where the outputs do not follow."""
    opened.resize([(batch, *(side or 1 for side in info.shape[1:])) for info in opened.inputs])
    opened.set_inputs(random_inputs(opened, batch))
    opened.invoke()
    for info in opened.outputs:
        shape = opened.raw.get_tensor(info.index).shape
        if shape[:1] != (batch,):
            raise InterpreterError(f"the output stays {list(shape)}")


def _measured(opened: Interpreter, batch: int, threads: int, seconds: float) -> Throughput:
    """images/s = runs · batch / wall time; cores = processor time / wall time, over all threads."""
    for _ in range(WARMUP_RUNS):
        opened.invoke()
    runs, start, processor = 0, time.perf_counter(), time.process_time()
    spent = 0.0
    while spent < seconds or runs < LEAST_RUNS:
        opened.invoke()
        runs += 1
        spent = time.perf_counter() - start
    return Throughput(
        batch=batch,
        threads=threads,
        images_per_second=runs * batch / spent,
        processor_cores=(time.process_time() - processor) / spent,
        memory_bytes=_memory.status().get("VmRSS"),
    )
