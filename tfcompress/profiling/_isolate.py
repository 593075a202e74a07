"""Running a `.tflite` in a fresh process, so that a file that crashes its interpreter takes nothing else down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfcompress.core import InterpreterError


def in_child(
    job: str, arguments: dict[str, Any], *, what: str, runtime: str, timeout: float
) -> Any:
    """The result of `tfcompress.profiling._child`'s function `job` called with `arguments` in a child process.

    `what` names the file and `runtime` the interpreter in messages. Raises InterpreterError for what the job raised, the
    signal that ended it, or more than `timeout` seconds; each says what the child was doing.
    """
    with tempfile.TemporaryDirectory(prefix="tfc-child-") as folder:
        out, noise = Path(folder) / "out.jsonl", Path(folder) / "noise.txt"
        with open(noise, "wb") as sink:
            task = json.dumps({"job": job, "arguments": arguments}).encode()
            try:
                status = subprocess.run(
                    command("_child", str(out)),
                    input=task,
                    stdout=sink,
                    stderr=sink,
                    env=environment(),
                    timeout=timeout,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                status = None
        said = (
            [json.loads(line) for line in out.read_text().splitlines() if line.endswith("}")]
            if out.exists()
            else []
        )
        text = noise.read_text(errors="replace")
    doing = next((line["doing"] for line in reversed(said) if "doing" in line), "starting")
    last = said[-1] if said else {}
    if status is None:
        raise InterpreterError(
            f"{what}: {runtime} did not finish within {timeout:g} s ({doing}); pass a larger timeout=."
        )
    if "error" in last:
        text = last["error"].replace(arguments.get("path") or what, what)
        raise InterpreterError(text if what in text else f"{what}: {text}")
    if status or "result" not in last:
        raise InterpreterError(
            obituary(status, what=what, runtime=runtime, doing=doing, noise=text)
        )
    return last["result"]


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this folder with this Python."""
    return [sys.executable, "-m", f"tfcompress.profiling.{module}", *arguments]


def environment() -> dict[str, str]:
    """A child's environment: ours, with this very package first on its path and TensorFlow told to keep quiet."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def obituary(status: int, *, what: str, runtime: str, doing: str, noise: str) -> str:
    """One line on why a child ended with `status`: the signal's name if it was one, and the last thing it printed."""
    lines = [
        line.strip()
        for line in noise.splitlines()
        if line.strip() and not line.startswith(("INFO", "WARNING"))
    ]
    last = f" It said: {lines[-1]}" if lines else ""
    if status < 0:
        return f"{what} crashes {runtime}: {signal.Signals(-status).name} (signal {-status}) while {doing}.{last}"
    return f"{what}: the process running it in {runtime} ended with status {status} while {doing}.{last}"
