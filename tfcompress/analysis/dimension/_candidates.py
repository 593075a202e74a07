"""The nearest few points of every point by float32 products: tiles of a symmetric matrix, once.

    |x_i − x_j|²/2 = |x_i|²/2 + |x_j|²/2 − x_i·x_j

serves row i and row j alike. A tile is looked at while it lies in cache, and only what is nearer
than the farthest candidate kept so far is taken out of it: after a row's first tile, little.
"""

from __future__ import annotations

import numpy as np

from tfcompress.analysis.dimension._products import TileProduct
from tfcompress.core._types import Array

CANDIDATES = 6
FEW = 32
"""Nearer points of one row in a tile that are gathered singly; with more, the tile is searched."""


def nearest_candidates(points: Array, norms: Array, product: TileProduct) -> tuple[Array, Array]:
    """The CANDIDATES nearest points of each, by float32 products.

    Args:
        points: Float32 [n, d].
        norms: |x_i|², float64 [n].
        product: How tiles are multiplied.

    Returns:
        Squared distances (float64 [n, k], ascending) and whose they are [n, k].
    """
    n, side = len(points), min(len(points), product.side)
    half = (norms / 2).astype(np.float32)
    tile = np.empty(side * side, np.float32)

    def half_squares(i: int, j: int) -> Array:
        left, right = points[i : i + side], points[j : j + side]
        out = tile[: len(left) * len(right)].reshape(len(left), len(right))
        # Of a block with itself, NumPy takes half the work (SYRK).
        product.multiply(left, right, out)
        np.subtract(half[j : j + side], out, out=out)
        out += half[i : i + side, None]
        return out

    kept = Nearest(n, min(CANDIDATES, n - 1))
    starts = range(0, n, side)
    for i in starts:
        squares = half_squares(i, i)
        np.fill_diagonal(squares, np.inf)
        kept.search(squares, i, i)
    for i in starts:
        for j in range(i + side, n, side):
            squares = half_squares(i, j)
            kept.offer(squares, i, j)
            kept.offer(squares.T, j, i)
    return 2.0 * kept.value.astype(np.float64), kept.index


class Nearest:
    """The k smallest values of each of n rows seen so far, ascending, and their columns."""

    def __init__(self, n: int, k: int) -> None:
        self.value = np.full((n, k), np.inf, np.float32)
        self.index = np.zeros((n, k), np.int64)

    def offer(self, tile: Array, first_row: int, first_column: int) -> None:
        """Take in what is smaller than the largest value kept of its row.

        `tile` [p, q] is C-ordered, or a turned view of what is; it stays as it is.
        """
        row, column = self._smaller(tile, first_row)
        if len(row) == 0:
            return
        counts = np.bincount(row, minlength=len(tile))
        if counts.max() > FEW:
            self.search(np.array(tile, order="C"), first_row, first_column)
            return
        # Row by row into a table as wide as the fullest row; what is empty stays infinite.
        order = np.argsort(row, kind="stable")
        row, column = row[order], column[order]
        line = (np.cumsum(counts > 0) - 1)[row]
        place = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
        values = np.full((line[-1] + 1, counts.max()), np.inf, np.float32)
        columns = np.zeros(values.shape, np.int64)
        values[line, place] = tile[row, column]
        columns[line, place] = column + first_column
        self._merge(np.flatnonzero(counts) + first_row, values, columns)

    def search(self, tile: Array, first_row: int, first_column: int) -> None:
        """Take in the smallest of every row of `tile` (destroyed): k passes beat any sort."""
        rows = np.arange(len(tile))
        values, columns = [], []
        for _ in range(min(self.value.shape[1], tile.shape[1])):
            column = tile.argmin(1)
            values.append(tile[rows, column])
            columns.append(column + first_column)
            tile[rows, column] = np.inf
        self._merge(rows + first_row, np.stack(values, 1), np.stack(columns, 1))

    def _smaller(self, tile: Array, first_row: int) -> tuple[Array, Array]:
        """Rows and columns of `tile` that are below their row's limit; compared as memory lies."""
        limit = self.value[first_row : first_row + len(tile), -1]
        if tile.flags.c_contiguous:
            row, column = np.divmod(np.flatnonzero(tile < limit[:, None]), tile.shape[1])
        else:
            turned = tile.T
            column, row = np.divmod(np.flatnonzero(turned < limit), len(tile))
        return row, column

    def _merge(self, rows: Array, values: Array, columns: Array) -> None:
        values = np.concatenate([self.value[rows], values], axis=1)
        columns = np.concatenate([self.index[rows], columns], axis=1)
        order = np.argsort(values, axis=1, kind="stable")[:, : self.value.shape[1]]
        self.value[rows] = np.take_along_axis(values, order, 1)
        self.index[rows] = np.take_along_axis(columns, order, 1)
