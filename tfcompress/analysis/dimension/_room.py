"""Room for a large array: in memory, or in an unnamed file that goes away with the array."""

from __future__ import annotations

import os
import tempfile

import numpy as np
from numpy.typing import DTypeLike

from tfcompress.core import DataError
from tfcompress.core._types import Array

BUDGET_BYTES = 1 << 31
"""What an analysis may hold in memory unless told otherwise: 2 GiB."""


def room(shape: tuple[int, ...], *, on_disk: bool, dtype: DTypeLike = np.float32) -> Array:
    """An uninitialised array of `shape`; DataError if the disk cannot hold it."""
    if not on_disk:
        return np.empty(shape, dtype)
    size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
    with tempfile.TemporaryFile(prefix="tfc-") as file:  # the mapping keeps the deleted file alive
        try:
            # A sparse file would end in a bus error on a full disk, not in an exception.
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError as error:
            raise DataError(
                f"{size:,} bytes do not fit in {tempfile.gettempdir()} ({error.strerror}): "
                "use fewer rows, or set TMPDIR."
            ) from error
        return np.memmap(file, dtype, "r+", shape=shape)
