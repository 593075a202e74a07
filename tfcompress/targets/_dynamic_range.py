"""DynamicRange: int8 weights, activations quantized on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Skipped, Target
from tfcompress.core._types import Data, Model

_HYBRID = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators that take int8 weights with float activations."""
_NO_FORM = "the converter has no dynamic-range form of this operator"


@dataclass(frozen=True, eq=False)
class DynamicRange(Target):
    """Weights as int8, about a quarter of the bytes; activations quantized call by call.

    It needs no samples. Kernels of fewer than 1,024 weights stay float32 (the converter's
    threshold) and are listed as skipped. Often no faster than float, sometimes slower: measure.
    Parity bound: 0.1, twice the largest error of sound files in `benchmarks/parity_bounds.py`
    (0.040, ResNet-8 on CIFAR-10); a network whose weights 8 bits cannot carry exceeds it.
    """

    max_relative_error: ClassVar[float] = 0.1

    @property
    def label(self) -> str:
        """`dynamic`."""
        return "dynamic"

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as `.tflite` bytes with int8 weights.

        Raises ModelError, ConversionError, DataError for wrong samples.
        """
        return converter.convert(model, converter.Format(self.label, optimize=True), samples)

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """The kernels that stay float32, and large constants of other operators, with reasons."""
        fewest = precision.DYNAMIC_THRESHOLD
        reasons: dict[tuple[str, str], str] = {}
        for layer, op, kind, size in precision.kernels(model, data):
            if kind == "FLOAT32":
                small = f"its kernel of {size:,} weights is below the converter's threshold of"
                reasons[layer, op] = f"{small} {fewest:,}" if size < fewest else _NO_FORM
        for layer, op, size in precision.constants(model, data, "FLOAT32"):
            if size >= fewest:
                reasons.setdefault((layer, op), _NO_FORM)
        return tuple(Skipped(*place, self.label, reason) for place, reason in reasons.items())

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Every Conv2D, DepthwiseConv2D and Dense kernel of 1,024 weights or more is int8.

        The converter leaves those of recurrent layers in float32 where the model is
        quantization-aware.
        """
        excused = []
        if precision.is_quantization_aware(model) and precision.is_recurrent_model(model):
            excused = precision.layers_with_kernels(model, data, "FLOAT32")
        for layer, op, kind, size in precision.kernels(model, data):
            may_stay = size < precision.DYNAMIC_THRESHOLD or op not in _HYBRID
            if kind == "FLOAT32" and may_stay:
                excused.append((layer, op))
        right, left = precision.check_kernels(model, data, "INT8", self.label, excused=excused)
        precision.check_ends(model, data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in int8", right, right + left, relation="of"),)
