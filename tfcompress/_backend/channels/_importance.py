"""How important each group of coupled channels is: magnitudes, scales, gradients, or one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from tfcompress._backend.channels._gates import is_gate, score_of
from tfcompress._backend.channels._labels import Channels, Site
from tfcompress._backend.channels._scales import has_scale
from tfcompress.core._errors import ModelError, RecipeError
from tfcompress.core._types import Array, ArrayLike, Layer

IMPORTANCE = ("l1", "l2", "bn_gamma", "taylor")
Importance: TypeAlias = "str | Callable[[Layer], ArrayLike]"
Measured: TypeAlias = Iterator[tuple[Layer, Array, Array]]
"""Layer, the labels of its channels, and the importance of each."""


def scores_of(channels: Channels, importance: Importance) -> dict[int, float]:
    """The importance of every root label: the sum over the layers whose channels it joins.

    A root that nothing measures (no γ, no gate) is left out.

    Raises:
        RecipeError: "taylor" without a training before, or a function of another shape.
        ModelError: weights, gradients or a function that give NaN or infinity.
    """
    if importance == "taylor":
        measured = _gates(channels)
    elif importance == "bn_gamma":
        measured = _scales(channels)
    else:
        measured = _kernels(channels, importance)
    scores: dict[int, float] = {}
    for layer, ids, values in measured:
        _require_finite(layer, values, importance)
        for root, value in zip(channels.roots(ids).tolist(), values.tolist()):
            scores[root] = scores.get(root, 0.0) + value
    if importance == "taylor" and not any(scores.values()):
        raise RecipeError(
            "No gate saw a gradient: importance='taylor' needs the trainer between apply() and "
            "strip(). Under mixed precision give it more batches, so that the loss scale fits."
        )
    return scores


def _gates(channels: Channels) -> Measured:
    """What every gate measured: the mean over its batches of (Σ a·∂L/∂a)²."""
    for key, layer in channels.layers.items():
        if is_gate(layer):
            yield layer, channels.shapes[key][0].ids, score_of(layer)


def _scales(channels: Channels) -> Measured:
    """|γ| of every BatchNormalization."""
    for site in channels.sites.values():
        if site.weight == 0 and has_scale(site.layer):
            yield site.layer, site.ids, np.abs(np.asarray(site.layer.get_weights()[0], np.float64))


def _kernels(channels: Channels, importance: Importance) -> Measured:
    """Σ|W_c|, √ΣW_c² or what a function says of every channel that a kernel makes."""
    for site in channels.sites.values():
        if not site.makes:
            continue
        if callable(importance):
            yield site.layer, site.ids, _own_scores(site, importance)
            continue
        kernel = np.asarray(site.layer.get_weights()[site.weight], np.float64)
        rows = np.moveaxis(kernel, site.axis, 0).reshape(len(site.ids), -1)
        l1 = importance == "l1"
        yield site.layer, site.ids, np.abs(rows).sum(1) if l1 else np.sqrt((rows**2).sum(1))


def _own_scores(site: Site, importance: Callable[[Layer], ArrayLike]) -> Array:
    values = np.asarray(importance(site.layer), dtype=np.float64)
    if values.shape != site.ids.shape:
        raise RecipeError(
            f"importance({site.layer.name!r}) gave shape {values.shape}, expected {site.ids.shape}."
        )
    return values


def _require_finite(layer: Layer, values: Array, importance: Importance) -> None:
    """ModelError where an importance is NaN or infinite: it has no order."""
    wrong = int(np.count_nonzero(~np.isfinite(values)))
    if wrong:
        what = importance if isinstance(importance, str) else "a function"
        raise ModelError(
            f"The importance ({what}) of {wrong} of {values.size} channels of {layer.name!r} is "
            "NaN or infinite. The training before diverged, or the function did: train again with "
            "a smaller learning rate, or correct it."
        )
