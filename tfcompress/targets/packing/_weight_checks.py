"""The weights of a packed file against those of the file that it was packed from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfcompress.core import Check, InvariantError
from tfcompress.core._types import Array
from tfcompress.targets.packing._detect import detect
from tfcompress.targets.packing._levels import TOLERANCE, int8_step
from tfcompress.targets.packing._read import PackedLayer, packed_layers

ROUNDING = 0.502
"""Largest distance of a weight to its int8 level, in steps: half a step, and float32 rounding."""


def weight_checks(plain: bytes, packed: bytes, label: str, rest: str) -> Iterator[Check]:
    """Largest error of each layer's weights in `packed` to those in `plain`.

    Args:
        label: names the target in checks.
        rest: "int8" where layers on no levels were rounded to int8.

    Raises InvariantError where an error is above its bound.
    """
    for before, after in layer_pairs(plain, packed, label):
        yield _check_layer(before, after, label, rest)


def layer_pairs(
    plain: bytes, packed: bytes, label: str
) -> Iterator[tuple[PackedLayer, PackedLayer]]:
    """Every layer with weights in both files; InvariantError where they have not equally many."""
    expected, written = packed_layers(plain), packed_layers(packed)
    if len(expected) != len(written):
        raise InvariantError(
            f"{label}: the model has {len(expected)} layers with weights, the file"
            f" {len(written)}. Please report the model."
        )
    yield from zip(expected, written)


def _check_layer(expected: PackedLayer, written: PackedLayer, label: str, rest: str) -> Check:
    before = expected.weights().astype(np.float64)
    after = written.weights().astype(np.float64).reshape(before.shape)
    what, bound = "relative error of the weights", TOLERANCE
    error = _largest_ratio(after - before, before)
    if rest == "int8" and written.encoding != "float" and error > bound:
        what, bound = "error of the weights over their channel's largest", ROUNDING / 127
        error = _largest_ratio(after - before, 127 * _steps(before, expected.axis))
    if not error <= bound:
        raise InvariantError(
            f"{label}: the weights of {written.name!r} ({written.encoding}) are off by"
            f" {error:.3g}, bound {bound:.3g}. Please report the model."
        )
    stored = f"{written.encoding}, {written.bits:g} bits, {written.bytes:,} bytes"
    return Check(label, f"{what} ({stored})", error, bound, written.name)


def _steps(weights: Array, axis: int) -> Array:
    """Distance of neighbouring int8 levels for each of `weights`, shaped to divide them."""
    single = weights.astype(np.float32)
    shape = [1] * weights.ndim
    shape[axis] = -1
    return int8_step(single, detect(single, axis), axis).astype(np.float64).reshape(shape)


def _largest_ratio(difference: Array, size: Array) -> float:
    """Largest |difference| / |size|, where nothing is smaller than the smallest float32."""
    floor = np.maximum(np.abs(size), np.finfo(np.float32).tiny)
    return float((np.abs(difference) / floor).max(initial=0))
