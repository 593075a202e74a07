"""Memory of what is no longer needed, given back before the next step takes its own."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable

from tfcompress._backend.tflite._export import LARGE
from tfcompress.core._types import Model


def release(model: Model) -> None:
    """Free models as large as `model` that nothing holds any more, for the system to have.

    A Keras model is full of reference cycles, so that it lives on until Python's collector comes
    by; the C library keeps freed memory for itself until it is asked. Small models wait for it: a
    collection looks at all of TensorFlow's objects, which takes as long as their conversion.
    """
    if model.count_params() < LARGE:
        return
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None where the C library is another."""
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None
