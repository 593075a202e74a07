"""Zeros in blocks along a FULLY_CONNECTED's inputs: its sparse kernels skip them, so the file is smaller and the layer faster."""

from __future__ import annotations

import numpy as np

from tfcompress.targets.packing._layer import (
    CONSTANT,
    OWN_KERNEL,
    Encoding,
    apply_scaled,
    one_scale,
    scaling_bytes,
)


class Blocks(Encoding):
    """Blocks of 16 int8 values (1×16) or 4 floats (1×4) given straight to the kernel.

    The operator's version must be 8: XNNPACK takes any other one and reads the sparse weights as dense ones.
    """

    def __init__(self, width: int):
        self.width = width
        self.name = "blocks-int8" if width == 16 else "blocks-float"

    def fits(self, layer, runtime):
        if (
            layer.kind != "FULLY_CONNECTED"
            or layer.inputs % self.width
            or (self.width == 16 and not layer.grid)
        ):
            return False
        return bool((~self._full(layer)).any())

    def size(self, layer, shared):
        count = int(self._full(layer).sum())
        each = self.width * (1 if self.width == 16 else 4) + (
            1 if layer.inputs // self.width <= 256 else 2
        )
        segments = (layer.channels + 1) * (1 if count < 256 else 2 if count < 65536 else 4)
        return (
            CONSTANT
            + count * each
            + segments
            + 200
            + (scaling_bytes(layer) if self.width == 16 else 0)
        )

    def write(self, b, layer, runtime):
        if self.width == 4:
            sparse, values = b.sparse(layer.weights, None, block=4)
            return apply_scaled(
                b,
                layer,
                b.tensor(layer.weights.shape, data=values, sparsity=sparse),
                None,
                OWN_KERNEL,
            )
        scale, factor = one_scale(layer.levels)
        sparse, values = b.sparse(layer.levels.codes.astype(np.int8), None, block=16)
        apply_scaled(
            b,
            layer,
            b.tensor(layer.weights.shape, "INT8", data=values, sparsity=sparse, scale=scale),
            factor,
            OWN_KERNEL,
        )

    def _full(self, layer):
        return (layer.weights.reshape(layer.channels, -1, self.width) != 0).any(axis=2)
