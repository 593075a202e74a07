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
from typing import Any

from filelock import FileLock, Timeout

from tfcompress._study._fingerprint import fingerprint, options_of
from tfcompress.core import ArtifactError, DataError, write_all

NAME, LOCK, HOLDER = "study.json", ".lock", ".holder"
DATA = ("training data", "samples", "test data")


def parts(model_key: str, fit: Any, samples: Any, evaluate: Any) -> dict[str, str]:
    """Content addresses of what makes a study this one and no other; recipes, seeds and metric may grow and change."""
    held = {
        name: getattr(fit, name, None) for name in ("x", "y", "validation_data", "sample_weight")
    }
    options = fit
    if dataclasses.is_dataclass(fit):
        options = [type(fit), [option for option in options_of(fit) if option[0] not in held]]
    return {
        "model": model_key,
        "trainer": fingerprint(options),
        "training data": fingerprint(held),
        "samples": fingerprint(samples),
        "test data": fingerprint(evaluate),
    }


def check_owner(out: Path, mine: Mapping[str, str], title: str) -> None:
    """Write down whose folder `out` is, or compare with what is written.

    Raises DataError where only the data differ from those that the finished cells were made with, ArtifactError where it is the
    study of another model or trainer.
    """
    file = out / NAME
    if file.exists():
        try:
            said = json.loads(file.read_text())
            theirs, name = dict(said["parts"]), said["title"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{file} is not a study's ({error!r}); choose another out=, or delete it."
            ) from error
        other = [part for part in mine if theirs.get(part) != mine[part]]
        if not any(out.glob("*.row.json")):  # no cell was finished: nothing would be lost
            _noted(file, mine, title)
            return
        if other and set(other) <= set(DATA):
            raise DataError(
                f"The {' and the '.join(other)} changed between runs: the finished cells in {out} were made with other data. "
                "Give the data of the first run, or another out= for a study of the new ones."
            )
        if other:
            differ = f"{' and '.join(other)} differ{'s' * (len(other) == 1)}"
            raise ArtifactError(
                f"{out} belongs to another study ({name!r}): its {differ} from this one's. Choose another out=."
            )
        return
    _noted(file, mine, title)


def _noted(file: Path, mine: Mapping[str, str], title: str) -> Path:
    return write_all(
        {file: json.dumps({"title": title, "parts": dict(mine)}, indent=1) + "\n"}, overwrite=True
    )[0]


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder `out` for this process; ArtifactError, naming the holder, where another one works in it.

    The lock is the system's: it is gone with the process that held it, however that ended.
    """
    lock = FileLock(out / LOCK, timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        holder = (
            (out / HOLDER).read_text().strip() if (out / HOLDER).exists() else "another process"
        )
        raise ArtifactError(
            f"{out} is in use by {holder}. Wait for it to end, stop it, or choose another out=."
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"The study's folder {out} cannot be written to: {error.strerror or error}."
        ) from error
    try:
        now = datetime.now().isoformat(" ", "seconds")
        with suppress(OSError):  # a full disk: the lock is held all the same
            (out / HOLDER).write_text(
                f"process {os.getpid()} on {socket.gethostname()} since {now}"
            )
        for left in out.rglob(".*tfc-*"):  # temporaries of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
