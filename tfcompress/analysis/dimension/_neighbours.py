"""Exact distances to the two nearest neighbours, at the speed of one symmetric matrix product.

    |x_i − x_j|² = |x_i|² + |x_j|² − 2 x_i·x_j,   so the nearest j has the largest  x_i·x_j − |x_j|²/2

1. centre, in float32; 2. products of tiles, each pair once, keeping the CANDIDATES largest for rows and for columns;
3. take the distances of the best two from differences of the points given; 4. prove them: the product is off by at most
about ε = (√d + 8) 2⁻²⁴ (|x_i|² + max|x|²) (rounding errors add as a random walk), so if the third candidate's distance less ε
exceeds the second exact one, no other point can be nearer. Rows without proof get more candidates, then float64 products,
then all differences, until they are proved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfcompress.analysis.dimension._means import column_means
from tfcompress.analysis.dimension._products import Product, tile_product
from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.analysis.dimension._threads import blas_threads

TREE_FEATURES = 10
CANDIDATES = 6
BLOCK = 2048
CACHE = 65536  # elements of a chunk that stays in cache
F32, F64 = 2.0**-24, 2.0**-53


class Neighbours(NamedTuple):
    """Distances [n] to the nearest (`first`) and second nearest (`second`) other point, and how many rows needed more work."""

    first: np.ndarray
    second: np.ndarray
    rechecked: int = 0
    recomputed: int = 0


def two_nearest(
    points: np.ndarray,
    *,
    overwrite: bool = False,
    budget_bytes: int = BUDGET_BYTES,
    threads: int | None = None,
    device: str | None = None,
) -> Neighbours:
    """The two nearest neighbour distances of every row of `points` [n, d], n ≥ 3, all rows distinct and finite.

    `overwrite` lets float32 `points` be centred in place, so that nothing of their size is copied; otherwise the float32
    copy lies in memory up to `budget_bytes` and in a temporary file beyond. `threads` as in `blas_threads`, `device` as in `tile_product`.
    """
    n, d = points.shape
    if d <= TREE_FEATURES:
        from scipy.spatial import cKDTree

        found = cKDTree(points).query(points, k=3)[0]
        return Neighbours(found[:, 1], found[:, 2])
    with blas_threads(threads):
        centred, unit = _centred(points, overwrite, budget_bytes)
        given = _Given(points, 1.0 if centred is points else unit)
        norms = _square_norms(centred)
        with tile_product(device) as product:
            near, index = _candidates(centred, norms, min(n, BLOCK), product)
        approximate = norms[:, None] - 2.0 * near
        slack = (np.sqrt(d) + 8) * F32 * (norms + norms.max())
        best = np.sort(
            given.squares(np.repeat(np.arange(n), 2), index[:, :2].ravel()).reshape(n, 2), axis=1
        )
        k = index.shape[1]
        open_ = np.flatnonzero(approximate[:, 2] - slack < best[:, 1]) if k > 2 else np.arange(0)
        rechecked = len(open_)
        if rechecked:
            more = given.squares(np.repeat(open_, k - 2), index[open_, 2:].ravel()).reshape(
                rechecked, k - 2
            )
            best[open_] = np.sort(np.concatenate([best[open_], more], axis=1), axis=1)[:, :2]
            open_ = (
                open_[approximate[open_, -1] - slack[open_] < best[open_, 1]]
                if n - 1 > k
                else open_[:0]
            )
        for start in range(0, len(open_), 256):
            _prove_in_float64(given, open_[start : start + 256], best)
    roots = np.sqrt(best) / unit
    return Neighbours(roots[:, 0], roots[:, 1], rechecked, len(open_))


class _Given:
    """The points as they were given, times the power of two `unit`: where distances are read from."""

    def __init__(self, points: np.ndarray, unit: float):
        self.points, self.unit = points, unit

    def rows(self, index) -> np.ndarray:
        taken = self.points[index].astype(np.float64)
        return taken if self.unit == 1.0 else taken * self.unit

    def squares(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """|x_left − x_right|² by direct differences, in chunks that stay in cache."""
        points, d = self.points, self.points.shape[1]
        rows = max(1, CACHE // d)
        out = np.empty(len(left))
        a, b = np.empty((rows, d), points.dtype), np.empty((rows, d), points.dtype)
        for start in range(0, len(left), rows):
            i = left[start : start + rows]
            m = len(i)
            np.take(points, i, axis=0, out=a[:m], mode="clip")
            np.take(points, right[start : start + rows], axis=0, out=b[:m], mode="clip")
            if self.unit != 1.0:  # first, or the difference overflows
                a[:m] *= points.dtype.type(self.unit)
                b[:m] *= points.dtype.type(self.unit)
            np.subtract(a[:m], b[:m], out=a[:m])
            out[start : start + m] = _sums_of_squares(a[:m])
        return out


def _centred(points: np.ndarray, overwrite: bool, budget_bytes: int) -> tuple[np.ndarray, float]:
    """`points` less their mean as C-ordered float32, and the power of two that brings them into float32's range."""
    n, d = points.shape
    in_place = (
        overwrite
        and points.dtype == np.float32
        and points.flags.c_contiguous
        and points.flags.writeable
    )
    rows = max(1, 4 * CACHE // d)
    largest = max(
        max(float(part.max()), -float(part.min()))
        for part in (points[i : i + rows] for i in range(0, n, rows))
    )
    unit = 1.0 if 1e-12 < largest < 1e12 else float(np.ldexp(1.0, -int(np.frexp(largest)[1])))
    mean = column_means(points)
    out = points if in_place else room((n, d), on_disk=4 * n * d > budget_bytes)
    mean = mean if points.dtype == np.float64 else mean.astype(np.float32)
    for start in range(0, n, rows):
        block, into = points[start : start + rows], out[start : start + rows]
        if unit == 1.0:
            np.subtract(block, mean, out=into, casting="same_kind")
        else:
            into[:] = (block.astype(np.float64) - mean) * unit
    return out, unit


def _sums_of_squares(rows: np.ndarray) -> np.ndarray:
    """Σ_k x_k² of each row: float32 products in pieces of 256, the pieces added in float64 (relative error about 3e-8)."""
    if rows.dtype == np.float64:
        return np.einsum("ij,ij->i", rows, rows)
    n, d = rows.shape
    whole = d // 256 * 256
    out = np.zeros(n)
    if whole:
        pieces = rows[:, :whole].reshape(n, -1, 256)
        out += np.einsum("ijk,ijk->ij", pieces, pieces).sum(1, dtype=np.float64)
    rest = rows[:, whole:].astype(np.float64)
    return out + np.einsum("ij,ij->i", rest, rest)


def _square_norms(points: np.ndarray) -> np.ndarray:
    rows = max(1, CACHE // points.shape[1])
    return np.concatenate(
        [_sums_of_squares(points[i : i + rows]) for i in range(0, len(points), rows)]
    )


def _candidates(
    points: np.ndarray, norms: np.ndarray, block: int, product: Product
) -> tuple[np.ndarray, np.ndarray]:
    """The CANDIDATES largest x_i·x_j − |x_j|²/2 of every row (float64 [n, k], descending) and their j; every tile pair once."""
    n = len(points)
    k = min(CANDIDATES, n - 1)
    half = (norms / 2).astype(np.float32)
    value, index = np.full((n, k), -np.inf, np.float32), np.zeros((n, k), np.int64)
    tile, turned = np.empty(block * block, np.float32), np.empty(block * block, np.float32)
    for i in range(0, n, block):
        for j in range(i, n, block):
            left, right = points[i : i + block], points[j : j + block]
            p, q = len(left), len(right)
            g = tile[: p * q].reshape(p, q)
            product(
                left, right, g
            )  # of a tile with itself, NumPy takes the symmetric product (SYRK)
            if i != j:
                h = turned[: p * q].reshape(q, p)
                np.subtract(g.T, half[i : i + p], out=h)
                _keep_best(h, value[j : j + q], index[j : j + q], i)
            g -= half[j : j + q]
            if i == j:
                np.fill_diagonal(g, -np.inf)
            _keep_best(g, value[i : i + p], index[i : i + p], j)
    return value.astype(np.float64), index


def _keep_best(score: np.ndarray, value: np.ndarray, index: np.ndarray, offset: int) -> None:
    """Merge the k largest of each row of `score` (destroyed) into `value` and `index`; k passes of argmax beat any sort."""
    rows, k = np.arange(len(score)), value.shape[1]
    found, where = [value], [index]
    for _ in range(min(k, score.shape[1])):
        j = score.argmax(1)
        found.append(score[rows, j][:, None])
        where.append(j[:, None] + offset)
        score[rows, j] = -np.inf
    both, places = np.concatenate(found, axis=1), np.concatenate(where, axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :k]
    value[:], index[:] = np.take_along_axis(both, order, 1), np.take_along_axis(places, order, 1)


def _prove_in_float64(given: _Given, rows: np.ndarray, best: np.ndarray) -> None:
    """Replace `best[rows]` by distances proved with float64 products, or by all differences where even those cannot."""
    n, d = given.points.shape
    chunk = max(1, (1 << 23) // d)
    # Differences to one reference point keep the float64 products small where the points lie far from the origin.
    origin = given.rows(rows[:1])
    x = given.rows(rows) - origin
    own = np.einsum("ij,ij->i", x, x)
    square = np.empty((len(rows), n))
    far = 0.0
    for start in range(0, n, chunk):
        y = given.rows(slice(start, start + chunk)) - origin
        norms = np.einsum("ij,ij->i", y, y)
        far = max(far, float(norms.max()))
        square[:, start : start + chunk] = own[:, None] + norms - 2.0 * (x @ y.T)
    square[np.arange(len(rows)), rows] = np.inf
    slack = (np.sqrt(d) + 8) * F64 * (own + far)
    for t, row in enumerate(rows):
        second = np.partition(square[t], 1)[1]
        near = np.flatnonzero(square[t] <= second + 2 * slack[t])
        best[row] = np.sort(given.squares(np.full(len(near), row), near))[:2]
