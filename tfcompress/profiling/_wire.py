"""Arrays through a pipe: one JSON line with shapes, types and anything else, then the arrays' bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np


def send(pipe: BinaryIO, head: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
    """Write one message."""
    kinds = [(list(values.shape), values.dtype.str) for values in arrays]
    pipe.write(json.dumps(head | {"arrays": kinds}).encode() + b"\n")
    for values in arrays:
        pipe.write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """The next message; None when the other side is gone."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    arrays = []
    for shape, kind in head.pop("arrays"):
        values = np.empty(shape, kind)
        if values.size and pipe.readinto(values.data.cast("B")) != values.nbytes:  # type: ignore[attr-defined]
            return None
        arrays.append(values)
    return head, arrays
