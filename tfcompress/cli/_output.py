"""What the command writes: checked before long work begins, printed as text or JSON at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import typer

from tfcompress.core import ArtifactError, refuse_existing, write_all


def require_writable(paths: Iterable[Path | None], *, overwrite: bool) -> None:
    """ArtifactError where one of `paths` could not be written at the end; None is no path."""
    files = [path for path in paths if path is not None]
    for file in files:
        if file.is_dir():
            raise ArtifactError(f"{file} is a folder; give the name of a file.")
        _require_folder(file.parent)
    if not overwrite:
        refuse_existing(files)


def require_folder(path: Path) -> None:
    """ArtifactError where the folder `path` is not there and could not be made, or not written."""
    _require_folder(path)


def _require_folder(folder: Path) -> None:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ArtifactError(f"{there} is a file, not a folder; choose another place to write to.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ArtifactError(f"{there} cannot be written to; choose another folder to write to.")


def write(path: Path | None, content: Callable[[Path], object] | str, *, overwrite: bool) -> None:
    """Write `content`, text or a function that writes to a path, to `path`, and say so.

    None is no path: nothing is written.
    """
    if path is None:
        return
    writer = content if isinstance(content, str) else _ignoring_result(content)
    write_all({path: writer}, overwrite=overwrite)
    typer.echo(f"wrote {path}", err=True)


def _ignoring_result(function: Callable[[Path], object]) -> Callable[[Path], None]:
    def write_to(path: Path) -> None:
        function(path)

    return write_to


def print_json(value: object) -> None:
    """`value` as JSON on stdout."""
    typer.echo(json.dumps(value, indent=2, sort_keys=True, default=_plain))


def _plain(value: object) -> object:
    """What JSON has no form of: NumPy's numbers as numbers, the rest as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def warn(warnings: Iterable[str]) -> None:
    """One line on stderr for every warning."""
    for warning in warnings:
        typer.secho(f"WARNING: {warning}", err=True, fg="yellow", bold=True)


class Stopped(Exception):
    """Ctrl-C; its arguments say what was kept."""


@contextmanager
def stopped_means(*kept: str) -> Iterator[None]:
    """Ctrl-C in the block says what was `kept`, if anything can be said."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(*kept) from None
