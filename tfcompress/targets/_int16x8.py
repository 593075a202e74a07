"""Int16x8: int8 weights, 16-bit activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, RecipeError, Skipped, Target

_IO = {"float": "FLOAT32", "int16": "INT16"}


@dataclass(frozen=True, eq=False)
class Int16x8(Target):
    """Weights as int8, activations as int16 (symmetric), biases as int64: int8's size, more exact where activations are delicate.

    `io` is the type at the file's inputs and outputs, "float" or "int16"; `samples` calibrate as for Int8.
    Far fewer operators exist in this form (no HARD_SWISH, DIV, PRELU, ELU, LayerNorm …): they are found before conversion
    and named; with `fallback=True` those that can stay float do, and are listed as skipped.
    Warning: few kernels are optimized; EfficientNetB0 took 87.7 ms where Int8 took 2.5. Measure before choosing it for speed.
    Parity bound: relative L2 error 0.3; the weights' 8 bits dominate: 0.03 for a trained ResNet-8, at most 0.1 over any 16 images.
    """

    io: str = "float"
    fallback: bool = False

    needs_samples: ClassVar[bool] = True
    max_relative_error: ClassVar[float] = 0.12

    def __post_init__(self):
        super().__post_init__()
        if self.io not in _IO:
            raise RecipeError(
                f"Int16x8(io={self.io!r}): expected one of {', '.join(map(repr, _IO))}."
            )

    @property
    def label(self) -> str:
        """`int16x8`; `int16x8io` with integer inputs and outputs."""
        return "int16x8" if self.io == "float" else "int16x8io"

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as 16×8-bit `.tflite` bytes; raises ModelError, DataError (samples missing or wrong), ConversionError."""
        form = converter.Format(
            self.label, optimize=True, activations="int16", io=self.io, fallback=self.fallback
        )
        return converter.convert(model, form, samples)

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """The operators that compute in float32."""
        reason = "the converter has no 16×8-bit form of it: it runs in float32 between casts"
        return tuple(
            Skipped(layer, op, self.label, reason)
            for layer, op in precision.float_operators(model, data)
        )

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Every Conv, Dense and transposed Conv kernel is int8 and the ends are what `io` says; else InvariantError."""
        left = precision.float_operators(model, data) if self.fallback else []
        right, excused = precision.check_kernels(model, data, "INT8", self.label, excused=left)
        precision.check_ends(data, _IO[self.io], self.label)
        return (Check(self.label, "kernels in int8", right, right + excused, relation="of"),)
