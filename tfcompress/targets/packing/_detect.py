"""What values a trained kernel takes: an integer grid, a few clusters, or any float.

Found from the values alone.
"""

from __future__ import annotations

import numpy as np

from tfcompress.core._types import Array
from tfcompress.targets.packing._levels import TOLERANCE, Levels, no_levels, relative_error

MOST_CLUSTERS = 256
MOST_CLUSTERS_WITH_FACTORS = 64
LARGEST_CODE, LARGEST_ODD_CODE = 127, 255
FIRST_LOOK = 4096
"""Weights of the first channel that are looked at before all others are."""

Placed = tuple[Array, Array, "Array | None"]
"""(codes of each row, scale [1] or [rows], table or None for a grid)."""


def detect(weights: Array, axis: int = 0) -> Levels:
    """The levels that `weights` lie on; nothing is rounded beyond `TOLERANCE`.

    Looks for one grid of the layer, a grid of each channel, then clusters: of the layer, or times a
    factor of each channel (BatchNormalization folded into a kernel multiplies every channel by its
    own factor).

    Args:
        weights: float32, with output channels along `axis`.
    """
    moved = np.moveaxis(weights, axis, 0)
    rows = np.ascontiguousarray(moved).reshape(weights.shape[axis], -1)
    if not rows.size or rows.shape[1] < 4 or not np.isfinite(rows).all():
        return no_levels()
    if len(np.unique(rows[0, :FIRST_LOOK])) > MOST_CLUSTERS:
        return no_levels()
    placed = _grid_of_layer(rows) or _grid_of_channels(rows) or _clusters(rows)
    if placed is None:
        return no_levels()
    codes, scale, table = placed
    in_place = np.ascontiguousarray(np.moveaxis(codes.reshape(moved.shape), 0, axis))
    levels = Levels("grid" if table is None else "clusters", in_place, scale, table, axis)
    exact = relative_error(levels.weights(), weights) <= TOLERANCE
    return levels if exact else no_levels()


def _grid_of_layer(rows: Array) -> Placed | None:
    distinct = np.unique(rows)
    if len(distinct) > MOST_CLUSTERS:
        return None
    grid = _grid(distinct[None])
    if grid is None:
        return None
    codes, step = grid
    return codes[0, np.searchsorted(distinct, rows)], step, None


def _grid_of_channels(rows: Array) -> Placed | None:
    distinct = [np.unique(row) for row in rows]
    most = max(len(values) for values in distinct)
    if most > MOST_CLUSTERS:
        return None
    padded = [np.pad(values, (0, most - len(values)), mode="edge") for values in distinct]
    grid = _grid(np.stack(padded))
    if grid is None:
        return None
    codes, step = grid
    placed = [
        row_codes[np.searchsorted(values, row)]
        for row_codes, values, row in zip(codes, distinct, rows)
    ]
    return np.stack(placed), step, None


def _grid(values: Array) -> tuple[Array, Array] | None:
    """(codes, step) of the coarsest grid of each row: values = codes · step.

    None if a row lies on no grid.

    Args:
        values: float32 [rows, n].

    Returns:
        int16 [rows, n] and float32 [rows].
    """
    top = np.abs(values).max(axis=1)
    codes = np.zeros(values.shape, np.int16)
    steps = np.zeros(len(values), np.int64)
    open_rows = np.flatnonzero(top > 0)
    for count in range(1, LARGEST_ODD_CODE + 1):
        if not len(open_rows):
            break
        per_step = count / top[open_rows, None].astype(np.float64)
        real = values[open_rows].astype(np.float64) * per_step
        whole = np.rint(real)
        fits = (np.abs(real - whole) <= np.abs(whole) * TOLERANCE).all(axis=1)
        if count > LARGEST_CODE:  # beyond int8 only odd codes can be stored, as 2u + 1
            fits &= (whole % 2 != 0).all(axis=1)
        codes[open_rows[fits]], steps[open_rows[fits]] = whole[fits], count
        open_rows = open_rows[~fits]
    if len(open_rows):
        return None
    step = np.where(steps > 0, top / np.maximum(steps, 1), 1).astype(np.float32)
    return codes, _nearest_step(values, codes, step)


def _nearest_step(values: Array, codes: Array, step: Array) -> Array:
    """Of five float32 numbers around `step`, the one whose products come nearest to `values`."""
    best, smallest_error = step, np.full(len(step), np.inf)
    spacing = np.spacing(np.maximum(np.abs(values), np.finfo(np.float32).tiny))
    candidate = np.nextafter(np.nextafter(step, np.float32(0)), np.float32(0))
    for _ in range(5):
        products = (codes.astype(np.float32) * candidate[:, None]).astype(np.float64)
        error = (np.abs(products - values) / spacing).max(axis=1)
        best = np.where(error < smallest_error, candidate, best)
        smallest_error = np.minimum(error, smallest_error)
        candidate = np.nextafter(candidate, np.float32(np.inf))
    return best.astype(np.float32)


def _clusters(rows: Array) -> Placed | None:
    """Of the layer's own values and the values shared up to a factor, the fewer."""
    of_layer, of_channels = _clusters_of_layer(rows), _clusters_of_channels(rows)
    if of_layer is None or of_channels is None:
        return of_layer or of_channels
    return of_layer if len(of_layer[2]) <= len(of_channels[2]) else of_channels


def _clusters_of_layer(rows: Array) -> tuple[Array, Array, Array] | None:
    distinct = np.unique(rows)
    if len(distinct) > min(MOST_CLUSTERS, rows.size // 4):
        return None
    return np.searchsorted(distinct, rows).astype(np.int16), np.ones(1, np.float32), distinct


def _clusters_of_channels(rows: Array) -> tuple[Array, Array, Array] | None:
    """One table for the layer, the values of the channel that has most, and a factor a channel."""
    distinct = [np.unique(row) for row in rows]
    table = max(distinct, key=len)
    if len(table) > min(MOST_CLUSTERS_WITH_FACTORS, rows.shape[1] // 4):
        return None
    codes, factors = [], []
    for row, values in zip(rows, distinct):
        scaled = _factor(values, table)
        if scaled is None:
            return None
        factor, places = scaled
        codes.append(places[np.searchsorted(values, row)])
        factors.append(factor)
    return np.stack(codes).astype(np.int16), np.array(factors, np.float32), table.astype(np.float32)


def _factor(values: Array, table: Array) -> tuple[np.float32, Array] | None:
    """(factor, place of each value in `table`) with values = factor · table[places], or None."""
    top = values[np.abs(values).argmax()]
    if top == 0:
        places = np.flatnonzero(table == 0)
        return (np.float32(1), places[:1]) if len(places) else None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for factor in (top / table[table != 0]).astype(np.float32):
            wanted = values[:, None].astype(np.float64) / factor
            places = np.abs(wanted - table).argmin(axis=1)
            if relative_error(table[places] * factor, values) <= TOLERANCE:
                return factor, places
    return None
