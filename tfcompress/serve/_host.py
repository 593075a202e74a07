"""The host's own answers: each file open in a child process, pictures read in another."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.isolate import environment
from tfcompress.core import DataError, InterpreterError
from tfcompress.core._types import Array
from tfcompress.profiling._remote import Remote
from tfcompress.profiling._wire import receive, send
from tfcompress.serve._catalogue import Served

WAITING = 32
"""Requests that may wait for one file; the next is turned away."""
PICTURE_SECONDS = 20.0
RUN_SECONDS = 120.0


class Busy(Exception):
    """Too many requests wait already."""


@dataclass(frozen=True)
class Answer:
    """A file's outputs, each [n, ...], and where the time went, in milliseconds."""

    outputs: list[Array]
    queue_ms: float
    inference_ms: float


class Turn:
    """One at a time, and no more than WAITING who wait for it."""

    def __init__(self) -> None:
        self._lock, self._count, self._waiting = threading.Lock(), threading.Lock(), 0

    @contextmanager
    def taken(self) -> Iterator[float]:
        """The turn; the value is how long it was waited for, in milliseconds. Busy where full."""
        with self._count:
            if self._waiting >= WAITING:
                raise Busy
            self._waiting += 1
        start = time.perf_counter()
        try:
            with self._lock:
                yield 1000 * (time.perf_counter() - start)
        finally:
            with self._count:
                self._waiting -= 1


class Runner:
    """One file, open in a child from its first use on; a child that ended is started anew."""

    def __init__(self, file: Served, runtime: str = "auto") -> None:
        chosen = choose(runtime)
        self._remote = Remote(
            str(file.path),
            what=file.name,
            runtime=f"{chosen} {available()[chosen]}",
            timeout=RUN_SECONDS,
            options={"runtime": chosen, "threads": 1},
        )
        self._turn, self._open = Turn(), False

    def ends(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Inputs and outputs of the file; InterpreterError where it does not load."""
        with self._turn.taken():
            opened = self._opened()
            return opened.inputs, opened.outputs

    def predict(self, inputs: Sequence[Array], batch_size: int = 64) -> Answer:
        """The outputs for inputs [n, ...]; InterpreterError, DataError, or Busy."""
        with self._turn.taken() as queue_ms:
            opened = self._opened()
            start = time.perf_counter()
            try:
                outputs = opened.predict(list(inputs), batch_size)
            except InterpreterError:
                self.close()
                raise
            return Answer(outputs, queue_ms, 1000 * (time.perf_counter() - start))

    def close(self) -> None:
        """End the child."""
        if self._open:
            self._open = False
            self._remote.__exit__()

    def _opened(self) -> Remote:
        if not self._open:
            self._remote.__enter__()
            self._open = True
        return self._remote


class Pictures:
    """Reads pictures in a child process, which a hostile one may take down."""

    def __init__(self) -> None:
        self._turn = Turn()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, shape: Sequence[int]) -> tuple[Array, float]:
        """The picture as uint8 [height, width, channels], and the milliseconds it took.

        Raises DataError where it is no picture, too large, or ends or hangs the child; Busy.
        """
        height, width, channels = shape
        head = {"height": height, "width": width, "channels": channels}
        with self._turn.taken():
            start = time.perf_counter()
            picture = self._ask(head, np.frombuffer(data, "uint8"))
            return picture, 1000 * (time.perf_counter() - start)

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, head: Mapping[str, Any], data: Array) -> Array:
        process = self._started()
        timer = threading.Timer(PICTURE_SECONDS, process.kill)
        timer.start()
        answer = None
        with suppress(OSError):
            send(cast(BinaryIO, process.stdin), head, [data])
            answer = receive(cast(BinaryIO, process.stdout))
        timer.cancel()
        if answer is None:
            self.close()
            raise DataError("The picture could not be read: reading it ended or took too long.")
        if "error" in answer[0]:
            raise DataError(f"The picture could not be read: {answer[0]['error']}.")
        return answer[1][0]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tfcompress.serve._decode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
        return self._process
