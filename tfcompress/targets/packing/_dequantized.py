"""Integers of 2, 4 or 8 bits, unpacked to floats by the file itself: exact for any operator."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.targets.packing._apply import apply
from tfcompress.targets.packing._encoding import NEVER, Costs, Encoding
from tfcompress.targets.packing._int2 import codes_within
from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, OP, TENSOR, Layer, old
from tfcompress.targets.packing._stored import StoredWeights


class Dequantized(Encoding):
    """Weights of `bits` → DEQUANTIZE → the float kernel.

    XNNPACK unpacks 8 bits once; 2 and 4 bits are unpacked at every run, and unknown to
    tflite_runtime 2.14.
    """

    def __init__(self, bits: int, costs: Costs):
        self.bits = bits
        self.costs = costs
        self.kind = f"INT{bits}"
        self.name = f"int{bits}-dequantize"

    def fits(self, layer: Layer, runtime: str) -> bool:
        if self.bits == 8:
            return layer.grid
        half = 2 ** (self.bits - 1)
        return not old(runtime) and codes_within(layer, -half, half - 1)

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        codes = layer.weights.size * self.bits // 8
        return CONSTANT + TENSOR + OP + codes + CHANNEL * len(layer.levels.scale)

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes, scale = layer.levels.codes.astype(np.int8), layer.levels.scale
        packed = builder.tensor(codes.shape, self.kind, data=codes, scale=scale, axis=layer.axis)
        apply(builder, layer, builder.dequantize(packed))

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.is_plain(self.kind, dequantized=True)


FROM_8_BITS = Costs(1.0, 1.0, 1.0, 1.0)
FROM_FEWER_BITS = Costs(7.0, 3.2, NEVER, NEVER)
