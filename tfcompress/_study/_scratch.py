"""The temporary files of a study, in one folder that the next run finds after a kill."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOTE = ".temporary"
PREFIX = "tfc-study-"


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """A folder for temporary files, gone at the end; what a killed process left of one goes first.

    `out`/.temporary says which folder it is. Only one process may be in this context with one
    `out`.
    """
    note = out / NOTE
    _clear(note)
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(8)}"
    with suppress(OSError):  # a full disk: what is left after a kill then stays
        note.write_text(str(folder))
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        note.unlink(missing_ok=True)


def _clear(note: Path) -> None:
    try:
        folder = Path(note.read_text())
        if folder.name.startswith(PREFIX) and folder.lstat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)  # it follows no link
    except (OSError, ValueError):
        return


@contextmanager
def temporary_files_in(folder: Path | None) -> Iterator[None]:
    """While this context lasts, this process and those it starts put temporary files in `folder`.

    On another machine, where the folder is not, they stay where they are put by default.
    """
    if folder is None or not folder.is_dir():
        yield
        return
    before, environment = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if environment is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = environment
