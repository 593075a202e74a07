"""Weights as levels: integers or clusters times scales, and how they are rounded to int8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfcompress.core._types import Array

TOLERANCE = 2.0**-22
"""Relative. A level times a folded factor was rounded to float32 twice: it lies within 2⁻²² of the
product."""

INT8_TOP = 127
"""Largest code of weights that are rounded to int8; −128 is left out, since kernels compute it
wrongly."""


@dataclass(frozen=True)
class Levels:
    """Weights written as `table[codes] · scale`, with `scale` along `axis`.

    The product is within `TOLERANCE` of the weights, unless they were `rounded`.

    Args:
        kind: "grid": `codes` are integers themselves (|code| ≤ 127, or all odd and ≤ 255).
            "clusters": `codes` index `table`. "float": the weights lie on no levels.
        codes: integers of the weights' shape; empty for "float".
        scale: float32 [1] (one for the layer) or [channels].
        table: float32 [clusters], sorted; None for a grid.
        axis: the weights' dimension of output channels.
        rounded: whether the weights were moved to these levels.
    """

    kind: str
    codes: Array
    scale: Array
    table: Array | None = None
    axis: int = 0
    rounded: bool = False

    def weights(self) -> Array:
        """The float32 weights that these levels stand for."""
        if self.table is None:
            values = self.codes.astype(np.float32)
        else:
            values = self.table[self.codes]
        return values * broadcast(self.scale, values.ndim, self.axis)

    @property
    def values(self) -> Array:
        """The distinct integers (grid) or floats (clusters) that occur, sorted."""
        return np.unique(self.codes) if self.table is None else self.table

    def __str__(self) -> str:
        if self.kind == "float":
            return "float"
        if self.table is not None:
            return f"{len(self.table)} clusters"
        values = self.values
        distinct = set(values.tolist())
        if distinct <= {-1, 1}:
            return "binary"
        if distinct <= {-1, 0, 1}:
            return "ternary"
        if (values % 2).all():
            largest = int(np.abs(values).max())
            return f"{largest.bit_length()}-bit symmetric"
        return f"{len(values)} integer levels in {int(values.min())}..{int(values.max())}"


def no_levels() -> Levels:
    """What is said of weights that lie on no levels."""
    return Levels("float", np.zeros(0, np.int16), np.ones(1, np.float32))


def round_to_int8(weights: Array, levels: Levels, axis: int = 0) -> Levels:
    """`weights` on the 255 levels of `int8_step`; clusters stay as many, zeros stay zero."""
    if levels.table is not None:
        step = np.abs(levels.table).max() / np.float32(INT8_TOP)
        codes = np.rint(levels.table / step).astype(np.int16)[levels.codes]
        scale = (levels.scale * step).astype(np.float32)
    else:
        scale = int8_step(weights, levels, axis)
        codes = np.rint(weights / broadcast(scale, weights.ndim, axis)).astype(np.int16)
    return Levels("grid", codes, scale, None, axis, rounded=True)


def int8_step(weights: Array, levels: Levels, axis: int = 0) -> Array:
    """Distance of neighbouring levels after rounding to int8: float32 [1] or [channels].

    max|cluster|·|scale| / 127 for clusters, whose table is one for all channels; else the largest
    weight of each channel / 127.
    """
    if levels.table is not None:
        largest = np.abs(levels.table).max()
        return (np.abs(levels.scale) * (largest / np.float32(INT8_TOP))).astype(np.float32)
    others = tuple(i for i in range(weights.ndim) if i != axis)
    step = (np.abs(weights).max(axis=others) / np.float32(INT8_TOP)).astype(np.float32)
    step[step == 0] = 1
    return step


def broadcast(scale: Array, dimensions: int, axis: int) -> Array:
    """`scale` [1] or [channels], shaped to multiply an array of `dimensions` along `axis`."""
    shape = [1] * dimensions
    shape[axis] = -1
    return np.asarray(scale).reshape(shape)


def relative_error(values: Array, expected: Array) -> float:
    """Largest |values − expected| / |expected|; infinite where a zero is not zero."""
    difference = np.abs(values.astype(np.float64) - expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(difference == 0, 0, difference / np.abs(expected))
    return float(share.max(initial=0))
