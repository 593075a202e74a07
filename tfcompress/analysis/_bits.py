"""Bits per layer: by a threshold (the thesis' rule), or the best that a budget allows; and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import trace_calls
from tfcompress.analysis._layers import find_layers, require_known
from tfcompress.core import RecipeError, Significance

FLOAT = 32


def allocate_bits(
    scores: Significance | Mapping[str, Any],
    threshold: float | None = None,
    significant: int = 2,
    other: int = 1,
    *,
    budget_bytes: float | None = None,
    mean_bits: float | None = None,
    choices: Sequence[int] = (1, 2, 4, 8, FLOAT),
    sizes: Mapping[str, int] | None = None,
    ends: int | None = FLOAT,
) -> dict[str, int]:
    """Layer → bits for every layer of `scores`; first and last layers get `ends` bits (32 is float; None treats them like others).

    By rule (the default, `threshold` 20): `significant` bits where the score exceeds the threshold, else `other`.

    By budget, an exact optimum (integer programming): the choice of bits with the least Σ loss whose weights, each layer's
    `sizes` (parameters, biases too) times its bits, fill at most `budget_bytes`, or `mean_bits` a parameter; a
    Significance brings sizes and the model's other parameters (float, counted in `budget_bytes`) with it. `scores` map a
    layer either to a number s (below 0 counts as 0), whose loss at b bits is s/(2^b − 1)² (the power of b-bit rounding noise;
    0 for float), or to its own loss at each bits {2: …, 4: …}, as `sensitivity` measures them.

    Raises RecipeError: no layers, bits or thresholds out of range, sizes missing, a budget that not even the fewest bits meet.
    """
    layers = list(scores)
    if not layers:
        raise RecipeError(
            "No layer has a score: give a Significance or a mapping of layer → score."
        )
    details = scores.details if isinstance(scores, Significance) else {}
    fixed = (
        {}
        if ends is None
        else dict.fromkeys(details.get("ends") or (layers[0], layers[-1]), _bits(ends))
    )
    if budget_bytes is None and mean_bits is None:
        limit = 20.0 if threshold is None else float(threshold)
        if any(isinstance(scores[layer], Mapping) for layer in layers):
            raise RecipeError(
                "Losses by bits need budget_bytes or mean_bits; a threshold needs one score a layer."
            )
        yes, no = _bits(significant), _bits(other)
        return {layer: fixed.get(layer, yes if scores[layer] > limit else no) for layer in layers}
    if threshold is not None or (budget_bytes is not None and mean_bits is not None):
        raise RecipeError("Give one of threshold, budget_bytes and mean_bits.")
    known: Mapping[str, int] = details.get("params", {}) if sizes is None else sizes
    missing = [layer for layer in layers if layer not in known]
    if missing:
        raise RecipeError(
            f"No size for the layer {missing[0]!r}: pass sizes={{layer: number of parameters}}."
        )
    size = np.array([known[layer] for layer in layers], float)
    if mean_bits is not None:
        budget, rest = mean_bits * size.sum(), 0.0
    else:
        budget, rest = 8.0 * float(budget_bytes or 0), float(FLOAT * _others(details, layers))
    options = [_options(layer, scores[layer], fixed.get(layer), choices) for layer in layers]
    least = rest + sum(n * min(each) for n, each in zip(size, options))
    if least > budget:
        raise RecipeError(
            f"The fewest bits take {least / 8:,.0f} bytes, the budget is {budget / 8:,.0f}: raise it, allow fewer bits, or ends=None."
        )
    return dict(zip(layers, _best(size, options, budget - rest)))


def _others(details: Mapping[str, Any], layers: Sequence[str]) -> int:
    params = details.get("params", {})
    return details.get("other_params", 0) + sum(
        count for layer, count in params.items() if layer not in layers
    )


def _bits(value: Any) -> int:
    if value not in range(1, 17) and value != FLOAT:
        raise RecipeError(f"{value!r} bits: choose 1 to 16, or 32 for float.")
    return int(value)


def _options(layer: str, score: Any, fixed: int | None, choices: Sequence[int]) -> dict[int, float]:
    """Bits → loss of one layer."""
    if fixed is not None:
        return {fixed: 0.0}
    if isinstance(score, Mapping):
        found = {_bits(b): float(score[b]) for b in choices if b in score}
        if FLOAT in choices:
            found.setdefault(FLOAT, 0.0)
        if not found:
            raise RecipeError(
                f"No loss for {layer!r} at any of {list(choices)} bits; it has {sorted(score)}."
            )
    else:
        found = {
            _bits(b): 0.0 if b == FLOAT else max(float(score), 0.0) / (2.0**b - 1) ** 2
            for b in choices
        }
    if not found or not np.isfinite(list(found.values())).all():
        raise RecipeError(
            f"The losses of {layer!r} must be finite numbers for at least one choice of bits, not {found}."
        )
    return found


def _best(size: np.ndarray, options: Sequence[dict[int, float]], budget: float) -> list[int]:
    """One of each layer's options so that Σ loss is least under Σ size · bits ≤ budget."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    count = len(options)
    owner = np.repeat(np.arange(count), [len(each) for each in options])
    bits = np.array([b for each in options for b in each], float)
    loss = np.array([value for each in options for value in each.values()])
    cost = (
        1e6 * loss / max(np.abs(loss).max(), 1e-300)
    )  # the solver stops 1e-6 from the optimum: make that 1e-12 of the largest loss
    weight = size[owner] * bits
    one_each = LinearConstraint(
        csr_array((np.ones(len(owner)), (owner, np.arange(len(owner))))), 1, 1
    )
    exact = {"mip_rel_gap": 0.0}
    for part in (1.0, 1 - 1e-6, 1 - 1e-5):  # it also lets a constraint be exceeded by 1e-6
        within = LinearConstraint(weight[None] / max(budget, 1.0), -np.inf, part)
        found = milp(
            cost,
            constraints=[one_each, within],
            integrality=np.ones(len(cost)),
            bounds=Bounds(0, 1),
            options=exact,
        )
        if found.x is None:
            break
        picked = [
            int(np.flatnonzero(owner == i)[np.argmax(found.x[owner == i])]) for i in range(count)
        ]
        if weight[picked].sum() <= budget:
            # Where fewer bits lose no more, fewer bits.
            return [
                min(b for b, value in each.items() if value <= loss[j])
                for each, j in zip(options, picked)
            ]
    raise RecipeError(
        f"No allocation was found: {found.message} The budget is too close to the fewest bits."
    )


@dataclass(frozen=True)
class WeightBits:
    """What the weights of a model take at given bits, computed: not the bytes of any file.

    by_layer: bits of each layer with a kernel; other_bits: of everything else (float); float_bits: of the float32 model.
    """

    by_layer: dict[str, int]
    other_bits: int
    float_bits: int

    @property
    def total_bits(self) -> int:
        """All parameters at their bits."""
        return sum(self.by_layer.values()) + self.other_bits

    @property
    def total_bytes(self) -> float:
        """`total_bits` / 8."""
        return self.total_bits / 8

    @property
    def reduction(self) -> float:
        """How many times smaller than float32."""
        return self.float_bits / self.total_bits


def weight_bits(model: Any, bits: Mapping[str, int]) -> WeightBits:
    """The thesis' accounting: every parameter of a layer (biases too) at the layer's `bits`; layers not named stay at 32.

    Raises RecipeError for unknown layers or bits, ModelError for a model without a graph.
    """
    found = find_layers(trace_calls(model))
    require_known(bits, found.params)
    by_layer = {
        layer: count * _bits(bits.get(layer, FLOAT)) for layer, count in found.params.items()
    }
    return WeightBits(
        by_layer,
        FLOAT * found.other_params,
        FLOAT * (sum(found.params.values()) + found.other_params),
    )
