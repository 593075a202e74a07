"""Inputs that a file is timed on."""

from __future__ import annotations

import numpy as np

from tfcompress._backend.interpreter._interpreter import Interpreter
from tfcompress.core._types import Array


def random_inputs(opened: Interpreter, batch: int | None = None) -> list[Array]:
    """One batch for every input: of `batch`, else of the file's size, or 1 where that is open.

    Floats are uniform in 0..1, quantized inputs uniform over their whole range, other integers 0.
    """
    rng = np.random.default_rng(0)
    inputs: list[Array] = []
    for info in opened.inputs:
        shape = [n or 1 for n in info.shape]
        if batch is not None:
            shape[0] = batch
        if info.dtype.kind == "f":
            inputs.append(rng.random(shape, dtype=np.float32).astype(info.dtype))
        elif info.scale:
            kind = np.iinfo(info.dtype)
            inputs.append(rng.integers(kind.min, kind.max, shape, dtype=info.dtype, endpoint=True))
        else:
            inputs.append(np.zeros(shape, info.dtype))
    return inputs
