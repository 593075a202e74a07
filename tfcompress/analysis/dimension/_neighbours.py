"""Exact distances to the two nearest neighbours, at the speed of one symmetric matrix product.

1. Centre the points, in float32.
2. Take products of tiles, each pair once, and keep the few nearest of every row (`_candidates`).
3. Take the distances of the best two, s_1 ≤ s_2, from differences of the points given.
4. Prove them. No point with |x_j| > R_i = |x_i| + s_2 can be nearer than s_2 to x_i, for
   |x_i − x_j| ≥ |x_j| − |x_i|. For all others the square that the products give is off by at most
   about ε_i = (√d + 8) 2⁻²⁴ (|x_i|² + R_i²) (rounding errors add as a random walk). So if the third
   candidate's square less ε_i is not below s_2², no other point is nearer.

Rows without proof get more candidates, then float64 products, then all differences, until they are
proved. ε_i is the row's own: one point far away leaves the proofs of the others as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfcompress.analysis.dimension._candidates import nearest_candidates
from tfcompress.analysis.dimension._centred import GivenPoints, centred, square_norms
from tfcompress.analysis.dimension._products import tile_product
from tfcompress.analysis.dimension._room import BUDGET_BYTES
from tfcompress.analysis.dimension._threads import blas_threads
from tfcompress.core._types import Array

TREE_FEATURES = 10
ROWS_AT_ONCE = 256
F32, F64 = 2.0**-24, 2.0**-53
MARGIN = 1 + 1e-6
"""R_i is made longer by more than what rounding takes off a norm."""


class Neighbours(NamedTuple):
    """Distances [n] to the nearest (`first`) and second nearest (`second`) other point.

    rechecked: rows that needed all candidates; recomputed: rows that needed float64 products.
    """

    first: Array
    second: Array
    rechecked: int = 0
    recomputed: int = 0


def two_nearest(
    points: Array,
    *,
    overwrite: bool = False,
    budget_bytes: int = BUDGET_BYTES,
    threads: int | None = None,
    device: str | None = None,
) -> Neighbours:
    """The two nearest neighbour distances of every row.

    Args:
        points: Float32 or float64 [n, d], n ≥ 3, all rows distinct and finite.
        overwrite: Float32 points are centred in place, so that nothing of their size is copied.
        budget_bytes: Up to which the centred copy lies in memory; on disk beyond.
        threads: As in `blas_threads`.
        device: As in `tile_product`.
    """
    if points.shape[1] <= TREE_FEATURES:
        from scipy.spatial import KDTree

        distances = KDTree(points).query(points, k=3)[0]
        return Neighbours(distances[:, 1], distances[:, 2])
    with blas_threads(threads):
        moved, unit = centred(points, overwrite, budget_bytes)
        given = GivenPoints(points, 1.0 if moved is points else unit)
        norms = square_norms(moved)
        with tile_product(device) as product:
            squares, index = nearest_candidates(moved, norms, product)
        best, rechecked, unproved = _best_of_candidates(given, norms, squares, index)
        for start in range(0, len(unproved), ROWS_AT_ONCE):
            _prove_in_float64(given, unproved[start : start + ROWS_AT_ONCE], best)
    distances = np.sqrt(best) / unit
    return Neighbours(distances[:, 0], distances[:, 1], rechecked, len(unproved))


def _best_of_candidates(
    given: GivenPoints, norms: Array, squares: Array, index: Array
) -> tuple[Array, int, Array]:
    """The two least exact squares [n, 2], the number of rows rechecked, and the rows unproved."""
    n, k = index.shape
    every_row = np.arange(n)
    best = np.sort(given.squares(np.repeat(every_row, 2), index[:, :2].ravel()).reshape(n, 2))
    if k == 2:
        return best, 0, every_row[:0]

    def unproved(rows: Array, candidate: int) -> Array:
        """Those of `rows` in which the products do not show that `candidate` is farther."""
        second = best[rows, 1]
        reach = (np.sqrt(norms[rows]) + np.sqrt(second)) * MARGIN
        reach = np.minimum(np.square(reach), norms.max())
        slack = (np.sqrt(given.points.shape[1]) + 8) * F32 * (norms[rows] + reach)
        return rows[squares[rows, candidate] - slack < second]

    rows = unproved(every_row, 2)
    rechecked = len(rows)
    if rechecked == 0:
        return best, 0, rows
    others = given.squares(np.repeat(rows, k - 2), index[rows, 2:].ravel())
    best[rows] = np.sort(np.concatenate([best[rows], others.reshape(rechecked, k - 2)], 1))[:, :2]
    all_are_candidates = n - 1 == k
    return best, rechecked, rows[:0] if all_are_candidates else unproved(rows, k - 1)


def _prove_in_float64(given: GivenPoints, rows: Array, best: Array) -> None:
    """Put the two least squares of `rows` into `best`: by float64 products, then by differences.

    The argument is the float32 one: within R_i, a product is off by at most ε_i, so the nearest two
    are among the points whose product is at most 2 ε_i above the second least.
    """
    n, d = given.points.shape
    chunk = max(1, (1 << 23) // d)
    # Seen from amid these rows, float64 products are small where all points lie far away.
    origin = np.median(given.rows(rows), axis=0)
    x = given.rows(rows) - origin
    own = np.einsum("ij,ij->i", x, x)
    norms = np.empty(n)
    squares = np.empty((len(rows), n))
    for start in range(0, n, chunk):
        part = slice(start, start + chunk)
        y = given.rows(part) - origin
        norms[part] = np.einsum("ij,ij->i", y, y)
        squares[:, part] = own[:, None] + norms[part] - 2.0 * (x @ y.T)
    squares[np.arange(len(rows)), rows] = np.inf
    reach = np.square((np.sqrt(own) + np.sqrt(best[rows, 1])) * MARGIN)
    slack = (np.sqrt(d) + 8) * F64 * (own + np.minimum(reach, norms.max()))
    for row, values, limit, error in zip(rows, squares, reach, slack):
        values[norms > limit] = np.inf
        second = np.partition(values, 1)[1]
        near = np.flatnonzero(values <= second + 2 * error)
        best[row] = np.sort(given.squares(np.full(len(near), row), near))[:2]
