"""Arm's Vela, the compiler for Ethos-U NPUs, in a child process: what it estimates of a file.

The wheel `ethos-u-vela` is a command that writes the compiled file and a summary as CSV; its Python
API is not stable from version to version.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tfcompress.core._errors import InterpreterError

DISTRIBUTION = "ethos-u-vela"
REMEDY = "pip install 'tfcompress[vela]'"
ACCELERATORS = (
    "u55-32",
    "u55-64",
    "u55-128",
    "u55-256",
    "u65-256",
    "u65-512",
    "u85-128",
    "u85-256",
    "u85-512",
    "u85-1024",
    "u85-2048",
)
"""Every configuration of the NPU: its generation and its MACs a cycle."""
KIB = 1024
REASON = re.compile(r"operator: (?P<kind>\w+),.*\n(?:Reason: )?(?P<why>.+)")


@dataclass(frozen=True)
class Estimate:
    """What Vela estimates of one run of a file, and the file that it compiled.

    `sram_bytes` is for activations; `flash_bytes` is for weights and commands, wherever the
    accelerator's memory model keeps them (DRAM in the larger ones). `reasons` has, of every kind of
    operator that it refuses, why.
    """

    sram_bytes: int
    flash_bytes: int
    cycles: int
    latency_ms: float
    settings: str
    reasons: Mapping[str, str]
    compiled: bytes


def require_vela() -> str:
    """Vela's version; InterpreterError with what to install where it is missing."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        raise InterpreterError(
            f"Vela, which estimates Ethos-U, is not installed here: {REMEDY}."
        ) from None


def estimate(data: bytes, accelerator: str, *, what: str, timeout: float = 300.0) -> Estimate:
    """Compile a `.tflite` for `accelerator`, one of `ACCELERATORS`.

    Args:
        data: the file's bytes.
        accelerator: the configuration, e.g. "u55-128".
        what: names the file in messages.
        timeout: seconds that Vela may take.

    Raises:
        InterpreterError: Vela is missing, refuses the file, crashes or takes too long.
    """
    installed = require_vela()
    with tempfile.TemporaryDirectory(prefix="tfc-vela-") as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(data)
        printed = _compile(source, accelerator, f"{what}: Vela {installed}", timeout)
        try:
            compiled = (Path(folder) / "model_vela.tflite").read_bytes()
            with open(next(Path(folder).glob("*_summary_*.csv")), newline="") as file:
                row = next(csv.DictReader(file))
        except (OSError, StopIteration) as error:
            raise InterpreterError(
                f"{what}: Vela {installed} wrote no summary. {_last_line(printed)}"
            ) from error
    return _read(row, printed, compiled)


def _compile(source: Path, accelerator: str, called: str, timeout: float) -> str:
    """What Vela printed; InterpreterError where it did not end well."""
    command = [sys.executable, "-m", "ethosu.vela", str(source), "--output-dir", str(source.parent)]
    command += ["--accelerator-config", f"ethos-{accelerator}"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=source.parent,
            env={**os.environ, "PYTHONPATH": ""},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InterpreterError(f"{called} did not finish within {timeout:g} s.") from error
    printed = done.stdout + done.stderr
    if done.returncode:
        raise InterpreterError(
            f"{called} cannot compile it (exit code {done.returncode}). {_last_line(printed)}"
        )
    return printed


def _read(row: Mapping[str, str], printed: str, compiled: bytes) -> Estimate:
    def kib(*names: str) -> int:
        return round(sum(float(row[f"{name}_memory_used"]) for name in names) * KIB)

    reasons = {match["kind"]: match["why"].strip() for match in REASON.finditer(printed)}
    clock = f"{float(row['core_clock']) / 1e6:.0f} MHz"
    return Estimate(
        kib("sram"),
        kib("on_chip_flash", "off_chip_flash", "dram"),
        int(float(row["cycles_total"])),
        float(row["inference_time"]) * 1e3,
        f"{row['system_config']}, {row['memory_mode']}, {clock}",
        reasons,
        compiled,
    )


def _last_line(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return f"It said: {lines[-1]}" if lines else "It said nothing."
