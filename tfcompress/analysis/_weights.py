"""Weights rounded, thinned or shared without training, as plain NumPy: what sensitivity does to one layer at a time."""

from __future__ import annotations

import numpy as np

SCALES = np.arange(1, 65) / 64


def quantize(weights: np.ndarray, bits: int) -> np.ndarray:
    """The nearest of 2^b levels s·(2i/(2^b − 1) − 1), i = 0 … 2^b − 1 (symmetric, ends included), s of least squared error.

    One bit: s·sign(w), s = mean |w| (XNOR-Net). Else s is the best of max|w|·(1 … 64)/64.
    """
    w = np.asarray(weights, np.float64)
    largest = np.abs(w).max(initial=0.0)
    if bits >= 32 or largest == 0:
        return np.array(weights)
    if bits == 1:
        return np.where(w < 0, -1.0, 1.0).astype(weights.dtype) * weights.dtype.type(
            np.abs(w).mean()
        )
    steps = 2**bits - 1

    def rounded(values: np.ndarray, scale: float) -> np.ndarray:
        return scale * (2 * np.round((np.clip(values / scale, -1, 1) + 1) / 2 * steps) / steps - 1)

    sample = w.ravel()[:: max(1, w.size // 65536)]  # enough to choose a scale by
    errors = [np.square(rounded(sample, s * largest) - sample).sum() for s in SCALES]
    return rounded(w, SCALES[int(np.argmin(errors))] * largest).astype(weights.dtype)


def prune(weights: np.ndarray, ratio: float) -> np.ndarray:
    """The share `ratio` of weights nearest to 0 set to 0."""
    out = np.array(weights)
    count = round(ratio * out.size)
    if count:
        out.ravel()[np.argpartition(np.abs(out).ravel(), count - 1)[:count]] = 0
    return out


def cluster(weights: np.ndarray, number: int, rounds: int = 50) -> np.ndarray:
    """Each weight replaced by the nearest of `number` centroids (k-means on the line from evenly spaced ones)."""
    values = np.sort(np.asarray(weights, np.float64).ravel())
    centroids = np.linspace(values[0], values[-1], number)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for _ in range(rounds):
        edges = np.concatenate(
            [[0], np.searchsorted(values, (centroids[1:] + centroids[:-1]) / 2), [len(values)]]
        )
        counts = np.diff(edges)
        moved = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    nearest = np.searchsorted((centroids[1:] + centroids[:-1]) / 2, weights)
    return centroids[nearest].astype(weights.dtype)
