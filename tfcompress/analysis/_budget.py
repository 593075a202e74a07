"""The choice of bits a layer with the least total loss that a budget allows: an exact optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfcompress.core import RecipeError
from tfcompress.core._types import Array

FLOAT = 32
Losses = dict[int, float]
"""Bits → loss of one layer."""


def require_bits(bits: object) -> int:
    """`bits` as a whole number of 1 to 16, or 32 for float; else RecipeError."""
    if not isinstance(bits, (int, float, np.number)) or bits not in (*range(1, 17), FLOAT):
        raise RecipeError(f"{bits!r} bits: choose 1 to 16, or 32 for float.")
    return int(bits)


def losses(
    layer: str, score: float | Mapping[int, float], fixed: int | None, choices: Sequence[int]
) -> Losses:
    """The loss of one layer at each choice of bits.

    A number s costs max(s, 0)/(2^b − 1)² at b bits, the power of b-bit rounding noise, and nothing
    as float; a mapping holds the losses themselves. `fixed` bits leave no choice.
    """
    if fixed is not None:
        return {fixed: 0.0}
    if isinstance(score, Mapping):
        by_bits = {require_bits(bits): float(score[bits]) for bits in choices if bits in score}
        if FLOAT in choices:
            by_bits.setdefault(FLOAT, 0.0)
        if not by_bits:
            raise RecipeError(
                f"No loss for {layer!r} at any of {list(choices)} bits; it has {sorted(score)}."
            )
    else:
        by_bits = {require_bits(bits): _noise(score, bits) for bits in choices}
    if not by_bits or not np.isfinite(list(by_bits.values())).all():
        raise RecipeError(
            f"The losses of {layer!r} must be finite numbers for at least one choice of bits, "
            f"not {by_bits}."
        )
    return by_bits


def _noise(score: float, bits: int) -> float:
    if bits == FLOAT:
        return 0.0 * float(score)  # NaN stays NaN
    return float(np.maximum(score, 0.0)) / (2.0**bits - 1) ** 2


def least_loss(sizes: Array, options: Sequence[Losses], budget: float) -> list[int]:
    """One of each layer's options with the least Σ loss under Σ size · bits ≤ budget.

    Solved by integer programming; of bits that lose the same, the fewest.
    """
    owner = np.repeat(np.arange(len(options)), [len(losses) for losses in options])
    bits = np.concatenate([np.array(list(losses), float) for losses in options])
    loss = np.concatenate([np.array(list(losses.values())) for losses in options])
    weight = sizes[owner] * bits
    # The solver lets a constraint be exceeded by 1e-6.
    for part in (1.0, 1 - 1e-6, 1 - 1e-5):
        solution, message = _solve(owner, loss, weight, budget, part)
        if solution is None:
            break
        picked = []
        for layer in range(len(options)):
            own = np.flatnonzero(owner == layer)
            picked.append(int(own[np.argmax(solution[own])]))
        if weight[picked].sum() <= budget:
            return [_fewest(each, float(loss[place])) for each, place in zip(options, picked)]
    raise RecipeError(
        f"No allocation was found: {message} The budget is too close to the fewest bits."
    )


def _solve(
    owner: Array, loss: Array, weight: Array, budget: float, part: float
) -> tuple[Array | None, str]:
    """Which options are taken (1) or not (0), or None; and what the solver says."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    count = len(owner)
    one_each = csr_array((np.ones(count), (owner, np.arange(count))))
    # The solver stops 1e-6 from the optimum: make that 1e-12 of the largest loss.
    cost = 1e6 * loss / max(np.abs(loss).max(), 1e-300)
    result = milp(
        cost,
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(weight[None] / max(budget, 1.0), -np.inf, part),
        ],
        integrality=np.ones(count),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    return result.x, result.message


def _fewest(options: Losses, loss: float) -> int:
    return min(bits for bits, value in options.items() if value <= loss)
