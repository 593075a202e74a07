"""Float32: the model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, Target


@dataclass(frozen=True, eq=False)
class Float32(Target):
    """The model as it is, 32-bit floats throughout: the base that every other file is compared with.

    Parity bound: relative L2 error 0.01. The interpreter only sums in another order (1e-7 … 1e-5); a model that itself
    computes in half precision differs by 1e-4 … 5e-3. `samples` are needed only to fix an input's open dimensions.
    """

    max_relative_error: ClassVar[float] = 0.01
    max_error_on_noise: ClassVar[float] = 0.001

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as float32 `.tflite` bytes of batch 1; raises ModelError, ConversionError, DataError for wrong samples."""
        return converter.convert(model, converter.Format(self.label), samples)

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Every kernel is float32; of a quantization-aware model those the converter has already made int8 are let be."""
        excused = [
            (layer, op) for layer, op, kind, _ in precision.kernels(model, data) if kind == "INT8"
        ]
        excused = excused if precision.is_quantization_aware(model) else []
        right, _ = precision.check_kernels(model, data, "FLOAT32", self.label, excused=excused)
        precision.check_ends(data, "FLOAT32", self.label)
        return (Check(self.label, "kernels in float32", right, right, relation="of"),)
