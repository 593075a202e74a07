"""Weights rounded, thinned or shared without training, as plain NumPy.

This is what `sensitivity` does to one layer at a time.
"""

from __future__ import annotations

import numpy as np

from tfcompress.core._types import Array

SCALES = np.arange(1, 65) / 64
"""Scales that are tried, in parts of the largest weight."""
SAMPLE = 65536
"""Weights that are enough to choose a scale by."""


def quantize(weights: Array, bits: int) -> Array:
    """The nearest of 2^b levels s·(2i/(2^b − 1) − 1), i = 0 … 2^b − 1: symmetric, ends included.

    s is of least squared error: for one bit s = mean |w| and the weights s·sign(w) (XNOR-Net), else
    the best of max|w| · (1 … 64)/64. From 32 bits on, the weights as they are.
    """
    w = np.asarray(weights, np.float64)
    largest = np.abs(w).max(initial=0.0)
    if bits >= 32 or largest == 0:
        return np.array(weights)
    if bits == 1:
        signs = np.where(w < 0, -1.0, 1.0).astype(weights.dtype)
        return signs * weights.dtype.type(np.abs(w).mean())
    steps = 2**bits - 1

    def rounded(values: Array, scale: float) -> Array:
        places = np.round((np.clip(values / scale, -1, 1) + 1) / 2 * steps)
        return scale * (2 * places / steps - 1)

    sample = w.ravel()[:: max(1, w.size // SAMPLE)]
    errors = [np.square(rounded(sample, part * largest) - sample).sum() for part in SCALES]
    return rounded(w, SCALES[int(np.argmin(errors))] * largest).astype(weights.dtype)


def prune(weights: Array, ratio: float) -> Array:
    """The share `ratio` of weights nearest to 0 set to 0."""
    out = np.array(weights)
    count = round(ratio * out.size)
    if count:
        smallest = np.argpartition(np.abs(out).ravel(), count - 1)[:count]
        out.ravel()[smallest] = 0
    return out


def cluster(weights: Array, number: int, rounds: int = 50) -> Array:
    """Each weight replaced by the nearest of `number` centroids.

    k-means on the line: from evenly spaced centroids, at most `rounds` rounds.
    """
    values = np.sort(np.asarray(weights, np.float64).ravel())
    centroids = np.linspace(values[0], values[-1], number)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for _ in range(rounds):
        # Cluster i holds the sorted values from edges[i] to edges[i + 1].
        borders = np.searchsorted(values, _between(centroids))
        edges = np.concatenate([[0], borders, [len(values)]])
        counts = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(counts, 1)
        moved = np.where(counts > 0, means, centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    nearest = np.searchsorted(_between(centroids), weights)
    return centroids[nearest].astype(weights.dtype)


def _between(centroids: Array) -> Array:
    """The values at which the nearest centroid changes."""
    return (centroids[1:] + centroids[:-1]) / 2
