"""What is measured of a file packed for microcontrollers: it computes as its int8 file does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tfcompress._backend.interpreter._micro_run import MicroRun, run_micro
from tfcompress.core import Check, InvariantError
from tfcompress.core._types import Array
from tfcompress.targets.packing._micro import Need
from tfcompress.targets.packing._read import PackedLayer
from tfcompress.targets.packing._weight_checks import layer_pairs


def micro_checks(
    plain: bytes, packed: bytes, inputs: Sequence[Array], label: str, max_arena_bytes: int | None
) -> Iterator[Check]:
    """Weights, outputs, flash and arena of a packed file against the int8 file `plain`.

    Args:
        inputs: one array [n, …] for every input of the files.
        label: names the target in checks.
        max_arena_bytes: the budget, or None.

    Raises InvariantError where a weight or output is not the same bit for bit, or the arena is
    larger than the budget; InterpreterError where a file does not run.
    """
    yield from _weight_checks(plain, packed, label)
    before = run_micro(plain, inputs, what=f"{label}: the int8 file")
    after = run_micro(packed, inputs, what=f"{label}: the packed file")
    count = len(inputs[0])
    pairs = list(zip(before.outputs, after.outputs))
    different = sum(int((old != new).reshape(count, -1).any(axis=1).sum()) for old, new in pairs)
    if different:
        raise InvariantError(
            f"{label}: {different} of {count} samples have other outputs than in the int8 file."
            " Please report the model."
        )
    what = "samples with the int8 file's outputs, bit for bit,"
    yield Check(label, what, count, count, relation="of")
    yield from _memory_checks(label, _need(plain, before), _need(packed, after), max_arena_bytes)


def _need(data: bytes, run: MicroRun) -> Need:
    return Need(len(data), run.arena.total_bytes)


def _memory_checks(label: str, before: Need, after: Need, budget: int | None) -> Iterator[Check]:
    """Flash and arena beside those of the int8 file, and the promise that was made of the arena."""
    arenas = f"arena {before.arena:,} → {after.arena:,} bytes"
    what = f"bytes of flash (int8 file {before.flash:,}; {arenas})"
    yield Check(label, what, after.flash, before.flash)
    if budget is None:
        return
    if after.arena > budget:
        raise InvariantError(
            f"{label}: the file takes an arena of {after.arena:,} bytes, allowed are {budget:,}."
            " Please report the model."
        )
    yield Check(label, "bytes of arena", after.arena, budget)


def _weight_checks(plain: bytes, packed: bytes, label: str) -> Iterator[Check]:
    for before, after in layer_pairs(plain, packed, label):
        yield _weight_check(before, after, label)


def _weight_check(before: PackedLayer, after: PackedLayer, label: str) -> Check:
    different = int(np.count_nonzero(before.weights() != after.weights()))
    if different:
        raise InvariantError(
            f"{label}: {different:,} weights of {after.name!r} ({after.encoding}) are not those of"
            " the int8 file. Please report the model."
        )
    slices = f" in {after.slices} slices" if after.slices > 1 else ""
    stored = f"{after.encoding}{slices}, {after.bits:g} bits, {after.bytes:,} bytes"
    return Check(label, f"weights other than the int8 file's ({stored})", 0, 0, after.name)
