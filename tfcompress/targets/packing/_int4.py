"""Integers −7..7, two in a byte."""

from tfcompress.targets.packing._int2 import DequantizedBits, MatrixBits
from tfcompress.targets.packing._layer import HYBRID, apply_scaled, old, one_scale


class Int4(MatrixBits):
    """INT4 weights on FULLY_CONNECTED's kernel with 8-bit activations. Without XNNPACK that kernel computes −8 wrongly.

    tflite_runtime 2.14 computes it rightly only with one scale, at least 4 outputs and inputs in multiples of 32; a CONV_2D gives NaN.
    """

    name = "int4"
    kind, bits, low = "INT4", 4, -7

    def fits(self, layer, runtime):
        if not super().fits(layer, runtime):
            return False
        if old(runtime):
            return (
                layer.kind == "FULLY_CONNECTED" and layer.channels >= 4 and layer.inputs % 32 == 0
            )
        return layer.inputs % 2 == 0

    def write(self, b, layer, runtime):
        if not old(runtime):
            return super().write(b, layer, runtime)
        scale, factor = one_scale(layer.levels)
        packed = b.tensor(layer.weights.shape, "INT4", data=layer.levels.codes, scale=scale)
        apply_scaled(b, layer, packed, factor, HYBRID)


class Int4Float(DequantizedBits):
    """INT4 weights, −8 too → DEQUANTIZE → the float kernel, for any operator."""

    name = "int4-dequantize"
    kind, bits = "INT4", 4
