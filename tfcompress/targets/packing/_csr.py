"""Unstructured zeros: compressed sparse rows, unpacked once by DENSIFY for the float kernel."""

from __future__ import annotations

import numpy as np

from tfcompress.targets.packing._layer import (
    CONSTANT,
    OP,
    TENSOR,
    Encoding,
    apply,
    apply_scaled,
    one_scale,
    scaling_bytes,
)


class SparseRows(Encoding):
    """CSR → DENSIFY (→ DEQUANTIZE) → the float kernel, at the float model's speed: int8 values on a grid, or any floats.

    The dimension with indices is the one that makes them smallest: up to 256 positions take a byte each. From 32 channels on the
    scales are a factor after the operator (4 bytes a channel; in a tensor they take 12).
    """

    def __init__(self, values: str):
        self.values = values
        self.name = "csr-int8" if values == "INT8" else "csr-float"

    def fits(self, layer, runtime):
        return (layer.grid or self.values != "INT8") and bool((layer.weights == 0).any())

    def size(self, layer, shared):
        _, index_bytes = _best_order(layer.weights != 0)
        full = int(np.count_nonzero(layer.weights))
        scales = (scaling_bytes(layer) + OP + TENSOR) if self.values == "INT8" else 3 * full
        return CONSTANT + full + index_bytes + 2 * TENSOR + OP + 120 + scales

    def write(self, b, layer, runtime):
        order, _ = _best_order(layer.weights != 0)
        if self.values != "INT8":
            sparse, values = b.sparse(layer.weights, order)
            dense = b.tensor(layer.weights.shape)
            b.op("DENSIFY", [b.tensor(layer.weights.shape, data=values, sparsity=sparse)], dense)
            return apply(b, layer, dense)
        sparse, values = b.sparse(layer.levels.codes.astype(np.int8), order)
        scale, factor = (
            one_scale(layer.levels) if layer.channels >= 32 else (layer.levels.scale, None)
        )
        dense = b.tensor(layer.weights.shape, "INT8", scale=scale, axis=layer.axis)
        b.op(
            "DENSIFY", [b.tensor(layer.weights.shape, "INT8", data=values, sparsity=sparse)], dense
        )
        apply_scaled(b, layer, b.dequantize(dense), factor, None)


def _best_order(full: np.ndarray) -> tuple[list[int], int]:
    """(traversal order, bytes of its segments and indices) of the cheapest choice for the last, compressed dimension."""
    count, choices = int(full.sum()), []

    def width(most):
        return 1 if most < 256 else 2 if most < 65536 else 4

    for last in range(full.ndim):
        order = [i for i in range(full.ndim) if i != last] + [last]
        rows = full.size // full.shape[last]
        choices.append(((rows + 1) * width(count) + count * width(full.shape[last] - 1), order))
    size, order = min(choices)
    return order, size
