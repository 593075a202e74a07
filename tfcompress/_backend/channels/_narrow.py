"""A new model without some channels: layers of the same names with fewer units, weights sliced."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Any

import numpy as np

from tfcompress._backend.channels._gates import is_gate, record
from tfcompress._backend.channels._labels import Channels
from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.keras._copy import config_of
from tfcompress._backend.keras._remake import Names, rebuilt, remake
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer, Model, Tensor

Edit = Callable[[Layer, dict[str, Any]], None]

# The option that counts a layer's own channels: Dense, Embedding, convolutions.
WIDTHS = ("units", "output_dim", "filters")


def unchanged(layer: Layer, config: dict[str, Any]) -> None:
    """The edit that changes nothing."""


def narrow(
    model: Model,
    channels: Channels,
    removed: Collection[int] = (),
    edit: Edit = unchanged,
    watched: Collection[int] = (),
) -> Model:
    """`model` without the channels whose root labels are in `removed`, uncompiled and flat.

    The model, of either Keras, stays as it is; the weights of what stays are the same numbers.

    channels: `analyse(model)`. edit: `edit(layer, config)` may change the options of a layer before
    it is made anew. watched: ids of layers whose outputs pass through a gate (`gates.record`);
    gates that are there already go. Raises ValueError if a frozen label is to be removed, or if a
    layer would lose all its channels; ModelError if the model cannot be rebuilt as it is.
    """
    gone = set(removed)
    kept = _kept_channels(channels, gone)
    copies: dict[int, tuple[Layer, Layer]] = {}
    names, flavour = Names(), package_of(model).__name__

    def replace(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        if is_gate(layer):
            return args[0]
        if id(layer) not in copies:
            config = _narrow_config(layer, channels, kept, gone)
            config["name"] = names.unique(layer.name)
            edit(layer, config)
            copies[id(layer)] = (layer, rebuilt(layer, config))
        value = copies[id(layer)][1](*args, **kwargs)
        if id(layer) not in watched:
            return value
        return record(value, names.unique(f"{layer.name}_gate"), flavour)

    narrowed = remake(model, replace, names)
    for source, target in copies.values():
        target.trainable = source.trainable
        weights = source.get_weights()
        if weights:
            target.set_weights(_sliced(source, weights, channels, gone))
    return narrowed


def _kept_channels(channels: Channels, gone: set[int]) -> dict[int, Array]:
    """Which of its own channels each layer keeps, by its id; ValueError where that cannot be."""
    frozen = gone & set(channels.frozen)
    if frozen:
        raise ValueError(f"frozen channels cannot be removed: {channels.frozen[frozen.pop()]}")
    kept = {}
    for key, layer in channels.makers.items():
        kept[id(layer)] = _kept(channels, channels.own_labels[key], gone)
        if not kept[id(layer)].any():
            raise ValueError(
                f"layer {layer.name!r} would lose all its {len(kept[id(layer)])} channels"
            )
    return kept


def cost(channels: Channels, removed: Collection[int] = ()) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one image) of the model that `narrow` would make.

    MACs are those of Dense, Conv, DepthwiseConv, SeparableConv and ConvTranspose:
    positions · kept kernel elements.
    """
    gone, parameters, macs = set(removed), 0, 0
    for layer in channels.layers.values():
        taken, given = channels.shapes[id(layer)]
        kind = type(layer).__name__
        is_product = "Conv" in kind or kind == "Dense"
        positions = (taken if "Transpose" in kind else given).shape[1:-1]
        for number, weight in enumerate(layer.weights):
            left = prod(_kept_shape(channels, layer, number, weight.shape, gone))
            parameters += left
            if len(weight.shape) > 1 and is_product:
                macs += left * prod(length or 1 for length in positions)
    return parameters, macs


def _kept_shape(
    channels: Channels, layer: Layer, number: int, shape: Any, gone: set[int]
) -> list[int]:
    lengths = []
    for axis, length in enumerate(shape):
        site = channels.sites.get((id(layer), number, axis))
        kept = length if site is None else _kept(channels, site.ids, gone).sum()
        lengths.append(int(kept))
    return lengths


def _kept(channels: Channels, ids: Array, gone: set[int]) -> Array:
    return np.array([int(root) not in gone for root in channels.roots(ids)])


def _narrow_config(
    layer: Layer, channels: Channels, kept: dict[int, Array], gone: set[int]
) -> dict[str, Any]:
    """The options of `layer` for the channels that stay."""
    kind, config = type(layer).__name__, config_of(layer)
    if id(layer) in kept:
        option = next((name for name in WIDTHS if name in config), None)
        if option is None:
            raise ModelError(
                f"{kind} layer {layer.name!r} makes channels, but none of its options counts them: "
                f"its get_config() needs {', '.join(WIDTHS)}."
            )
        config[option] = int(kept[id(layer)].sum())
    if id(layer) not in channels.shapes:
        return config
    taken, given = (
        int(_kept(channels, labels.ids, gone).sum()) for labels in channels.shapes[id(layer)]
    )
    if _is_depthwise(layer, channels, kept):
        config |= {"groups": taken, "filters": given}
    elif kind == "LayerScale":
        config["projection_dim"] = given
    elif kind == "Reshape" and config["target_shape"][-1] != -1:
        config["target_shape"] = (*config["target_shape"][:-1], given)
    return config


def _is_depthwise(layer: Layer, channels: Channels, kept: dict[int, Array]) -> bool:
    """A convolution of as many groups as channels: it is followed, and makes none of its own."""
    if id(layer) in kept or not hasattr(layer, "groups") or not layer.weights:
        return False
    last = len(layer.weights[0].shape) - 1
    return layer.groups > 1 and (id(layer), 0, last) in channels.sites


def _sliced(layer: Layer, weights: list[Array], channels: Channels, gone: set[int]) -> list[Array]:
    sliced = []
    for number, weight in enumerate(weights):
        for axis in range(weight.ndim):
            site = channels.sites.get((id(layer), number, axis))
            if site is not None:
                weight = np.compress(_kept(channels, site.ids, gone), weight, axis=axis)
        sliced.append(weight)
    return sliced
