"""Training curves: what every training inside an open recording gave, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

Curves = dict[str, list[float]]
"""Name, such as "loss" or "val_accuracy" → a value an epoch."""

_recording: ContextVar[list[Curves] | None] = ContextVar("tfcompress_curves", default=None)


@contextmanager
def recording() -> Iterator[list[Curves]]:
    """Everything that trains while the block runs adds its curves to the list, in order."""
    trainings: list[Curves] = []
    token = _recording.set(trainings)
    try:
        yield trainings
    finally:
        _recording.reset(token)


def record(history: Mapping[str, Sequence[float]]) -> None:
    """Add the curves of a training to the open recording, if there is one; six digits of each."""
    trainings = _recording.get()
    if trainings is None:
        return
    curves: Curves = {}
    for name, values in history.items():
        curves[name] = [float(f"{float(value):.6g}") for value in values]
    trainings.append(curves)


def joined(trainings: Sequence[Curves]) -> Curves:
    """The curves of several trainings one after the other.

    Only those that every training has and that are finite throughout.
    """
    curves: Curves = {}
    for name in trainings[0] if trainings else ():
        if all(name in one for one in trainings):
            values = [value for one in trainings for value in one[name]]
            if all(math.isfinite(value) for value in values):
                curves[name] = values
    return curves
