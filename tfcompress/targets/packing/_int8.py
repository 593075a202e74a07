"""Integers −127…127 in a byte each, given to the integer kernel."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder, Quantization
from tfcompress.targets.packing._apply import (
    HYBRID,
    apply,
    apply_scaled,
    channel_scales,
    equal_scales,
    one_scale,
    scaling_bytes,
)
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, Layer, old
from tfcompress.targets.packing._stored import StoredWeights


class Int8(Encoding):
    """INT8 weights on the kernel that rounds its float input to 8 bits, each row by its own range.

    tflite_runtime 2.14 ignores a FULLY_CONNECTED's channel scales without a word: there the tensor
    has one scale and a MUL follows. A CONV_2D whose channel scales are all equal gives zeros there:
    it gets that one scale, which no runtime takes for a grouped one.
    """

    name = "int8"
    costs = Costs(0.25, 0.25, 1.6, 6.6)

    def fits(self, layer: Layer, runtime: str) -> bool:
        if not layer.grid or layer.kind == "DEPTHWISE_CONV_2D":
            return False
        return not (layer.grouped and old(runtime) and equal_scales(layer))

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        scale_bytes = max(CHANNEL * layer.channels, scaling_bytes(layer))
        return CONSTANT + layer.weights.size + scale_bytes

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes = layer.levels.codes.astype(np.int8)
        if layer.dense and old(runtime):
            scale, factor = one_scale(layer.levels)
            weight = builder.tensor(codes.shape, "INT8", data=codes, scale=scale)
            return apply_scaled(builder, layer, weight, factor, HYBRID)
        scales: Quantization = channel_scales(layer)
        if old(runtime) and equal_scales(layer):
            scales = {"scale": layer.levels.scale[:1]}
        apply(builder, layer, builder.tensor(codes.shape, "INT8", data=codes, **scales), HYBRID)

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.is_plain("INT8")
