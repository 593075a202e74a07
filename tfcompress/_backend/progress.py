"""Progress of long work: a rich bar on a terminal, a user's own function, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]


@contextmanager
def reporter(
    progress: Progress | bool | None, *, total: int, title: str
) -> Iterator[Callable[[str], None]]:
    """A function `step(what)` that announces the next of `total` steps.

    `progress` is a user's `(what, done, total)`, True (a bar), False (nothing) or None (a bar if stderr is a terminal).
    """
    done = 0
    if progress is None:
        progress = sys.stderr.isatty()
    if callable(progress):
        tell: Progress = progress

        def step(what: str) -> None:
            nonlocal done
            tell(what, done, total)
            done += 1

        yield step
        tell("done", total, total)
        return
    if not progress:
        yield lambda what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, title=title)

        def advance(what: str) -> None:
            nonlocal done
            bar.update(task, description=what, completed=done)
            done += 1

        yield advance
