"""The machine that the numbers come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

_CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq")


def environment() -> dict[str, Any]:
    """CPU, cores, those that this process may use, load, frequency and temperature where readable, versions; JSON data."""
    found: dict[str, Any] = {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
    }
    if hasattr(os, "getloadavg"):
        found["load_average"] = [round(value, 2) for value in os.getloadavg()]
    for name, path, scale in (
        ("governor", _CPU / "scaling_governor", None),
        ("frequency_mhz", _CPU / "scaling_cur_freq", 1e-3),
        ("temperature_c", Path("/sys/class/thermal/thermal_zone0/temp"), 1e-3),
    ):
        text = _read(path)
        if text:
            found[name] = text if scale is None else round(float(text) * scale, 1)
    return found


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.lower().startswith(("model name", "hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
