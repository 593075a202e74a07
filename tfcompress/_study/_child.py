"""A process of its own for a thread that works on cells: it lives as long as the thread, and jobs and results go through pipes."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_THIS = threading.local()


@functools.lru_cache(maxsize=1)
def unpacked(path: str) -> Any:
    """What `pack` wrote to `path`."""
    import cloudpickle

    return cloudpickle.loads(Path(path).read_bytes())


def in_own_process(function: Callable, path: str, job: Any) -> Any:
    """function(what is packed at `path`, job), carried out in this thread's own process; what it raises is raised here.

    Raises RuntimeError where that process dies; the next job gets a new one.
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
    def __init__(self):
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        command = [
            sys.executable,
            "-c",
            "from tfcompress._study._child import serve; serve()",
            str(theirs_in),
            str(theirs_out),
        ]
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self.process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), env=environment, stdin=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.sending, self.receiving = (
            Connection(self._to, readable=False),
            Connection(self._from, writable=False),
        )

    def ask(self, task: bytes) -> Any:
        import cloudpickle

        try:
            self.sending.send_bytes(task)
            return cloudpickle.loads(self.receiving.recv_bytes())
        except (EOFError, OSError) as error:
            self.sending.close()
            raise RuntimeError(
                f"The process of this cell died (status {self.process.wait()})."
            ) from error


def serve() -> None:
    """Carry out what comes through the pipe until it is closed."""
    import cloudpickle

    coming, going = (int(number) for number in sys.argv[1:3])
    receiving, sending = Connection(coming, writable=False), Connection(going, readable=False)
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
