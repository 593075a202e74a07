"""Ctrl-C ends a study, also where the code that ran at that moment swallowed it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """While this context lasts, remembers that the user asked the process to stop (SIGINT).

    KeyboardInterrupt is raised where the process is, as always. A converter's callback, a
    trainer's bare `except:` or a destructor can lose it there; `check` raises it again.
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread() and callable(self._previous):
            signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if signal.getsignal(signal.SIGINT) == self._heard:
            signal.signal(signal.SIGINT, self._previous)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if callable(self._previous):
            self._previous(number, frame)

    def check(self) -> None:
        """KeyboardInterrupt, if the user asked for it since this context began."""
        if self.asked:
            raise KeyboardInterrupt
