"""A new model without some channels: the same graph, layers of the same names with fewer units, their weights sliced."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Any

import numpy as np

from tfcompress._backend.channels._gates import is_gate, record
from tfcompress._backend.channels._labels import Channels
from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.graph._run import is_layer
from tfcompress._backend.keras._remake import Names, rebuilt, remake

WIDTH = {
    "Dense": "units",
    "Embedding": "output_dim",
}  # all other makers of channels count them as "filters"


def narrow(
    model: Any,
    channels: Channels,
    removed: Collection[int] = (),
    edit: Callable[[Any, dict], None] = lambda layer, config: None,
    watched: Collection[int] = (),
) -> Any:
    """`model` (of either Keras, untouched) without the channels whose root labels are in `removed`, uncompiled and flat.

    `channels` is `analyse(model)`. Weights of what stays are the same numbers; nested models are inlined.
    `edit(layer, config)` may change the options of a layer before it is made anew; outputs of the layers whose ids are in
    `watched` pass through a gate (`gates.record`), and gates that are there already go.
    Raises ValueError if a frozen label is to be removed, or if a layer would lose all its channels.
    """
    gone = set(removed)
    if frozen := gone & set(channels.frozen):
        raise ValueError(f"frozen channels cannot be removed: {channels.frozen[frozen.pop()]}")
    keep = {
        id(layer): _kept(channels, channels.made[key], gone)
        for key, layer in channels.makers.items()
    }
    for key, layer in channels.makers.items():
        if not keep[key].any():
            raise ValueError(f"layer {layer.name!r} would lose all its {len(keep[key])} channels")
    made: dict[int, Any] = {}
    names, flavour = Names(), package_of(model).__name__
    pairs: list[tuple[Any, Any]] = []

    def call(layer: Any, args: tuple, kwargs: dict, shapes: tuple) -> Any:
        if not is_layer(layer):
            return layer(*args, **kwargs)
        if is_gate(layer):
            return args[0]
        if id(layer) not in made:
            config = _config(layer, channels, keep, gone, names)
            edit(layer, config)
            made[id(layer)] = rebuilt(layer, config)
            pairs.append((layer, made[id(layer)]))
        value = made[id(layer)](*args, **kwargs)
        return (
            record(value, names.unique(f"{layer.name}_gate"), flavour)
            if id(layer) in watched
            else value
        )

    new = remake(model, call, names)
    for old, layer in pairs:
        layer.trainable = old.trainable
        if weights := old.get_weights():
            layer.set_weights(_sliced(old, weights, channels, gone))
    return new


def cost(channels: Channels, removed: Collection[int] = ()) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one image) of the model that `narrow` would make, without making it.

    MACs are those of Dense, Conv, DepthwiseConv, SeparableConv and ConvTranspose: positions · kept kernel elements.
    """
    gone, parameters, macs = set(removed), 0, 0
    for layer, (given, made) in (
        (layer, channels.shapes[id(layer)]) for layer in channels.layers.values()
    ):
        kind = type(layer).__name__
        for number, weight in enumerate(layer.weights):
            sites = [
                channels.sites.get((id(layer), number, axis)) for axis in range(len(weight.shape))
            ]
            left = prod(
                int(n) if site is None else int(_kept(channels, site.ids, gone).sum())
                for n, site in zip(weight.shape, sites)
            )
            parameters += left
            if len(weight.shape) > 1 and ("Conv" in kind or kind == "Dense"):
                shape = given.shape if "Transpose" in kind else made.shape
                macs += left * prod(n or 1 for n in shape[1:-1])
    return parameters, macs


def _kept(channels: Channels, ids: np.ndarray, gone: set[int]) -> np.ndarray:
    return np.array([int(root) not in gone for root in channels.roots(ids)])


def _config(
    layer: Any, channels: Channels, keep: dict[int, np.ndarray], gone: set[int], names: Names
) -> dict:
    kind, config = type(layer).__name__, layer.get_config()
    config["name"] = names.unique(layer.name)
    if id(layer) in keep:
        config[WIDTH.get(kind, "filters")] = int(keep[id(layer)].sum())
    followed = (
        kind.startswith("Conv")
        and (id(layer), 0, len(layer.weights[0].shape) - 1) in channels.sites
    )
    depthwise = (
        followed and id(layer) not in keep
    )  # a convolution of as many groups as channels makes none of its own
    if id(layer) in channels.shapes and (depthwise or kind in ("Reshape", "LayerScale")):
        into, left = (
            int(_kept(channels, each.ids, gone).sum()) for each in channels.shapes[id(layer)]
        )
        if depthwise:
            config |= {"groups": into, "filters": left}
        elif kind == "LayerScale":
            config["projection_dim"] = left
        elif config["target_shape"][-1] != -1:
            config["target_shape"] = (*config["target_shape"][:-1], left)
    return config


def _sliced(
    layer: Any, weights: list[np.ndarray], channels: Channels, gone: set[int]
) -> list[np.ndarray]:
    for number, weight in enumerate(weights):
        for axis in range(weight.ndim):
            site = channels.sites.get((id(layer), number, axis))
            if site is not None:
                weight = np.compress(_kept(channels, site.ids, gone), weight, axis=axis)
        weights[number] = weight
    return weights
