"""A model with layers of thin kernels in the place of some of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.keras._copy import config_of
from tfcompress._backend.keras._remake import Names, rebuilt, remake
from tfcompress.core._types import Layer, Model, Tensor
from tfcompress.techniques.low_rank._factors import Kernel, Ranks, factors

Options = dict[str, Any]


def factored(model: Model, chosen: Mapping[int, tuple[Kernel, Ranks]]) -> Model:
    """`model` (of either Keras, untouched) with some layers in parts; flat, uncompiled.

    chosen: id of a layer → its kernel and ranks. The last part has the layer's name, bias and
    activation; those in front of it are called `<name>_in` and `<name>_core`.
    """
    names = Names()
    parts: dict[int, list[Layer]] = {}
    copies: dict[int, tuple[Layer, Layer]] = {}

    def replace(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        if id(layer) in chosen:
            if id(layer) not in parts:
                parts[id(layer)] = _parts(*chosen[id(layer)], names)
            first, *others = parts[id(layer)]
            value = first(*args, **kwargs)
            for part in others:
                value = part(value)
            return value
        if id(layer) not in copies:
            options = {**config_of(layer), "name": names.unique(layer.name)}
            copies[id(layer)] = (layer, rebuilt(layer, options))
        return copies[id(layer)][1](*args, **kwargs)

    thinner = remake(model, replace, names)
    for source, target in copies.values():
        target.trainable = source.trainable
        if source.weights:
            target.set_weights(source.get_weights())
    for key, layers in parts.items():
        _set_factors(layers, *chosen[key])
    return thinner


def _set_factors(parts: list[Layer], kernel: Kernel, ranks: Ranks) -> None:
    """Write the factors of `kernel` into its parts, and its bias into the last."""
    bias = kernel.layer.get_weights()[1:]
    values = factors(kernel, ranks)
    for part, factor in zip(parts, values):
        rest = bias if part is parts[-1] else []
        part.set_weights([factor.reshape(part.weights[0].shape), *rest])


def _parts(kernel: Kernel, ranks: Ranks, names: Names) -> list[Layer]:
    """The layers, unbuilt; each in front of the last is linear and without bias."""
    layer, config = kernel.layer, config_of(kernel.layer)
    options_of = {"svd": _matrix_parts, "spatial": _spatial_parts, "tucker": _tucker_parts}
    *front, last = options_of[kernel.form](config, ranks)
    suffixes = ("_in", "_core")
    layer_class = getattr(package_of(layer).layers, type(layer).__name__)
    common = {
        "kernel_regularizer": config.get("kernel_regularizer"),
        "dtype": config.get("dtype"),
        "use_bias": False,
    }
    last_options = {**config, **last, "name": names.unique(layer.name)}
    parts = [
        layer_class(**options, **common, name=names.unique(layer.name + suffix))
        for options, suffix in zip(front, suffixes)
    ]
    parts.append(type(layer).from_config(last_options))
    for part in parts:
        part.trainable = layer.trainable
    return parts


def _matrix_parts(config: Options, ranks: Ranks) -> list[Options]:
    """Dense → Dense, or 1×1 → 1×1 convolutions, the first with the strides."""
    if "units" in config:
        return [{"units": ranks[0]}, {}]
    first = {name: config[name] for name in ("kernel_size", "strides", "padding")}
    return [{"filters": ranks[0], **first}, {"strides": _ones(config)}]


def _spatial_parts(config: Options, ranks: Ranks) -> list[Options]:
    """A column k×1, then a row 1×k."""
    height, width = config["kernel_size"]
    down, right = config["strides"]
    apart, beside = config["dilation_rate"]
    column = {
        "filters": ranks[0],
        "kernel_size": (height, 1),
        "strides": (down, 1),
        "dilation_rate": (apart, 1),
        "padding": config["padding"],
    }
    row = {"kernel_size": (1, width), "strides": (1, right), "dilation_rate": (1, beside)}
    return [column, row]


def _tucker_parts(config: Options, ranks: Ranks) -> list[Options]:
    """1×1, then the convolution between the ranks, then 1×1."""
    ones = _ones(config)
    core = {name: config[name] for name in ("kernel_size", "strides", "padding", "dilation_rate")}
    last = {"kernel_size": ones, "strides": ones, "dilation_rate": ones, "padding": "valid"}
    return [{"filters": ranks[0], "kernel_size": ones}, {"filters": ranks[1], **core}, last]


def _ones(config: Options) -> tuple[int, ...]:
    return (1,) * len(config["kernel_size"])
