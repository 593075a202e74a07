"""Float32: the model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Target
from tfcompress.core._types import Data, Model


@dataclass(frozen=True, eq=False)
class Float32(Target):
    """The model as it is, 32-bit floats throughout: the base that other files are compared with.

    Samples are needed only to fix an input's open dimensions. Parity bound: 0.01, and 0.001 on
    random inputs. The interpreter only sums in another order: 1e-7 to 1e-5 in
    `benchmarks/parity_bounds.py`. A model that itself computes in half precision may be 0.02 off.
    """

    max_relative_error: ClassVar[float] = 0.01
    max_error_on_noise: ClassVar[float] = 0.001

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as float32 `.tflite` bytes of batch 1.

        Raises ModelError, ConversionError, DataError for wrong samples.
        """
        return converter.convert(model, converter.Format(self.label), samples)

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Every kernel is float32.

        Of a quantization-aware model those that the converter has already made int8 are let be.
        """
        excused = []
        if precision.is_quantization_aware(model):
            excused = precision.layers_with_kernels(model, data, "INT8")
        right, _ = precision.check_kernels(model, data, "FLOAT32", self.label, excused=excused)
        precision.check_ends(model, data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in float32", right, right, relation="of"),)
