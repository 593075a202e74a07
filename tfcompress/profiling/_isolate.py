"""Running a job on a `.tflite` in a fresh process, so that a file that crashes its interpreter takes nothing else down."""

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


def in_child(job: str, arguments: dict[str, Any], *, what: str, runtime: str, timeout: float) -> Any:
    """The result of `tfcompress.profiling._child`'s function `job` called with `arguments` in a child process.

    `what` names the file and `runtime` the interpreter in messages. Raises InterpreterError for what the job raised, the
    signal that ended it, or more than `timeout` seconds; each says what the child was doing.
    """
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryDirectory(prefix="tfc-child-") as folder:
        out, noise = Path(folder) / "out.jsonl", Path(folder) / "noise.txt"
        command = [sys.executable, "-m", "tfcompress.profiling._child", str(out)]
        with open(noise, "wb") as sink:
            try:
                status = subprocess.run(
                    command,
                    input=json.dumps({"job": job, "arguments": arguments}).encode(),
                    stdout=sink,
                    stderr=sink,
                    env=environment,
                    timeout=timeout,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                status = None
        said = [json.loads(line) for line in out.read_text().splitlines() if line.endswith("}")] if out.exists() else []
        text = noise.read_text(errors="replace").strip()
    doing = next((line["doing"] for line in reversed(said) if "doing" in line), "starting")
    last = said[-1] if said else {}
    if status is None:
        raise InterpreterError(f"{what}: {runtime} did not finish within {timeout:g} s ({doing}); pass a larger timeout=.")
    if status < 0:
        name = signal.Signals(-status).name
        raise InterpreterError(f"{what} crashes {runtime}: {name} (signal {-status}) while {doing}. {_tail(text)}".strip())
    if "error" in last:
        raise InterpreterError(last["error"])
    if status or "result" not in last:
        raise InterpreterError(
            f"{what}: the process measuring it in {runtime} ended with status {status} while {doing}. {_tail(text)}".strip()
        )
    return last["result"]


def _tail(noise: str) -> str:
    lines = [line for line in noise.splitlines() if line.strip() and not line.startswith(("INFO", "WARNING"))]
    return lines[-1] if lines else ""
