"""Zeros in blocks along a FULLY_CONNECTED's inputs, which its sparse kernels skip.

So the file is smaller and the layer faster.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import (
    OWN_KERNEL,
    apply_scaled,
    one_scale,
    scaling_bytes,
)
from tfcompress.targets.packing._encoding import NEVER, Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, Layer
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._weight_file import items

PARAMETER_BYTES = 200
"""Bytes of a tensor's sparsity beside its indices."""


class Blocks(Encoding):
    """Blocks of values along the inputs, given straight to the kernel.

    The operator's version must be 8: XNNPACK takes any other one and reads the sparse weights as
    dense ones.
    """

    width: int
    type: str
    per_full_block: tuple[float, float]
    """Time besides `costs`, times the share of blocks that are not zero (LiteRT, 2.14)."""

    def fits(self, layer: Layer, runtime: str) -> bool:
        if not layer.dense or layer.inputs % self.width:
            return False
        full = self._full(layer)
        return bool(full.any() and not full.all())  # without any value it is no constant

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        count = int(self._full(layer).sum())
        index_bytes = 1 if layer.inputs // self.width <= 256 else 2
        values = count * (self.width * np.dtype(self.type.lower()).itemsize + index_bytes)
        segments = (layer.channels + 1) * np.min_scalar_type(count).itemsize
        scales = scaling_bytes(layer) if self.type == "INT8" else 0
        return CONSTANT + values + segments + PARAMETER_BYTES + scales

    def cost(self, layer: Layer, runtime: str) -> float:
        share = float(self._full(layer).mean())
        new, old = (slope * share for slope in self.per_full_block)
        base = self.costs
        return Costs(
            base.dense + new, base.convolution + new, base.old_dense + old, base.old_convolution
        ).of(layer, runtime)

    def recognizes(self, stored: StoredWeights) -> bool:
        blocks = stored.sparsity is not None and len(items(stored.sparsity.blockMap)) > 0
        return blocks and "DENSIFY" not in stored.operators and stored.type == self.type

    def _full(self, layer: Layer) -> Array:
        """bool [out, in / width]: which blocks hold a value that is not zero."""
        return (layer.weights.reshape(layer.channels, -1, self.width) != 0).any(axis=2)


class Int8Blocks(Blocks):
    """Blocks of 16 int8 values (1×16)."""

    name = "blocks-int8"
    costs = Costs(0.3, NEVER, 0.45, NEVER)
    width, type, per_full_block = 16, "INT8", (2.2, 5.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        return layer.grid and super().fits(layer, runtime)

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes = layer.levels.codes.astype(np.int8)
        scale, factor = one_scale(layer.levels)
        sparse, values = builder.sparse(codes, None, block=self.width)
        weight = builder.tensor(codes.shape, "INT8", data=values, sparsity=sparse, scale=scale)
        apply_scaled(builder, layer, weight, factor, OWN_KERNEL)


class FloatBlocks(Blocks):
    """Blocks of 4 floats (1×4)."""

    name = "blocks-float"
    costs = Costs(0.2, NEVER, 0.1, NEVER)
    width, type, per_full_block = 4, "FLOAT32", (6.0, 12.0)

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        sparse, values = builder.sparse(layer.weights, None, block=self.width)
        weight = builder.tensor(layer.weights.shape, data=values, sparsity=sparse)
        apply_scaled(builder, layer, weight, None, OWN_KERNEL)
