"""A process of its own for a thread that works on cells; jobs and results go through pipes."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
_THIS = threading.local()
SECONDS_TO_END = 10
"""How long a process may take to end once it gets no more jobs."""


@functools.lru_cache(maxsize=1)
def unpacked(path: str) -> Any:
    """What `pack` wrote to `path`."""
    import cloudpickle

    return cloudpickle.loads(Path(path).read_bytes())


def in_own_process(function: Callable[[Any, Job], Result], path: str, job: Job) -> Result:
    """function(what is packed at `path`, job), carried out in this thread's own process.

    Raises:
        RuntimeError: what the function raised there, or that the process died; the next job gets
            a new one.
    """
    import cloudpickle

    child = getattr(_THIS, "child", None) or _Child()
    _THIS.child = None
    answer = child.ask(cloudpickle.dumps((function, path, job)))
    _THIS.child = child
    if isinstance(answer, BaseException):
        raise answer
    return answer


class _Child:
    """A Python process that lives as long as the thread, and serves jobs one after another."""

    def __init__(self) -> None:
        jobs_in, self._to = os.pipe()
        self._from, answers_out = os.pipe()
        serving = "from tfcompress._study._child import serve; serve()"
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-c", serving, str(jobs_in), str(answers_out)],
            pass_fds=(jobs_in, answers_out),
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
        )
        os.close(jobs_in)
        os.close(answers_out)
        self.sending = Connection(self._to, readable=False)
        self.receiving = Connection(self._from, writable=False)
        weakref.finalize(self, _end, self.process, self.sending, self.receiving)

    def ask(self, task: bytes) -> Any:
        """The answer to a packed job; RuntimeError where the process died of it."""
        import cloudpickle

        try:
            self.sending.send_bytes(task)
            return cloudpickle.loads(self.receiving.recv_bytes())
        except (EOFError, OSError) as error:
            self.sending.close()
            status = self.process.wait()
            raise RuntimeError(f"The process of this cell died (status {status}).") from error


def _end(process: subprocess.Popen[bytes], sending: Connection, receiving: Connection) -> None:
    """Let a process whose thread is over see the end of its jobs, and wait until it is gone."""
    sending.close()
    receiving.close()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve() -> None:
    """Carry out what comes through the pipe until it is closed."""
    import cloudpickle

    jobs_in, answers_out = (int(number) for number in sys.argv[1:3])
    receiving = Connection(jobs_in, writable=False)
    sending = Connection(answers_out, readable=False)
    while True:
        try:
            task = receiving.recv_bytes()
        except EOFError:
            return
        try:
            function, path, job = cloudpickle.loads(task)
            answer = cloudpickle.dumps(function(unpacked(path), job))
        except Exception as error:  # goes to the process that asked
            answer = cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
        sending.send_bytes(answer)
