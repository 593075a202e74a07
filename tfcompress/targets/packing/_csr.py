"""Unstructured zeros: compressed sparse rows, unpacked once by DENSIFY for the float kernel."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import apply, apply_scaled, one_scale, scaling_bytes
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer
from tfcompress.targets.packing._stored import StoredWeights

PARAMETER_BYTES = 120
"""Bytes of a tensor's sparsity beside its indices."""
FACTOR_FROM = 32
"""From as many channels on, a factor behind the operator (4 bytes a channel) is smaller than the
scales of a tensor (12)."""


class SparseRows(Encoding):
    """Compressed sparse rows → DENSIFY → the float kernel, at the float model's speed.

    The dimension with indices is the one that makes them smallest: up to 256 positions take a byte
    each.
    """

    type: str
    costs = Costs(1.0, 1.0, 1.0, 1.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        # A tensor without any stored value is no constant.
        return 0 < int(np.count_nonzero(layer.weights)) < layer.weights.size

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        _, index_bytes = _best_order(layer.weights != 0)
        values = np.count_nonzero(layer.weights) * np.dtype(self.type.lower()).itemsize
        return CONSTANT + int(values) + index_bytes + 2 * TENSOR + OP + PARAMETER_BYTES

    def recognizes(self, stored: StoredWeights) -> bool:
        sparse = stored.sparsity is not None and "DENSIFY" in stored.operators
        return sparse and stored.type == self.type

    def _sparse_tensor(self, builder: Builder, values: Array) -> int:
        order, _ = _best_order(values != 0)
        sparse, stored = builder.sparse(values, order)
        return builder.tensor(values.shape, self.type, data=stored, sparsity=sparse)


class Int8Rows(SparseRows):
    """int8 values → DENSIFY → DEQUANTIZE."""

    name = "csr-int8"
    type = "INT8"

    def fits(self, layer: Layer, runtime: str) -> bool:
        return layer.grid and super().fits(layer, runtime)

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        return super().size(layer, shared) + scaling_bytes(layer) + OP + TENSOR

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes = layer.levels.codes.astype(np.int8)
        scale, factor = layer.levels.scale, None
        if layer.channels >= FACTOR_FROM:
            scale, factor = one_scale(layer.levels)
        dense = builder.tensor(codes.shape, "INT8", scale=scale, axis=layer.axis)
        builder.op("DENSIFY", [self._sparse_tensor(builder, codes)], dense)
        apply_scaled(builder, layer, builder.dequantize(dense), factor, None)


class FloatRows(SparseRows):
    """Any floats → DENSIFY."""

    name = "csr-float"
    type = "FLOAT32"

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        dense = builder.tensor(layer.weights.shape)
        builder.op("DENSIFY", [self._sparse_tensor(builder, layer.weights)], dense)
        apply(builder, layer, dense)


def _best_order(full: Array) -> tuple[list[int], int]:
    """(traversal order, bytes of segments and indices) with the cheapest compressed dimension.

    Args:
        full: bool, which values are not zero.
    """
    count, choices = int(full.sum()), []
    for last in range(full.ndim):
        order = [i for i in range(full.ndim) if i != last] + [last]
        rows = full.size // full.shape[last]
        segments = (rows + 1) * _index_width(count)
        indices = count * _index_width(full.shape[last] - 1)
        choices.append((segments + indices, order))
    size, order = min(choices)
    return order, size


def _index_width(most: int) -> int:
    """Bytes of an index up to `most`, in the narrowest of the schema's types."""
    return min(4, np.min_scalar_type(most).itemsize)
