"""DynamicRange: int8 weights, activations quantized on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Skipped, Target


@dataclass(frozen=True, eq=False)
class DynamicRange(Target):
    """Weights as int8 (about a quarter of the bytes), activations float and quantized call by call; needs no samples.

    Kernels of fewer than 1,024 weights stay float32 (the converter's threshold) and are listed as skipped. Often no faster
    than float, sometimes slower: measure.
    Parity bound: relative L2 error 0.3: 0.03 for a trained ResNet-8, at most 0.07 over any 16 images; a net whose weights 8
    bits cannot carry exceeds it.
    """

    max_relative_error: ClassVar[float] = 0.1

    @property
    def label(self) -> str:
        """`dynamic`."""
        return "dynamic"

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as `.tflite` bytes with int8 weights; raises ModelError, ConversionError, DataError for wrong samples."""
        return converter.convert(model, converter.Format(self.label, optimize=True), samples)

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """The kernels that stay float32, and large constants of other operators, each with the reason."""
        few = precision.DYNAMIC_THRESHOLD
        out = []
        for layer, op, kind, size in precision.kernels(model, data):
            if kind == "FLOAT32":
                reason = (
                    f"its kernel of {size:,} weights is below the converter's threshold of {few:,}"
                    if size < few
                    else _NO_FORM
                )
                out.append(Skipped(layer, op, self.label, reason))
        kernels = {(item.layer, item.kind) for item in out}
        for layer, op, size in precision.constants(model, data, "FLOAT32"):
            if size >= few and (layer, op) not in kernels:
                out.append(Skipped(layer, op, self.label, _NO_FORM))
        return tuple(dict.fromkeys(out))

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Every Conv2D, DepthwiseConv2D and Dense kernel of 1,024 weights or more is int8."""
        excused = [
            (layer, op)
            for layer, op, kind, size in precision.kernels(model, data)
            if kind == "FLOAT32"
            and (
                size < precision.DYNAMIC_THRESHOLD
                or op not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
            )
        ]
        right, left = precision.check_kernels(model, data, "INT8", self.label, excused=excused)
        precision.check_ends(data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in int8", right, right + left, relation="of"),)


_NO_FORM = "the converter has no dynamic-range form of this operator"
