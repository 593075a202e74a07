"""A file's outputs by an interpreter in a child process."""

from __future__ import annotations

from collections.abc import Sequence

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress.core._types import Array, ArrayLike
from tfcompress.profiling._remote import Remote
from tfcompress.profiling._source import Source, on_disk

BATCH = 64
TIMEOUT = 600.0
"""Seconds that some megabytes of samples may take."""


def run_in(runtime: str, data: bytes, x: Sequence[ArrayLike], *, threads: int = 1) -> list[Array]:
    """Outputs [n, …] as real numbers of one array [n, …] an input, both in the file's order.

    Raises:
        InterpreterError: the runtime is missing; the file does not load, does not run or crashes.
        DataError: samples that do not fit the file.
    """
    called = f"{choose(runtime)} {available()[runtime]}"
    source = Source.of(data)
    options = {"runtime": runtime, "threads": threads}
    with on_disk([source]) as paths:
        remote = Remote(
            paths[0], what=source.what, runtime=called, timeout=TIMEOUT, options=options
        )
        with remote as opened:
            return opened.predict(x, BATCH)
