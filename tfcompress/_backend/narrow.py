"""A new model without some channels: the same graph, layers of the same names with fewer units, their weights sliced."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from math import prod
from typing import Any

import numpy as np

from tfcompress._backend.channels import Channels
from tfcompress._backend.gates import is_gate, record
from tfcompress._backend.graph import is_layer, run_graph

WIDTH = {"Dense": "units", "Embedding": "output_dim"}  # all other makers of channels count them as "filters"


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
    keep = {id(layer): _kept(channels, channels.made[key], gone) for key, layer in channels.makers.items()}
    for key, layer in channels.makers.items():
        if not keep[key].any():
            raise ValueError(f"layer {layer.name!r} would lose all its {len(keep[key])} channels")
    flavour = "tf_keras" if type(model).__module__.startswith("tf_keras") else "keras"
    kit = importlib.import_module(flavour)
    made: dict[int, Any] = {}
    names: set[str] = set()
    pairs: list[tuple[Any, Any]] = []

    def call(layer: Any, args: tuple, kwargs: dict, shapes: tuple) -> Any:
        if not is_layer(layer):
            return layer(*args, **kwargs)
        if is_gate(layer):
            return args[0]
        if id(layer) not in made:
            config = _config(layer, channels, keep, gone, names)
            edit(layer, config)
            made[id(layer)] = _remake(layer, config)
            pairs.append((layer, made[id(layer)]))
        value = made[id(layer)](*args, **kwargs)
        return record(value, _unique(f"{layer.name}_gate", names), flavour) if id(layer) in watched else value

    graph = getattr(model, "_functional", None) or model
    inputs = []
    for tensor in graph.inputs:
        name = _unique(_input_name(tensor), names)
        inputs.append(kit.Input(batch_shape=tuple(tensor.shape), dtype=_dtype(tensor), name=name))
    outputs = run_graph(model, inputs, call)
    new = kit.Model(*(_packed(kit, graph, kind, flat) for kind, flat in (("inputs", inputs), ("outputs", outputs))), name=model.name)
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
    for layer, (given, made) in ((layer, channels.shapes[id(layer)]) for layer in channels.layers.values()):
        kind = type(layer).__name__
        for number, weight in enumerate(layer.weights):
            sites = [channels.sites.get((id(layer), number, axis)) for axis in range(len(weight.shape))]
            left = prod(int(n) if site is None else int(_kept(channels, site.ids, gone).sum()) for n, site in zip(weight.shape, sites))
            parameters += left
            if len(weight.shape) > 1 and ("Conv" in kind or kind == "Dense"):
                shape = given.shape if "Transpose" in kind else made.shape
                macs += left * prod(n or 1 for n in shape[1:-1])
    return parameters, macs


def _kept(channels: Channels, ids: np.ndarray, gone: set[int]) -> np.ndarray:
    return np.array([int(root) not in gone for root in channels.roots(ids)])


def _config(layer: Any, channels: Channels, keep: dict[int, np.ndarray], gone: set[int], names: set[str]) -> dict:
    kind, config = type(layer).__name__, layer.get_config()
    config["name"] = _unique(layer.name, names)
    if id(layer) in keep:
        config[WIDTH.get(kind, "filters")] = int(keep[id(layer)].sum())
    if kind == "Reshape" and id(layer) in channels.shapes and config["target_shape"][-1] != -1:
        left = int(_kept(channels, channels.shapes[id(layer)][1].ids, gone).sum())
        config["target_shape"] = (*config["target_shape"][:-1], left)
    return config


def _remake(layer: Any, config: dict) -> Any:
    if type(layer).__name__ == "Lambda":  # its function is no data, so it is handed on
        return type(layer)(layer.function, arguments=layer.arguments, name=config["name"])
    return type(layer).from_config(config)


def _sliced(layer: Any, weights: list[np.ndarray], channels: Channels, gone: set[int]) -> list[np.ndarray]:
    for number, weight in enumerate(weights):
        for axis in range(weight.ndim):
            site = channels.sites.get((id(layer), number, axis))
            if site is not None:
                weight = np.compress(_kept(channels, site.ids, gone), weight, axis=axis)
        weights[number] = weight
    return weights


def _unique(name: str, names: set[str]) -> str:
    found, number = name, 0
    while found in names:
        number += 1
        found = f"{name}_{number}"
    names.add(found)
    return found


def _input_name(tensor: Any) -> str:
    history = getattr(tensor, "_keras_history", None)
    return history.operation.name if hasattr(history, "operation") else history.layer.name


def _dtype(tensor: Any) -> str:
    return getattr(tensor.dtype, "name", tensor.dtype)


def _packed(kit: Any, graph: Any, kind: str, flat: list) -> Any:
    if kit.__name__.startswith("tf_keras"):
        import tensorflow as tf

        return tf.nest.pack_sequence_as(getattr(graph, f"_nested_{kind}"), flat)
    return kit.tree.pack_sequence_as(getattr(graph, f"_{kind}_struct"), flat)
