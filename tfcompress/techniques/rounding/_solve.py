"""The grid of every output channel, and the integers on it, with the least error of the output.

With the inputs' second moments H = mean(x xᵀ), rounding a channel's weights w to q changes its
output by (w − q)ᵀ H (w − q) in the mean square. H = 1 where nothing is known of the inputs.
"""

from __future__ import annotations

import numpy as np

from tfcompress.core._types import Array

SHARES = np.linspace(0.3, 1.0, 36)
"""Steps are tried that make the largest level so large a share of the largest weight."""
DAMPING = 0.01
"""Added to the diagonal of H, as a share of its mean, so that it can be inverted."""
ROUNDS = 12
"""So often the step of an 8-bit channel is moved until its largest integer occurs."""


def largest_integer(bits: int) -> int:
    """2^(b−1) − 1: the levels are symmetric, and zero is one of them."""
    return 2 ** (bits - 1) - 1


def on_grid(
    weights: Array, moments: Array | None, bits: int, *, feedback: bool
) -> tuple[Array, Array]:
    """(integers [c, k], step [c]) of weights [c, k]; weight ≈ integer · step.

    Args:
        weights: float64, a row an output channel.
        moments: H [k, k]; None for 1.
        bits: 2 to 8. At 8 every channel that is not zero has the integer ±127, so that a file
            whose scales are max|w| / 127 holds these very values.
        feedback: round one weight after the other, and let those that are still to come make up
            for its error.
    """
    top = largest_integer(bits)
    steps = _steps(weights, moments, top)
    integers = _rounded(weights, moments, steps, top, feedback=feedback)
    for _ in range(ROUNDS if bits == 8 else 0):
        most = np.abs(integers).max(axis=1)
        short = (most > 0) & (most < top)
        if not short.any():
            break
        steps[short] *= most[short] / top
        integers[short] = _rounded(weights[short], moments, steps[short], top, feedback=feedback)
    return integers, steps


def refitted(weights: Array, moments: Array, crossed: Array, ridge: float) -> Array:
    """The weights v that put out on the inputs x at hand what `weights` w do on the exact ones e.

    v = (w C + λ w)(H + λ)⁻¹ with C = mean(e xᵀ) and λ = `ridge` · mean(diag H): the least squares
    of v x − w e, held at w where x says little.
    """
    held = ridge * float(np.mean(np.diag(moments))) + 1e-12
    wanted = weights @ crossed + held * weights
    return np.linalg.solve(moments + held * np.eye(len(moments)), wanted.T).T


def _steps(weights: Array, moments: Array | None, top: int) -> Array:
    """The step of each channel whose plain rounding has the least error of the output."""
    largest = np.abs(weights).max(axis=1)
    best = np.where(largest > 0, largest, 1.0) / top
    first, least = best.copy(), np.full(len(weights), np.inf)
    for share in SHARES:
        steps = share * first
        integers = np.clip(np.rint(weights / steps[:, None]), -top, top)
        off = weights - integers * steps[:, None]
        error = np.sum(off * (off if moments is None else off @ moments), axis=1)
        better = error < least
        best[better], least[better] = steps[better], error[better]
    return best


def _rounded(
    weights: Array, moments: Array | None, steps: Array, top: int, *, feedback: bool
) -> Array:
    if moments is None or not feedback:
        return np.clip(np.rint(weights / steps[:, None]), -top, top)
    return _with_feedback(weights, moments, steps, top)


def _with_feedback(weights: Array, moments: Array, steps: Array, top: int) -> Array:
    """Column by column, the columns with the largest inputs first.

    With U the upper Cholesky factor of H⁻¹, an error d of column j is made up for by
    w_i ← w_i − d U_ji / U_jj in the columns i > j (GPTQ).
    """
    order = np.argsort(-np.diag(moments), kind="stable")
    damped = moments[np.ix_(order, order)].copy()
    damped[np.diag_indices(len(damped))] += DAMPING * float(np.mean(np.diag(moments))) + 1e-12
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = weights[:, order].copy()
    integers = np.empty_like(left)
    for column in range(left.shape[1]):
        integers[:, column] = np.clip(np.rint(left[:, column] / steps), -top, top)
        off = (left[:, column] - integers[:, column] * steps) / upper[column, column]
        left[:, column + 1 :] -= off[:, None] * upper[column, column + 1 :]
    out = np.empty_like(integers)
    out[:, order] = integers
    return out
