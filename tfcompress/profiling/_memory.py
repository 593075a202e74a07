"""A process's resident memory, as Linux tells it in /proc/self/status."""

from __future__ import annotations

import base64
from pathlib import Path

FIELDS = ("VmHWM", "VmRSS", "RssAnon", "RssFile")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def status() -> dict[str, int]:
    """VmHWM (highest resident so far), VmRSS, RssAnon, RssFile in bytes; {} without /proc."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return {}
    sizes: dict[str, int] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name in FIELDS:
            sizes[name] = int(value.split()[0]) * 1024
    return sizes


def forget_peak() -> bool:
    """Set VmHWM back to what is resident now; False where the system does not let us."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


SMALLEST = base64.b64decode(
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAABwAAAAfAEAAAMAAAACAAAAXAAAAAwAAAAAAAYACAAEAAYAAA"
    "AEAAAAQAAAAAAAgD8AAAAAAAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAAAAAAIA/AAAAAAAAAAAAAAAAAAAA"
    "AAAAgD+o////AQAAABAAAAAMABQAEAAMAAgABAAMAAAAEAAAAFgAAABcAAAAYAAAAAEAAAAUAAAAAAAOABQAAAAQAA"
    "wACwAEAA4AAAAUAAAAAAAACBAAAAAUAAAABAAEAAQAAAABAAAAAgAAAAMAAAAAAAAAAQAAAP////8BAAAAAgAAAAEA"
    "AAAAAAAAAwAAAGgAAAA0AAAABAAAALD///8IAAAADAAAAAEAAAB5AAAAAgAAAAEAAAAEAAAADAAQAAwAAAAIAAQADA"
    "AAAAwAAAABAAAADAAAAAEAAAB3AAAAAgAAAAQAAAAEAAAADAAMAAgAAAAAAAQADAAAAAgAAAAMAAAAAQAAAHgAAAAC"
    "AAAAAQAAAAQAAAABAAAAEAAAAAwADAALAAAAAAAEAAwAAAAJAAAAAAAACQ=="
)
"""A `.tflite` of one 4 × 4 FULLY_CONNECTED.

It runs first, so that what the runtime itself needs is not put to the file measured.
"""
