"""Running a `.tflite` in a fresh process, so that a crashing interpreter breaks nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfcompress.core._errors import InterpreterError, TfcompressError

NOT_ERRORS = ("INFO", "WARNING")


def in_child(
    module: str,
    job: str,
    arguments: Mapping[str, Any],
    *,
    what: str,
    runtime: str,
    timeout: float,
) -> Any:
    """The result of one of a module's jobs, called in a child process.

    Args:
        module: its name; run as a program it calls `answer` with its jobs.
        job: the job's name.
        arguments: its arguments, as JSON data.
        what: names the file in messages.
        runtime: names the interpreter in messages.
        timeout: seconds that the child may take.

    Raises:
        InterpreterError: what the job raised, the signal that ended it, or the time that ran out;
            it says what the child was doing.
    """
    with tempfile.TemporaryDirectory(prefix="tfc-child-") as folder:
        out, noise = Path(folder) / "out.jsonl", Path(folder) / "noise.txt"
        task = {"job": job, "arguments": dict(arguments)}
        status = _run(command(module, str(out)), task, noise, timeout)
        lines = _complete_lines(out)
        printed = noise.read_text(errors="replace")
    doing = next((line["doing"] for line in reversed(lines) if "doing" in line), "starting")
    last = lines[-1] if lines else {}
    if status is None:
        raise InterpreterError(
            f"{what}: {runtime} did not finish within {timeout:g} s ({doing}); "
            "pass a larger timeout=."
        )
    if "error" in last:
        error = last["error"].replace(arguments.get("path") or what, what)
        raise InterpreterError(error if what in error else f"{what}: {error}")
    if status or "result" not in last:
        raise InterpreterError(
            obituary(status, what=what, runtime=runtime, doing=doing, noise=printed)
        )
    return last["result"]


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def answer(jobs: Mapping[str, Callable[..., Any]]) -> None:
    """Do the job that stdin names, and write the answer as JSON lines: `in_child` reads them.

    The file that the first argument of the command line names gets {"doing": …} before each step,
    then {"result": …} or {"error": …}. A job takes `announce`, which notes down what it does next
    so that a crash can be placed, and its arguments.
    """
    with open(sys.argv[1], "w", buffering=1) as out:

        def announce(doing: str) -> None:
            out.write(json.dumps({"doing": doing}) + "\n")

        task = json.load(sys.stdin)
        try:
            last = {"result": jobs[task["job"]](announce, **task["arguments"])}
        except (TfcompressError, RuntimeError, ValueError, MemoryError) as error:
            last = {"error": str(error) or type(error).__name__}
        out.write(json.dumps(last) + "\n")


def environment() -> dict[str, str]:
    """A child's environment: ours, with this package first on its path and TensorFlow quiet."""
    root = str(Path(__file__).resolve().parents[2])
    folders = [root, os.environ.get("PYTHONPATH")]
    path = os.pathsep.join(folder for folder in folders if folder)
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def obituary(status: int, *, what: str, runtime: str, doing: str, noise: str) -> str:
    """One line on why a child ended with `status`: its signal, if any, and the last it printed."""
    printed = [line.strip() for line in noise.splitlines() if line.strip()]
    errors = [line for line in printed if not line.startswith(NOT_ERRORS)]
    last = f" It said: {errors[-1]}" if errors else ""
    if status < 0:
        name = signal.Signals(-status).name
        return f"{what} crashes {runtime}: {name} (signal {-status}) while {doing}.{last}"
    ended = f"the process running it in {runtime} ended with status {status}"
    return f"{what}: {ended} while {doing}.{last}"


def _run(line: Sequence[str], task: Mapping[str, Any], noise: Path, timeout: float) -> int | None:
    """The child's exit status; None where it took too long."""
    with open(noise, "wb") as sink:
        try:
            return subprocess.run(
                line,
                input=json.dumps(task).encode(),
                stdout=sink,
                stderr=sink,
                env=environment(),
                timeout=timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def _complete_lines(out: Path) -> list[dict[str, Any]]:
    """What the child wrote, but for a line that its end cut short."""
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text().splitlines() if line.endswith("}")]
