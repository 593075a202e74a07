"""Matrix products of tiles: by NumPy's BLAS, or on the GPU that TensorFlow sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

Product = Callable[[np.ndarray, np.ndarray, np.ndarray], object]


@contextmanager
def tile_product(device: str | None = None) -> Iterator[Product]:
    """A function (a [p, d], b [q, d], out [p, q]) that puts a·bᵀ of float32 into `out`.

    `device`: a TensorFlow device such as "/GPU:0"; "numpy"; None takes the first GPU if TensorFlow is loaded and sees one.
    TensorFloat-32 is off meanwhile: its 10-bit products would void the error bounds of float32.
    """
    device = _first_gpu() if device is None else device
    if device == "numpy":
        yield lambda a, b, out: np.matmul(a, b.T, out=out)
        return
    import tensorflow as tf

    def product(a, b, out):
        with tf.device(device):
            out[:] = tf.linalg.matmul(
                tf.convert_to_tensor(a), tf.convert_to_tensor(b), transpose_b=True
            ).numpy()

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield product
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _first_gpu() -> str:
    tf = sys.modules.get("tensorflow")
    return (
        "/GPU:0"
        if tf is not None and hasattr(tf, "config") and tf.config.list_physical_devices("GPU")
        else "numpy"
    )
