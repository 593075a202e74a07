"""Matrix products of tiles: by NumPy's BLAS, or on the GPU that TensorFlow sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tfcompress.core._types import Array

CPU_SIDE = 768
"""A tile of 2.4 MB is written and read again within the processor's cache."""
GPU_SIDE = 2048
"""Larger tiles carry the points over to the device less often."""


@dataclass(frozen=True)
class TileProduct:
    """How tiles are multiplied: at most `side` rows by `side` columns.

    `multiply(a, b, out)` puts a·bᵀ of float32 a [p, d], b [q, d] into `out` [p, q].
    """

    side: int
    multiply: Callable[[Array, Array, Array], object]


@contextmanager
def tile_product(device: str | None = None) -> Iterator[TileProduct]:
    """The product of tiles on `device`: a TensorFlow device such as "/GPU:0", or "numpy".

    None takes the first GPU if TensorFlow is loaded and sees one. TensorFloat-32 is off meanwhile:
    its 10-bit products would void the error bounds of float32.
    """
    device = _first_gpu() if device is None else device
    if device == "numpy":
        yield TileProduct(CPU_SIDE, lambda a, b, out: np.matmul(a, b.T, out=out))
        return
    import tensorflow as tf

    def multiply(a: Array, b: Array, out: Array) -> None:
        with tf.device(device):
            left, right = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
            out[:] = tf.linalg.matmul(left, right, transpose_b=True).numpy()

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield TileProduct(GPU_SIDE, multiply)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _first_gpu() -> str:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not hasattr(tensorflow, "config"):
        return "numpy"
    return "/GPU:0" if tensorflow.config.list_physical_devices("GPU") else "numpy"
