"""What values a trained kernel really takes: an integer grid, a few clusters, or any float; found from the values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = 2.0**-22
"""Relative: a level times a folded factor was rounded to float32 twice, so it lies within 2⁻²² of the product."""
MOST_CLUSTERS = 256


@dataclass(frozen=True)
class Levels:
    """Weights written as `table[codes] · scale`, `scale` along `axis`; exact to `TOLERANCE` unless `rounded`.

    kind "grid": `codes` are the integers themselves (|code| ≤ 127, or all odd and ≤ 255) and `table` is None.
    kind "clusters": `codes` index `table`, float32. kind "float": neither, `codes` is None.
    `scale` is float32 of shape [1] (one for the layer) or [channels].
    """

    kind: str
    codes: Any = None
    scale: Any = None
    table: Any = None
    axis: int = 0
    rounded: bool = False

    def weights(self) -> np.ndarray:
        """The float32 weights these levels stand for."""
        values = self.codes.astype(np.float32) if self.table is None else self.table[self.codes]
        return values * broadcast(self.scale, values.ndim, self.axis)

    @property
    def values(self) -> np.ndarray:
        """The distinct integers (grid) or floats (clusters) that occur, sorted."""
        return np.unique(self.codes) if self.table is None else self.table

    def __str__(self) -> str:
        if self.kind == "float":
            return "float"
        if self.kind == "clusters":
            return f"{len(self.table)} clusters"
        values = self.values
        if set(values) <= {-1, 1}:
            return "binary"
        if set(values) <= {-1, 0, 1}:
            return "ternary"
        most = int(np.abs(values).max(initial=0))
        if (values % 2).all():
            return f"{int(most).bit_length()}-bit symmetric"
        return f"{len(values)} integer levels in {int(values.min())}..{int(values.max())}"


def detect(weights: np.ndarray, axis: int = 0) -> Levels:
    """The levels of float32 `weights` with output channels along `axis`, never rounding anything beyond `TOLERANCE`.

    Looks for one grid of the layer, clusters of the layer, a grid of each channel, then clusters times a factor of each channel
    (BatchNormalization folded into a kernel multiplies every channel by its own factor).
    """
    rows = np.ascontiguousarray(np.moveaxis(weights, axis, 0)).reshape(weights.shape[axis], -1)
    if not rows.size or rows.shape[1] < 4 or not np.isfinite(rows).all():
        return Levels("float")
    if len(np.unique(rows[0, :4096])) > MOST_CLUSTERS:
        return Levels("float")
    found = _grid_of_layer(rows) or _grid_of_channels(rows) or _clusters(rows)
    if found is None:
        return Levels("float")
    codes, scale, table = found
    codes = np.ascontiguousarray(
        np.moveaxis(codes.reshape(np.moveaxis(weights, axis, 0).shape), 0, axis)
    )
    levels = Levels("grid" if table is None else "clusters", codes, scale, table, axis)
    return levels if relative_error(levels.weights(), weights) <= TOLERANCE else Levels("float")


def round_to_int8(weights: np.ndarray, levels: Levels, axis: int = 0) -> Levels:
    """`weights` on the 255 levels −127..127, scale max|w|/127 of each channel; clusters stay as many, zeros stay zero."""
    if levels.kind == "clusters":
        step = np.abs(levels.table).max() / np.float32(127)
        grid = np.rint(levels.table / step).astype(np.int16)
        return Levels(
            "grid", grid[levels.codes], (levels.scale * step).astype(np.float32), None, axis, True
        )
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = (np.abs(weights).max(axis=others) / np.float32(127)).astype(np.float32)
    scale[scale == 0] = 1
    return Levels(
        "grid",
        np.rint(weights / broadcast(scale, weights.ndim, axis)).astype(np.int16),
        scale,
        None,
        axis,
        True,
    )


def broadcast(scale: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    """`scale` [1] or [channels] shaped to multiply an array of `ndim` dimensions along `axis`."""
    shape = [1] * ndim
    shape[axis] = -1
    return np.asarray(scale).reshape(shape)


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest |got − expected| / |expected|; infinite where a zero is not zero."""
    difference = np.abs(got.astype(np.float64) - expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(difference == 0, 0, difference / np.abs(expected))
    return float(share.max(initial=0))


def _grid_of_layer(rows):
    distinct = np.unique(rows)
    grid = _grid(distinct[None]) if len(distinct) <= MOST_CLUSTERS else None
    if grid is None:
        return None
    codes, step = grid
    return codes[0, np.searchsorted(distinct, rows)], step, None


def _grid_of_channels(rows):
    distinct = [np.unique(row) for row in rows]
    most = max(len(values) for values in distinct)
    if most > MOST_CLUSTERS:
        return None
    grid = _grid(
        np.stack([np.pad(values, (0, most - len(values)), mode="edge") for values in distinct])
    )
    if grid is None:
        return None
    codes, step = grid
    placed = [
        np.take(own, np.searchsorted(values, row))
        for own, values, row in zip(codes, distinct, rows)
    ]
    return np.stack(placed), step, None


def _clusters(rows):
    """Of the layer's own values and the values shared up to a factor, the fewer."""
    found = [
        clusters
        for clusters in (_clusters_of_layer(rows), _clusters_of_channels(rows))
        if clusters is not None
    ]
    return min(found, key=lambda clusters: len(clusters[2]), default=None)


def _clusters_of_layer(rows):
    distinct = np.unique(rows)
    if len(distinct) > min(MOST_CLUSTERS, rows.size // 4):
        return None
    return np.searchsorted(distinct, rows).astype(np.int16), np.ones(1, np.float32), distinct


def _grid(values):
    """(codes int16 [channels, n], step float32 [channels]), values = codes · step with the fewest steps; None if a channel has no grid."""
    top = np.abs(values).max(axis=1)
    codes = np.zeros(values.shape, np.int16)
    steps = np.zeros(len(values), np.int64)
    open_rows = np.flatnonzero(top > 0)
    for n in range(1, 256):
        if not len(open_rows):
            break
        real = values[open_rows].astype(np.float64) * (n / top[open_rows, None].astype(np.float64))
        whole = np.rint(real)
        fits = (np.abs(real - whole) <= np.abs(whole) * TOLERANCE).all(axis=1)
        if n > 127:  # beyond int8 only odd codes can be stored, as 2u + 1
            fits &= (whole % 2 != 0).all(axis=1)
        codes[open_rows[fits]], steps[open_rows[fits]] = whole[fits], n
        open_rows = open_rows[~fits]
    if len(open_rows):
        return None
    step = np.where(steps > 0, top / np.maximum(steps, 1), 1).astype(np.float32)
    return codes, _nearest_step(values, codes, step)


def _nearest_step(values, codes, step):
    """Of the float32 numbers around `step`, the one whose products with the codes come nearest to the values."""
    best, worst = step, np.full(len(step), np.inf)
    down = np.nextafter(np.nextafter(step, np.float32(0)), np.float32(0))
    for _ in range(5):
        made = codes.astype(np.float32) * down[:, None]
        error = (
            np.abs(made.astype(np.float64) - values)
            / np.spacing(np.maximum(np.abs(values), np.finfo(np.float32).tiny))
        ).max(axis=1)
        best, worst = np.where(error < worst, down, best), np.minimum(error, worst)
        down = np.nextafter(down, np.float32(np.inf))
    return best.astype(np.float32)


def _clusters_of_channels(rows):
    """One table for the layer and a factor for each channel, the table being the channel with the most values."""
    distinct = [np.unique(row) for row in rows]
    table = max(distinct, key=len)
    if len(table) > min(64, rows.shape[1] // 4):
        return None
    codes, factors = [], []
    for row, own in zip(rows, distinct):
        placed = _factor(own, table)
        if placed is None:
            return None
        factor, place = placed
        codes.append(place[np.searchsorted(own, row)])
        factors.append(factor)
    return np.stack(codes).astype(np.int16), np.array(factors, np.float32), table.astype(np.float32)


def _factor(own, table):
    top = own[np.abs(own).argmax()]
    if top == 0:
        place = np.flatnonzero(table == 0)
        return (np.float32(1), place[:1]) if len(place) else None
    with np.errstate(divide="ignore", invalid="ignore"):
        for factor in (top / table[table != 0]).astype(np.float32):
            near = np.abs(own[:, None].astype(np.float64) / factor - table).argmin(axis=1)
            if relative_error(table[near] * factor, own) <= TOLERANCE:
                return factor, near
    return None
