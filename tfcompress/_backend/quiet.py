"""Silence for code that prints from C++.

File descriptors 1 and 2 go to a temporary file, and come back, always.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import sys
import tempfile
import threading
from typing import TextIO

_LOCK = threading.RLock()
_LOGGERS = ("", "absl", "tensorflow", "keras", "tf_keras", "ai_edge_litert")


class quiet:
    """Context manager that keeps the process's stdout and stderr, C++ included, out of sight.

    `noise.text` is what was written meanwhile (an inner `quiet` holds only its own part), kept for
    an error message. `sys.stdout`, `sys.stderr` and the log handlers that write to them go to the
    file as well, so that it is as quiet in a notebook, where they are not the process's own. The
    last one out restores everything, also when threads overlap.
    """

    _shared: _Redirect | None = None
    _inside = 0

    def __init__(self):
        self.text = ""

    def __enter__(self) -> quiet:
        with _LOCK:
            if quiet._shared is None:
                quiet._shared = _Redirect()
            quiet._inside += 1
            self._start = quiet._shared.size()
        return self

    def __exit__(self, *raised) -> None:
        with _LOCK:
            redirect = quiet._shared
            assert redirect is not None
            try:
                self.text = redirect.read(self._start)
            finally:
                quiet._inside -= 1
                if not quiet._inside:
                    quiet._shared = None
                    redirect.undo()


class _Redirect:
    """The one redirection that all open `quiet` blocks share."""

    def __init__(self):
        _flush()
        # It lives as long as the redirection.
        self.file = tempfile.TemporaryFile(prefix="tfc-noise-")  # noqa: SIM115
        self.saved = {fd: _duplicate(fd) for fd in (1, 2)}
        for fd in self.saved:
            os.dup2(self.file.fileno(), fd)
        self.python = sys.stdout, sys.stderr
        self.writers = [_Writer(self.file.fileno(), stream) for stream in self.python]
        sys.stdout, sys.stderr = self.writers
        self.handlers = [
            (handler, handler.stream) for handler in _handlers() if handler.stream in self.python
        ]
        for handler, stream in self.handlers:
            handler.setStream(self.writers[self.python.index(stream)])

    def size(self) -> int:
        _flush()
        return os.fstat(self.file.fileno()).st_size

    def read(self, start: int) -> str:
        # pread leaves the shared offset, at which C++ goes on writing, where it is.
        return os.pread(self.file.fileno(), max(self.size() - start, 0), start).decode(
            "utf-8", "replace"
        )

    def undo(self) -> None:
        for handler, stream in self.handlers:
            handler.setStream(stream)
        sys.stdout, sys.stderr = self.python
        for fd, saved in self.saved.items():
            if saved is None:
                os.close(fd)
            else:
                os.dup2(saved, fd)
                os.close(saved)
        for writer in self.writers:
            writer.fd = None
        self.file.close()


class _Writer(io.TextIOBase):
    """A text stream into descriptor `fd`; once that is None, into the stream it stood in for.

    Whoever was first imported inside a `quiet` block (a logger, a console) keeps the `sys.stderr`
    that it saw there for good.
    """

    def __init__(self, fd: int, instead_of: TextIO | None):
        self.fd: int | None = fd
        self.instead_of = instead_of

    def write(self, text: str) -> int:
        if self.fd is not None:
            os.write(self.fd, text.encode("utf-8", "replace"))
        elif self.instead_of is not None:
            self.instead_of.write(text)
        return len(text)

    def flush(self) -> None:
        if self.fd is None and self.instead_of is not None:
            self.instead_of.flush()

    def fileno(self) -> int:
        if self.fd is not None:
            return self.fd
        if self.instead_of is None:
            raise io.UnsupportedOperation("fileno: this process has no such stream")
        return self.instead_of.fileno()

    def writable(self) -> bool:
        return True


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    # C's own buffers too: what C++ printed to a redirected (block-buffered) stdout would otherwise
    # surface after the end.
    ctypes.CDLL(None).fflush(None)


def _duplicate(fd: int) -> int | None:
    """A copy of a descriptor; None for a closed one, which is closed again afterwards."""
    try:
        return os.dup(fd)
    except OSError:
        return None


def _handlers() -> list[logging.StreamHandler]:
    """The log handlers that write to a stream; absl wraps its own."""
    handlers: list[logging.Handler] = []
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handlers += [handler, getattr(handler, "python_handler", handler)]
    streams = [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
    return list(dict.fromkeys(streams))
