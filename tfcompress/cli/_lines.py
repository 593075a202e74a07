"""Progress of the long subcommands where stderr is no terminal: a line for every step."""

from __future__ import annotations

import sys
import time

import typer

from tfcompress._backend.progress import Progress


def step_lines() -> Progress | None:
    """A function that prints every step with the seconds since now; None where a bar is drawn."""
    if sys.stderr.isatty():
        return None
    start = time.perf_counter()

    def line(what: str, done: int, total: int) -> None:
        passed = time.perf_counter() - start
        typer.echo(f"[{passed:5.0f} s, {done}/{total}] {what}", err=True)

    return line
