"""Arrays through a pipe: one JSON line with shapes, types and the rest, then the arrays' bytes."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

from tfcompress.core._types import Array


def answers() -> BinaryIO:
    """A child's pipe for its answers: its stdout, which nothing else writes to from now on.

    What C++ prints goes to stderr instead, so that it does not get between the answers.
    """
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def send(pipe: BinaryIO, head: Mapping[str, Any], arrays: Sequence[Array] = ()) -> None:
    """Write one message."""
    kinds = [(list(values.shape), values.dtype.str) for values in arrays]
    pipe.write(json.dumps({**head, "arrays": kinds}).encode() + b"\n")
    for values in arrays:
        pipe.write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict[str, Any], list[Array]] | None:
    """The next message; None when the other side is gone."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    arrays: list[Array] = []
    for shape, kind in head.pop("arrays"):
        values = np.empty(shape, kind)
        if values.size:
            read = cast(io.BufferedReader, pipe).readinto(values.data.cast("B"))
            if read != values.nbytes:
                return None
        arrays.append(values)
    return head, arrays
