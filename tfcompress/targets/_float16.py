"""Float16: half-precision weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Skipped, Target


@dataclass(frozen=True, eq=False)
class Float16(Target):
    """Weights as 16-bit floats, about half the bytes; computed in float32 on a CPU, in float16 on a GPU.

    Parity bound: relative L2 error 0.05. Each weight is off by at most 2⁻¹¹ of itself; 1e-5 … 5e-3 is usual, and weights
    beyond ±65504 or a diverged net exceed it.
    """

    max_relative_error: ClassVar[float] = 0.05
    max_error_on_noise: ClassVar[float] = 0.05

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as `.tflite` bytes with float16 weights; raises ModelError, ConversionError, DataError for wrong samples."""
        return converter.convert(
            model, converter.Format(self.label, optimize=True, float16=True), samples
        )

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """The constants that stay float32."""
        left = dict.fromkeys(
            (layer, op) for layer, op, _ in precision.constants(model, data, "FLOAT32")
        )
        return tuple(
            Skipped(layer, op, self.label, "the converter keeps this constant in float32")
            for layer, op in left
        )

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Every kernel is float16; of a quantization-aware model those the converter has already made int8 are let be."""
        aware = precision.is_quantization_aware(model)
        excused = [
            (layer, op)
            for layer, op, kind, _ in precision.kernels(model, data)
            if aware and kind == "INT8"
        ]
        right, _ = precision.check_kernels(model, data, "FLOAT16", self.label, excused=excused)
        precision.check_ends(data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in float16", right, right, relation="of"),)
