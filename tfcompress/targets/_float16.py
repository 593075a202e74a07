"""Float16: half-precision weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Skipped, Target
from tfcompress.core._types import Data, Model


@dataclass(frozen=True, eq=False)
class Float16(Target):
    """Weights as 16-bit floats, about half the bytes; computed in float32 on a CPU.

    A GPU computes in float16. Each weight is off by at most 2⁻¹¹ of itself. Parity bound: 0.05;
    trained networks have 2e-4 to 3e-3 in `benchmarks/parity_bounds.py`, and MobileNet 0.25 of
    ImageNet had 0.06 on enlarged CIFAR images, to which it gives nearly equal probabilities.
    Weights beyond ±65504 and diverged networks exceed it.
    """

    max_relative_error: ClassVar[float] = 0.05
    max_error_on_noise: ClassVar[float] = 0.05

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as `.tflite` bytes with float16 weights.

        Raises ModelError, ConversionError, DataError for wrong samples.
        """
        form = converter.Format(self.label, optimize=True, float16=True)
        return converter.convert(model, form, samples)

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """The constants that stay float32."""
        reason = "the converter keeps this constant in float32"
        left = [(layer, op) for layer, op, _ in precision.constants(model, data, "FLOAT32")]
        return tuple(Skipped(layer, op, self.label, reason) for layer, op in dict.fromkeys(left))

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Every kernel is float16.

        Of a quantization-aware model those that the converter has already made int8 are let be,
        and those of recurrent layers, which it leaves in float32.
        """
        excused = []
        if precision.is_quantization_aware(model):
            excused = precision.layers_with_kernels(model, data, "INT8")
            if precision.is_recurrent_model(model):
                excused += precision.layers_with_kernels(model, data, "FLOAT32")
        right, _ = precision.check_kernels(model, data, "FLOAT16", self.label, excused=excused)
        precision.check_ends(model, data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in float16", right, right, relation="of"),)
