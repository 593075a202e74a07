"""Bits per layer: by a threshold, or the best that a budget allows; and what they amount to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import trace_calls
from tfcompress.analysis._budget import FLOAT, least_loss, losses, require_bits
from tfcompress.analysis._layers import find_layers, require_known
from tfcompress.analysis._scores import require_finite
from tfcompress.core import RecipeError, Significance
from tfcompress.core._types import Model

THRESHOLD = 20.0
"""The thesis' threshold on CIFAR-10."""
Scores = Significance | Mapping[str, Any]
"""Layer → number, or layer → {bits: loss}."""


def allocate_bits(
    scores: Scores,
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
    """Layer → bits for every layer of `scores`.

    By rule (the default): `significant` bits where the score exceeds `threshold`, else `other`.
    By budget, an exact optimum (integer programming): the bits with the least Σ loss whose weights
    fill at most `budget_bytes`, or `mean_bits` a parameter.

    Args:
        scores: A Significance, which brings sizes and the model's other parameters with it, or a
            mapping. A layer's score is a number s (below 0 counts as 0), whose loss at b bits is
            s/(2^b − 1)², the power of b-bit rounding noise (0 for float); or, for a budget, its own
            loss at each bits {2: …, 4: …}, as `sensitivity` measures them.
        threshold: None takes 20.
        significant, other: Bits above the threshold, and not above it.
        budget_bytes: Of all weights of the model; other parameters count as float.
        mean_bits: Bits of a parameter on average.
        choices: Bits that a budget may choose from; 32 is float.
        sizes: Parameters of each layer, biases too.
        ends: Bits of the first and last layers; None treats them like others.

    Raises:
        RecipeError: No layers, bits or threshold out of range, sizes missing, or a budget that not
            even the fewest bits meet.
        DataError: A score that is not finite.
    """
    layers = list(scores)
    if not layers:
        raise RecipeError(
            "No layer has a score: give a Significance or a mapping of layer → score."
        )
    fixed = _ends(scores, layers, ends)
    if budget_bytes is None and mean_bits is None:
        return _by_rule(scores, threshold, require_bits(significant), require_bits(other), fixed)
    if threshold is not None or (budget_bytes is not None and mean_bits is not None):
        raise RecipeError("Give one of threshold, budget_bytes and mean_bits.")
    size = _sizes(scores, layers, sizes)
    if mean_bits is not None:
        budget, rest = mean_bits * size.sum(), 0.0
    else:
        budget, rest = 8.0 * float(budget_bytes or 0), float(FLOAT * _others(scores, layers))
    options = [losses(layer, scores[layer], fixed.get(layer), choices) for layer in layers]
    least = rest + sum(count * min(each) for count, each in zip(size, options))
    if not least <= budget:
        raise RecipeError(
            f"The fewest bits take {least / 8:,.0f} bytes, the budget is {budget / 8:,.0f}: "
            "raise it, allow fewer bits, or ends=None."
        )
    return dict(zip(layers, least_loss(size, options, budget - rest)))


def _by_rule(
    scores: Scores, threshold: float | None, above: int, below: int, fixed: Mapping[str, int]
) -> dict[str, int]:
    limit = THRESHOLD if threshold is None else float(threshold)
    if math.isnan(limit):
        raise RecipeError("threshold is NaN: expected a number.")
    if any(isinstance(scores[layer], Mapping) for layer in scores):
        raise RecipeError(
            "Losses by bits need budget_bytes or mean_bits; a threshold needs one score a layer."
        )
    require_finite({layer: scores[layer] for layer in scores})
    bits = {layer: above if scores[layer] > limit else below for layer in scores}
    return {**bits, **{layer: count for layer, count in fixed.items() if layer in bits}}


def _details(scores: Scores) -> Mapping[str, Any]:
    return scores.details if isinstance(scores, Significance) else {}


def _ends(scores: Scores, layers: Sequence[str], bits: int | None) -> dict[str, int]:
    """The first and last layers with their bits; none where they are like others."""
    if bits is None:
        return {}
    ends = _details(scores).get("ends") or (layers[0], layers[-1])
    return dict.fromkeys(ends, require_bits(bits))


def _sizes(scores: Scores, layers: Sequence[str], sizes: Mapping[str, int] | None) -> np.ndarray:
    """Parameters of each layer [layers], as given or as the Significance knows them."""
    known = _details(scores).get("params", {}) if sizes is None else sizes
    for layer in layers:
        if layer not in known:
            raise RecipeError(
                f"No size for the layer {layer!r}: pass sizes={{layer: number of parameters}}."
            )
    return np.array([known[layer] for layer in layers], float)


def _others(scores: Scores, layers: Sequence[str]) -> int:
    """Parameters of the model that are in none of `layers`."""
    details = _details(scores)
    beside = [count for layer, count in details.get("params", {}).items() if layer not in layers]
    return details.get("other_params", 0) + sum(beside)


@dataclass(frozen=True)
class WeightBits:
    """What the weights of a model take at given bits, computed: not the bytes of any file.

    by_layer: bits of each layer with a kernel; other_bits: of everything else (float); float_bits:
    of the float32 model.
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


def weight_bits(model: Model, bits: Mapping[str, int]) -> WeightBits:
    """The thesis' accounting: every parameter of a layer, biases too, at the layer's `bits`.

    Layers not named stay at 32. Raises RecipeError for unknown layers or bits, ModelError for a
    model without a graph.
    """
    network = find_layers(trace_calls(model))
    require_known(bits, network.params)
    by_layer = {
        layer: count * require_bits(bits.get(layer, FLOAT))
        for layer, count in network.params.items()
    }
    parameters = sum(network.params.values()) + network.other_params
    return WeightBits(by_layer, FLOAT * network.other_params, FLOAT * parameters)
