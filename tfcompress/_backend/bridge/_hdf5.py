"""HDF5 files are read to their end once, in a process that can be ended.

A damaged one can keep the HDF5 library busy for ever inside one call, which nothing interrupts.
"""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path

from tfcompress.core._errors import ModelError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SECONDS = 10.0
"""Processor time that a file of no size may take; each 20 MB may take a second more."""
BYTES_A_SECOND = 20e6
READ_ALL = """
import resource
import sys

# Processor time, so that a busy machine makes no file a damaged one.
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))

import h5py

def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        item[()]

with h5py.File(sys.argv[1], "r") as file:
    dict(file.attrs)
    file.visititems(read)
"""


def require_readable_hdf5(path: Path) -> None:
    """Raise ModelError for an HDF5 file that cannot be read to its end; other files pass."""
    if not path.is_file() or not _starts_as_hdf5(path):
        return
    limit = math.ceil(SECONDS + path.stat().st_size / BYTES_A_SECOND)
    command = [sys.executable, "-c", READ_ALL, str(path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        raise ModelError(
            f"{str(path)!r} is a damaged HDF5 file: reading it does not end. Save the model again."
        )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ModelError(
            f"No Keras can read {str(path)!r}: it is a damaged HDF5 file. {lines[-1][:300]}"
        )


def _starts_as_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE
