"""Kernels as products of thinner ones: singular values, Tucker-2 and spatial factors, and the model with layers in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.keras._remake import Names, rebuilt, remake

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
Ranks = tuple[int, ...]


@dataclass
class Kernel:
    """A layer's kernel, the singular values of the matrices its ranks are of, and what its parts cost.

    `form`: "svd" of W [in, out] (1×1 convolutions too); "tucker", ranks of the unfoldings along in and out; "spatial", the rank of
    [kh·in, kw·out].
    """

    layer: Any
    form: str
    spectra: list[np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """[*k, in, out]."""
        return tuple(int(n) for n in self.layer.weights[0].shape)

    def full(self) -> Ranks:
        """The largest ranks."""
        return tuple(len(values) for values in self.spectra)

    def ranks(self, energy: float) -> Ranks:
        """The smallest ranks with Σ_{i≤r} σ_i² ≥ energy · Σσ_i²."""
        found = []
        for values in self.spectra:
            share = np.cumsum(values**2) / max(float((values**2).sum()), 1e-30)
            found.append(int(np.searchsorted(share, energy - 1e-12)) + 1)
        return tuple(min(rank, most) for rank, most in zip(found, self.full()))

    def numbers(self, ranks: Ranks | None) -> tuple[int, int]:
        """(kernel parameters, MACs for each output position) as they are, or with these ranks."""
        *size, given, made = self.shape
        steps = _strides(self.layer, len(size))
        if ranks is None:
            return prod(self.shape), prod(self.shape)
        if self.form == "svd":
            total = ranks[0] * (given + made)
            return total, total
        if self.form == "spatial":
            first, second = size[0] * given * ranks[0], size[1] * ranks[0] * made
            return first + second, steps[1] * first + second
        first, core, last = given * ranks[0], prod(size) * ranks[0] * ranks[1], ranks[1] * made
        return first + core + last, prod(steps) * first + core + last

    def shrinks(self, ranks: Ranks) -> bool:
        """Fewer parameters, and no more multiply-accumulates."""
        (params, macs), (had, took) = self.numbers(ranks), self.numbers(None)
        return params < had and macs <= took


def read(layer: Any, conv: str) -> Kernel | str:
    """The kernel of a Dense or convolution, or why it has no such form; `conv` is "tucker" or "spatial"."""
    kind = type(layer).__name__
    if kind != "Dense" and kind not in CONVOLUTIONS:
        return f"{kind} has no low-rank form here"
    if getattr(layer, "groups", 1) != 1 or getattr(layer, "data_format", None) == "channels_first":
        return "grouped or channels-first convolution"
    if layer.kernel_constraint is not None:
        return "its kernel_constraint would not hold for a product"
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    *size, given, made = kernel.shape
    if prod(size) == 1:
        return Kernel(layer, "svd", [_singular(kernel.reshape(given, made))])
    if conv == "spatial":
        if kind != "Conv2D" or 1 in size:
            return "only a two-dimensional kernel splits into a column and a row"
        return Kernel(layer, "spatial", [_singular(_columns_rows(kernel))])
    return Kernel(
        layer,
        "tucker",
        [
            _singular(np.moveaxis(kernel, axis, 0).reshape(n, -1))
            for axis, n in ((-2, given), (-1, made))
        ],
    )


def factors(kernel: Kernel, ranks: Ranks) -> list[np.ndarray]:
    """Kernels whose convolutions one after another are that of `kernel`, as near as these ranks allow (least squares; HOOI for Tucker).

    svd: [1…, in, r], [1…, r, out]; spatial: [kh, 1, in, r], [1, kw, r, out]; tucker: [1…, in, r₁], [*k, r₁, r₂], [1…, r₂, out].
    """
    w = np.asarray(kernel.layer.get_weights()[0], np.float64)
    *size, given, made = w.shape
    ones = (1,) * len(size)
    if kernel.form == "tucker":
        from tensorly.decomposition import partial_tucker

        found: Any = partial_tucker(
            w, rank=list(ranks), modes=[w.ndim - 2, w.ndim - 1], init="svd", n_iter_max=50
        )
        core, (first, last) = (
            found[0] if len(found[0]) == 2 else found
        )  # tensorly ≥ 0.8 adds the errors
        parts = [first.reshape(*ones, given, ranks[0]), core, last.T.reshape(*ones, ranks[1], made)]
    else:
        u, s, v = np.linalg.svd(
            _columns_rows(w) if kernel.form == "spatial" else w.reshape(given, made),
            full_matrices=False,
        )
        root = np.sqrt(s[: ranks[0]])
        left, right = u[:, : ranks[0]] * root, root[:, None] * v[: ranks[0]]
        if kernel.form == "spatial":
            parts = [
                left.reshape(size[0], given, ranks[0])[:, None],
                right.reshape(ranks[0], size[1], made).transpose(1, 0, 2)[None],
            ]
        else:
            parts = [left.reshape(*ones, given, ranks[0]), right.reshape(*ones, ranks[0], made)]
    return [np.ascontiguousarray(part, np.float32) for part in parts]


def factored(model: Any, chosen: Mapping[int, tuple[Kernel, Ranks]]) -> Any:
    """`model` (of either Keras, untouched) with the layers whose ids are in `chosen` in parts; flat, uncompiled.

    The last part has the layer's name, bias and activation; those in front of it are called `<name>_in` and `<name>_core`.
    """
    names, made, kit = Names(), {}, package_of(model)
    pairs: list[tuple[Any, Any]] = []

    def replace(layer: Any, args: tuple, kwargs: dict) -> Any:
        if id(layer) not in made and id(layer) in chosen:
            made[id(layer)] = _parts(*chosen[id(layer)], names, kit)
        elif id(layer) not in made:
            new = rebuilt(layer, {**layer.get_config(), "name": names.unique(layer.name)})
            made[id(layer)] = [new]
            pairs.append((layer, new))
        value = made[id(layer)][0](*args, **kwargs)
        for part in made[id(layer)][1:]:
            value = part(value)
        return value

    new = remake(model, replace, names)
    for old, layer in pairs:
        layer.trainable = old.trainable
        if weights := old.get_weights():
            layer.set_weights(weights)
    for kernel, ranks in chosen.values():
        bias = kernel.layer.get_weights()[1:]
        *first, last = zip(made[id(kernel.layer)], factors(kernel, ranks))
        for part, values in first:
            part.set_weights([values.reshape(part.weights[0].shape)])
        last[0].set_weights([last[1].reshape(last[0].weights[0].shape), *bias])
    return new


def _parts(kernel: Kernel, ranks: Ranks, names: Names, kit: Any) -> list[Any]:
    """The layers, unbuilt; each in front of the last is linear and without bias."""
    layer, config = kernel.layer, kernel.layer.get_config()
    last = {**config, "name": names.unique(layer.name)}
    plain = {
        "kernel_regularizer": config.get("kernel_regularizer"),
        "dtype": config.get("dtype"),
        "use_bias": False,
    }
    make: Callable[..., Any] = getattr(kit.layers, type(layer).__name__)
    front = names.unique(f"{layer.name}_in")
    if type(layer).__name__ == "Dense":
        found = [make(ranks[0], name=front, **plain), type(layer).from_config(last)]
    elif kernel.form == "svd":
        where = {"strides": config["strides"], "padding": config["padding"]}
        size = config["kernel_size"]
        found = [
            make(ranks[0], size, name=front, **where, **plain),
            type(layer).from_config({**last, "strides": _ones(size)}),
        ]
    elif kernel.form == "spatial":
        (high, wide), (down, right), (apart, beside) = (
            config["kernel_size"],
            config["strides"],
            config["dilation_rate"],
        )
        column = {"strides": (down, 1), "dilation_rate": (apart, 1), "padding": config["padding"]}
        row = {"kernel_size": (1, wide), "strides": (1, right), "dilation_rate": (1, beside)}
        found = [
            make(ranks[0], (high, 1), name=front, **column, **plain),
            type(layer).from_config({**last, **row}),
        ]
    else:
        ones = _ones(config["kernel_size"])
        core = {
            "strides": config["strides"],
            "padding": config["padding"],
            "dilation_rate": config["dilation_rate"],
        }
        end = {"kernel_size": ones, "strides": ones, "dilation_rate": ones, "padding": "valid"}
        found = [
            make(ranks[0], ones, name=front, **plain),
            make(
                ranks[1],
                config["kernel_size"],
                name=names.unique(f"{layer.name}_core"),
                **core,
                **plain,
            ),
            type(layer).from_config({**last, **end}),
        ]
    for part in found:
        part.trainable = layer.trainable
    return found


def _ones(size: Any) -> tuple[int, ...]:
    return (1,) * len(size)


def _strides(layer: Any, rank: int) -> tuple[int, ...]:
    return tuple(getattr(layer, "strides", (1,) * rank))


def _singular(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.svd(matrix, compute_uv=False)


def _columns_rows(kernel: np.ndarray) -> np.ndarray:
    """[kh, kw, in, out] → [kh·in, kw·out]."""
    high, wide, given, made = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(high * given, wide * made)
