"""Room for a large array: in memory, or in an unnamed file on disk that goes away with the array."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from tfcompress.core import DataError

BUDGET_BYTES = 1 << 31
"""What an analysis may hold in memory unless told otherwise: 2 GiB."""


def room(shape: tuple[int, ...], *, on_disk: bool) -> np.ndarray:
    """An uninitialised float32 array of `shape`; DataError if the disk cannot hold it."""
    if not on_disk:
        return np.empty(shape, np.float32)
    size = 4 * int(np.prod(shape))
    with tempfile.TemporaryFile(prefix="tfc-") as file:  # the mapping keeps the deleted file alive
        try:
            os.posix_fallocate(
                file.fileno(), 0, max(1, size)
            )  # a sparse file would end in a bus error, not in an exception
        except OSError as error:
            where = tempfile.gettempdir()
            raise DataError(
                f"{size:,} bytes do not fit in {where} ({error.strerror}): use fewer rows, or set TMPDIR."
            ) from error
        return np.memmap(file, np.float32, "r+", shape=shape)
