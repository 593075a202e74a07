"""Kernels as products of thinner ones: singular values, Tucker-2 and spatial factors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
Ranks: TypeAlias = tuple[int, ...]


@dataclass
class Kernel:
    """A layer's kernel [*k, inputs, outputs] and the singular values that its ranks cut.

    form: "svd", one rank, of W [inputs, outputs] (1×1 convolutions too); "tucker", two ranks, of
    the unfoldings along inputs and outputs; "spatial", one rank, of [kh · inputs, kw · outputs].
    spectra: the singular values for each rank.
    """

    layer: Layer
    form: str
    spectra: list[Array]

    @property
    def shape(self) -> tuple[int, ...]:
        """[*k, inputs, outputs]."""
        return tuple(int(length) for length in self.layer.weights[0].shape)

    def full(self) -> Ranks:
        """The largest ranks."""
        return tuple(len(values) for values in self.spectra)

    def ranks(self, energy: float) -> Ranks:
        """The smallest ranks with Σ_{i≤r} σ_i² ≥ energy · Σσ_i²."""
        ranks = []
        for values in self.spectra:
            share = np.cumsum(values**2) / max(float((values**2).sum()), 1e-30)
            rank = int(np.searchsorted(share, energy - 1e-12)) + 1
            ranks.append(min(rank, len(values)))
        return tuple(ranks)

    def numbers(self, ranks: Ranks | None) -> tuple[int, int]:
        """Kernel parameters, and MACs for each output position, with these ranks (None: as is)."""
        *size, inputs, outputs = self.shape
        if ranks is None:
            return prod(self.shape), prod(self.shape)
        if self.form == "svd":
            total = ranks[0] * (inputs + outputs)
            return total, total
        strides = getattr(self.layer, "strides", (1,) * len(size))
        if self.form == "spatial":
            column, row = size[0] * inputs * ranks[0], size[1] * ranks[0] * outputs
            # The column runs before the strides along the row.
            return column + row, strides[1] * column + row
        first, last = inputs * ranks[0], ranks[1] * outputs
        core = prod(size) * ranks[0] * ranks[1]
        # The first part runs before all strides.
        return first + core + last, prod(strides) * first + core + last

    def shrinks(self, ranks: Ranks) -> bool:
        """Whether these ranks need fewer parameters, and no more multiply-accumulates."""
        params, macs = self.numbers(ranks)
        had_params, had_macs = self.numbers(None)
        return params < had_params and macs <= had_macs


def read(layer: Layer, conv: str) -> Kernel | str:
    """The kernel of a layer, or why it has no low-rank form.

    conv: "tucker" or "spatial", the form of convolutions larger than 1×1. Raises ModelError for a
    kernel that holds NaN or infinity.
    """
    problem = _problem(layer)
    if problem:
        return problem
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    if not np.isfinite(kernel).all():
        raise ModelError(
            f"The kernel of {layer.name!r} holds NaN or infinity, which has no singular values: "
            "the training before diverged. Train again with a smaller learning rate."
        )
    *size, inputs, outputs = kernel.shape
    if prod(size) == 1:
        return Kernel(layer, "svd", [_singular_values(kernel.reshape(inputs, outputs))])
    if conv == "spatial":
        if type(layer).__name__ != "Conv2D" or 1 in size:
            return "only a two-dimensional kernel splits into a column and a row"
        return Kernel(layer, "spatial", [_singular_values(_columns_rows(kernel))])
    by_input = np.moveaxis(kernel, -2, 0).reshape(inputs, -1)
    by_output = np.moveaxis(kernel, -1, 0).reshape(outputs, -1)
    return Kernel(layer, "tucker", [_singular_values(by_input), _singular_values(by_output)])


def _problem(layer: Layer) -> str:
    """Why a layer has no low-rank form; "" where it has."""
    kind = type(layer).__name__
    if kind != "Dense" and kind not in CONVOLUTIONS:
        return f"{kind} has no low-rank form here"
    if getattr(layer, "groups", 1) != 1 or getattr(layer, "data_format", None) == "channels_first":
        return "grouped or channels-first convolution"
    if layer.kernel_constraint is not None:
        return "its kernel_constraint would not hold for a product"
    return ""


def factors(kernel: Kernel, ranks: Ranks) -> list[Array]:
    """float32 kernels whose convolutions one after another are that of `kernel`, as near as can be.

    Least squares for svd [1…, in, r], [1…, r, out] and spatial [kh, 1, in, r], [1, kw, r, out];
    higher-order orthogonal iteration for tucker [1…, in, r₁], [*k, r₁, r₂], [1…, r₂, out].
    """
    weights = np.asarray(kernel.layer.get_weights()[0], np.float64)
    parts_of = {"svd": _matrix_factors, "spatial": _spatial_factors, "tucker": _tucker_factors}
    parts = parts_of[kernel.form](weights, ranks)
    return [np.ascontiguousarray(part, np.float32) for part in parts]


def _matrix_factors(kernel: Array, ranks: Ranks) -> list[Array]:
    *size, inputs, outputs = kernel.shape
    left, right = _truncated(kernel.reshape(inputs, outputs), ranks[0])
    return [left.reshape(*size, inputs, ranks[0]), right.reshape(*size, ranks[0], outputs)]


def _spatial_factors(kernel: Array, ranks: Ranks) -> list[Array]:
    height, width, inputs, outputs = kernel.shape
    left, right = _truncated(_columns_rows(kernel), ranks[0])
    column = left.reshape(height, 1, inputs, ranks[0])
    row = right.reshape(ranks[0], width, outputs).transpose(1, 0, 2)
    return [column, row[None]]


def _tucker_factors(kernel: Array, ranks: Ranks) -> list[Array]:
    from tensorly.decomposition import partial_tucker

    *size, inputs, outputs = kernel.shape
    modes = [kernel.ndim - 2, kernel.ndim - 1]
    options = {"rank": list(ranks), "modes": modes, "init": "svd", "n_iter_max": 50}
    decomposed: Any = partial_tucker(kernel, **options)
    (core, (first, last)), _ = decomposed
    ones = (1,) * len(size)
    return [
        first.reshape(*ones, inputs, ranks[0]),
        core,
        last.T.reshape(*ones, ranks[1], outputs),
    ]


def _truncated(matrix: Array, rank: int) -> tuple[Array, Array]:
    """U√S [m, rank] and √S V [rank, n] of the truncated singular value decomposition."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]


def _singular_values(matrix: Array) -> Array:
    return np.linalg.svd(matrix, compute_uv=False)


def _columns_rows(kernel: Array) -> Array:
    """[kh, kw, inputs, outputs] → [kh · inputs, kw · outputs]."""
    height, width, inputs, outputs = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(height * inputs, width * outputs)
