"""The machine that the numbers come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

CPU_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
CPU_INFO = Path("/proc/cpuinfo")
INTEGER_INSTRUCTIONS = (
    "sse4_1",
    "avx2",
    "avx512bw",
    "avx_vnni",
    "avx512_vnni",
    "avx_vnni_int8",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "sve2",
)
"""Vector instructions on 8-bit integers that kernels of int8 files use, as Linux calls them."""


def environment() -> dict[str, Any]:
    """The machine as JSON data: processor, cores, load, versions.

    `integer_instructions`, frequency and temperature are there where the system tells them.
    """
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
    }
    instructions = integer_instructions()
    if instructions is not None:
        facts["integer_instructions"] = instructions
    if hasattr(os, "getloadavg"):
        facts["load_average"] = [round(value, 2) for value in os.getloadavg()]
    if governor := _read(CPU_FREQUENCY / "scaling_governor"):
        facts["governor"] = governor
    if kilohertz := _read(CPU_FREQUENCY / "scaling_cur_freq"):
        facts["frequency_mhz"] = round(float(kilohertz) / 1000, 1)
    if thousandths := _read(TEMPERATURE):
        facts["temperature_c"] = round(float(thousandths) / 1000, 1)
    return facts


def integer_instructions() -> list[str] | None:
    """Those of `INTEGER_INSTRUCTIONS` that the processor has; None where unknown."""
    for line in _read(CPU_INFO).splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            have = set(flags.split())
            return [one for one in INTEGER_INSTRUCTIONS if one in have]
    return None


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name."""
    for line in _read(CPU_INFO).splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
