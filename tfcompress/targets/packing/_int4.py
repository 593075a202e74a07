"""Integers −7…7, two in a byte."""

from __future__ import annotations

from tfcompress._backend.tflite._builder import Builder
from tfcompress.targets.packing._apply import HYBRID, apply_scaled, one_scale
from tfcompress.targets.packing._encoding import NEVER, Costs
from tfcompress.targets.packing._int2 import MatrixBits
from tfcompress.targets.packing._layer import Layer, old


class Int4(MatrixBits):
    """INT4 weights on FULLY_CONNECTED's kernel with 8-bit activations.

    Without XNNPACK that kernel computes −8 wrongly. tflite_runtime 2.14 computes it rightly only
    with one scale, at least 4 outputs and inputs in multiples of 32; a CONV_2D gives NaN there.
    """

    name = "int4"
    costs = Costs(0.2, 0.3, 1.8, NEVER)
    kind, bits, lowest = "INT4", 4, -7

    def fits(self, layer: Layer, runtime: str) -> bool:
        if not super().fits(layer, runtime):
            return False
        if old(runtime):
            return layer.dense and layer.channels >= 4 and layer.inputs % 32 == 0
        return layer.inputs % 2 == 0

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        if not old(runtime):
            return super().write(builder, layer, runtime)
        scale, factor = one_scale(layer.levels)
        codes = layer.levels.codes
        packed = builder.tensor(layer.weights.shape, "INT4", data=codes, scale=scale)
        apply_scaled(builder, layer, packed, factor, HYBRID)
