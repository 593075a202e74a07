"""Files in TensorFlow Lite for Microcontrollers, each in a child process.

Its interpreter ends the process on some files. As a program this module is that child.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._file import Source, check_file
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._micro import Arena
from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.isolate import answer, in_child
from tfcompress.core._types import Array, ArrayLike

MODULE = "tfcompress._backend.interpreter._micro_run"
CALLED = "TensorFlow Lite for Microcontrollers"


@dataclass(frozen=True, eq=False)
class MicroRun:
    """What a file gave: `outputs` [n, ...] as real numbers, in the file's order, and its arena."""

    outputs: tuple[Array, ...]
    arena: Arena


def run_micro(
    data: Source,
    x: Sequence[ArrayLike],
    *,
    arena_bytes: int | None = None,
    what: str = "The model",
    timeout: float = 600.0,
) -> MicroRun:
    """Run a `.tflite` on samples.

    Args:
        data: the file's bytes or path.
        x: one array [n, ...] for every input, in the file's order: real numbers, or the integers
            that the file stores.
        arena_bytes: the arena that it gets; by default one that is surely large enough.
        what: names the file in messages.
        timeout: seconds that it may take.

    Raises:
        InterpreterError: the extra `micro` is missing; or the file does not load, does not run, or
            crashes there, or takes other samples.
    """
    with tempfile.TemporaryDirectory(prefix="tfc-micro-") as folder:
        np.savez(Path(folder) / "x.npz", *(np.asarray(values) for values in x))
        arena = _ask("run", data, folder, what, timeout, arena_bytes)
        with np.load(Path(folder) / "outputs.npz") as stored:
            outputs = tuple(stored[f"arr_{number}"] for number in range(len(stored.files)))
    return MicroRun(outputs, arena)


def measure_arena(
    data: Source, *, arena_bytes: int | None = None, what: str = "The model", timeout: float = 120.0
) -> Arena:
    """The memory that a `.tflite` takes while it runs, after one run on zeros.

    The arguments and errors are `run_micro`'s.
    """
    with tempfile.TemporaryDirectory(prefix="tfc-micro-") as folder:
        return _ask("arena", data, folder, what, timeout, arena_bytes)


def _ask(
    job: str, data: Source, folder: str, what: str, timeout: float, arena_bytes: int | None
) -> Arena:
    """The arena that the job `job` of this module found; it may leave files in `folder`."""
    runtime = choose("micro")
    check_file(data)
    path = str(data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        path = str(Path(folder) / "model.tflite")
        Path(path).write_bytes(data)
    arguments = {"path": path, "folder": folder, "arena_bytes": arena_bytes}
    called = f"{CALLED} ({available()[runtime]})"
    found = in_child(MODULE, job, arguments, what=what, runtime=called, timeout=timeout)
    return Arena(**{**found, "parts": tuple((name, size) for name, size in found["parts"])})


def _run(
    announce: Callable[[str], None], path: str, folder: str, arena_bytes: int | None
) -> dict[str, Any]:
    announce("loading")
    opened = open_interpreter(path, runtime="micro", arena_bytes=arena_bytes)
    with np.load(Path(folder) / "x.npz") as stored:
        x = [stored[f"arr_{number}"] for number in range(len(stored.files))]
    announce("running")
    np.savez(Path(folder) / "outputs.npz", *opened.predict(x))
    return asdict(opened.raw.arena())


def _arena(
    announce: Callable[[str], None], path: str, folder: str, arena_bytes: int | None
) -> dict[str, Any]:
    announce("loading")
    opened = open_interpreter(path, runtime="micro", arena_bytes=arena_bytes)
    zeros = [np.zeros([size or 1 for size in info.shape], info.dtype) for info in opened.inputs]
    opened.set_inputs(zeros)
    announce("running for the first time")
    opened.invoke()
    return asdict(opened.raw.arena())


if __name__ == "__main__":
    answer({"run": _run, "arena": _arena})
