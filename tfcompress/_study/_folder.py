"""A study's folder: whose it is, and that only one process works in it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tfcompress._study._fingerprint import fingerprint, options_of
from tfcompress._study._formats import StudyNote
from tfcompress.core import ArtifactError, DataError, write_all
from tfcompress.core._schema import FormatError, read_checked
from tfcompress.core._types import Data, Trainer

NAME, LOCK, HOLDER = "study.json", ".lock", ".holder"
DATA = ("training data", "samples", "test data")
TRAINING_DATA = ("x", "y", "validation_data", "sample_weight")
LEFT_BY_A_KILL = (".*tfc-*", "bench-*.pkl")


def parts(
    model_key: str, fit: Trainer | None, samples: Data | None, evaluate: Data
) -> dict[str, str]:
    """Content addresses of what makes a study this one and no other.

    Recipes, seeds and metric may grow and change.
    """
    data = {name: getattr(fit, name, None) for name in TRAINING_DATA}
    options: object = fit
    if dataclasses.is_dataclass(fit):
        options = [type(fit), [option for option in options_of(fit) if option[0] not in data]]
    return {
        "model": model_key,
        "trainer": fingerprint(options),
        "training data": fingerprint(data),
        "samples": fingerprint(samples),
        "test data": fingerprint(evaluate),
    }


def check_owner(out: Path, mine: Mapping[str, str], title: str) -> None:
    """Write down whose folder `out` is, or compare with what is written.

    Raises:
        DataError: where only the data differ from those of the finished cells.
        ArtifactError: where it is the study of another model or trainer, or no study's.
    """
    file = out / NAME
    if not file.exists():
        _write_note(file, mine, title)
        return
    try:
        note = read_checked(file, StudyNote)
    except (OSError, FormatError) as error:
        raise ArtifactError(
            f"{file} is not a study's ({error}); choose another out=, or delete it."
        ) from error
    if not any(out.glob("*.row.json")):  # no cell was finished: nothing would be lost
        _write_note(file, mine, title)
        return
    other = [part for part in mine if note.parts.get(part) != mine[part]]
    if other and set(other) <= set(DATA):
        raise DataError(
            f"The {' and the '.join(other)} changed between runs: the finished cells in {out} were "
            "made with other data. Give the data of the first run, or another out= for a study of "
            "the new ones."
        )
    if other:
        verb = "differs" if len(other) == 1 else "differ"
        raise ArtifactError(
            f"{out} belongs to another study ({note.title!r}): its {' and '.join(other)} {verb} "
            "from this one's. Choose another out=."
        )


def _write_note(file: Path, mine: Mapping[str, str], title: str) -> None:
    text = json.dumps({"title": title, "parts": dict(mine)}, indent=1) + "\n"
    write_all({file: text}, overwrite=True)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder `out` for this process, and clear what a killed one left half-written.

    The lock is the system's: it is gone with the process that held it, however that ended.

    Raises:
        ArtifactError: where another process, which it names, works in `out`, or it cannot be
            written to.
    """
    lock = FileLock(out / LOCK, timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ArtifactError(
            f"{out} is in use by {_holder(out)}. Wait for it to end, stop it, or choose another "
            "out=."
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"The study's folder {out} cannot be written to: {error.strerror or error}."
        ) from error
    try:
        now = datetime.now().isoformat(" ", "seconds")
        holder = f"process {os.getpid()} on {socket.gethostname()} since {now}"
        with suppress(OSError):  # a full disk: the lock is held all the same
            (out / HOLDER).write_text(holder)
        for pattern in LEFT_BY_A_KILL:
            for left in out.rglob(pattern):
                left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _holder(out: Path) -> str:
    try:
        return (out / HOLDER).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return "another process"
