"""Progress of long work, training by epoch included: a bar, plain lines, or a user's function.

Work opens a `reporter` and announces its steps. While a step runs, whoever trains inside it calls
`detail`, and the innermost open reporter shows it beside the step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

Progress = Callable[[str, int, int], None]
LINE_SECONDS = 10.0
"""Plain lines, and details for a user's function, come no closer than this."""


class Display(Protocol):
    """Where progress is shown."""

    def show(self, text: str, done: int, total: int, *, is_step: bool) -> None:
        """Show `text`: a step of its own, or more of the one that runs."""

    def close(self, total: int) -> None:
        """The work has ended without an error."""


_open: ContextVar[Callable[[str], None] | None] = ContextVar("tfcompress_progress", default=None)


def detail(text: str) -> None:
    """Say more of the step that runs now, e.g. the epoch; nothing where no reporter is open."""
    listener = _open.get()
    if listener is not None:
        listener(text)


def is_open() -> bool:
    """Whether anyone listens to `detail`."""
    return _open.get() is not None


@contextmanager
def reporter(
    progress: Progress | bool | None, *, total: int, title: str
) -> Iterator[Callable[[str], None]]:
    """A function `step(what)` that announces the next of `total` steps.

    `progress` is a user's `(what, done, total)`; None, a bar on a terminal and in a notebook and a
    plain line now and then elsewhere; True, the same with a line for every step; False, nothing.
    """
    if progress is False:
        yield lambda what: None
        return
    display = _display(progress, title)
    steps: list[str] = []

    def step(what: str) -> None:
        steps.append(what)
        display.show(what, len(steps) - 1, total, is_step=True)

    def more(text: str) -> None:
        if steps:
            display.show(f"{steps[-1]}, {text}", len(steps) - 1, total, is_step=False)

    token = _open.set(more)
    try:
        yield step
        display.close(total)
    finally:
        _open.reset(token)
        if isinstance(display, _Bar):
            display.progress.stop()


def duration(seconds: float) -> str:
    """`seconds` in words, rounded as an estimate is."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _display(progress: Progress | bool | None, title: str) -> Display:
    if callable(progress):
        return _Called(progress)
    if sys.stderr.isatty() or (_in_notebook() and find_spec("ipywidgets") is not None):
        from rich.console import Console

        return _Bar(title, Console(stderr=True))
    if _in_notebook():
        return _NotebookLine(title)
    return _Lines(title, sys.stderr, every_step=progress is True)


def _in_notebook() -> bool:
    """Whether an IPython kernel, not a terminal, runs this process."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class _Called:
    """A user's function: every step, and details now and then."""

    def __init__(self, function: Progress) -> None:
        self.function = function
        self.next_detail = perf_counter() + LINE_SECONDS

    def show(self, text: str, done: int, total: int, *, is_step: bool) -> None:
        if is_step or perf_counter() >= self.next_detail:
            self.next_detail = perf_counter() + LINE_SECONDS
            self.function(text, done, total)

    def close(self, total: int) -> None:
        self.function("done", total, total)


class _Lines:
    """Plain lines for scripts and logs: one when `LINE_SECONDS` have passed since the last."""

    def __init__(self, title: str, stream: TextIO, *, every_step: bool) -> None:
        self.title, self.stream, self.every_step = title, stream, every_step
        self.start = perf_counter()
        self.next_line = self.start + LINE_SECONDS

    def show(self, text: str, done: int, total: int, *, is_step: bool) -> None:
        now = perf_counter()
        if now < self.next_line and not (is_step and self.every_step):
            return
        self.next_line = now + LINE_SECONDS
        passed = duration(now - self.start)
        print(f"{self.title}, {passed}: {text} [{done}/{total}]", file=self.stream, flush=True)

    def close(self, total: int) -> None:
        """Nothing: what was made is said by who asked for it."""


class _NotebookLine:
    """One line below a notebook's cell that is written anew, where no widgets are installed."""

    def __init__(self, title: str) -> None:
        from IPython.display import display  # type: ignore[import-not-found]

        self.title = title
        handle = display({"text/plain": ""}, raw=True, display_id=True)
        assert handle is not None, "display() with an identity returns its handle"
        self.handle = handle

    def show(self, text: str, done: int, total: int, *, is_step: bool) -> None:
        filled = round(20 * done / max(total, 1))
        bar = "━" * filled + "┄" * (20 - filled)
        line = f"{self.title} {bar} {done}/{total} {text}"
        self.handle.update({"text/plain": line}, raw=True)

    def close(self, total: int) -> None:
        self.handle.update({"text/plain": ""}, raw=True)


class _Bar:
    """A bar of rich's on a terminal; it is gone when the work has ended."""

    def __init__(self, title: str, console: Console) -> None:
        self.progress = _rich_bar(title, console)
        self.progress.start()
        self.task = self.progress.add_task("", total=None)

    def show(self, text: str, done: int, total: int, *, is_step: bool) -> None:
        self.progress.update(self.task, description=text, completed=done, total=total)

    def close(self, total: int) -> None:
        self.progress.update(self.task, completed=total, total=total)


def _rich_bar(title: str, console: Console) -> RichProgress:
    """A bar whose words fold onto more lines where the terminal is narrow: nothing is cut."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column

    def words(text: str) -> TextColumn:
        column = Column(overflow="fold", no_wrap=False)
        return TextColumn(text, table_column=column, markup=False)

    narrow = console.width < 90
    return Progress(
        words(title),
        BarColumn(8 if narrow else 20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        words("{task.description}"),
        console=console,
        transient=True,
    )
