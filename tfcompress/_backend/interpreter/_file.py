"""Whether bytes or a file can be a `.tflite` at all."""

from __future__ import annotations

import os
from pathlib import Path

from tfcompress.core._errors import InterpreterError

Source = bytes | bytearray | memoryview | str | os.PathLike[str]
"""A file's bytes or path."""

IDENTIFIER = b"TFL3"
HINTS = {
    b"PK\x03\x04": " (a .keras archive: convert it first)",
    b"\x89HDF": " (an .h5 file: convert it first)",
}
"""What a file is that begins with these bytes."""

DECODE = b"TFLM_DECODE"
"""The operator by which weights are decoded on microcontrollers; no other runtime has it."""


def runtime_for(data: bytes) -> str:
    """The runtime that a `.tflite`'s operators ask for: "micro", or "auto" for any of this host."""
    return "micro" if DECODE in data else "auto"


def check_file(data: Source) -> None:
    """InterpreterError unless `data` starts as a `.tflite` does: TFL3 from the fifth byte on."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        head, size, what = bytes(data[:8]), len(data), "The bytes given"
    else:
        what = str(data)
        try:
            with open(data, "rb") as file:
                head, size = file.read(8), Path(data).stat().st_size
        except OSError as error:
            raise InterpreterError(f"Cannot read {what}: {error.strerror}.") from error
    if head[4:8] != IDENTIFIER:
        hint = HINTS.get(head[:4], "")
        raise InterpreterError(
            f"{what} is not a .tflite file{hint}: {size:,} bytes, no identifier TFL3 at the fifth"
            " byte."
        )
