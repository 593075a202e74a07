"""Int16x8: int8 weights, 16-bit activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress._backend.tflite._rebuild import require_unrollable
from tfcompress.core import Check, RecipeError, Skipped, Target
from tfcompress.core._types import Data, Model

_IO = {"float": "FLOAT32", "int16": "INT16"}


@dataclass(frozen=True, eq=False)
class Int16x8(Target):
    """Weights as int8, activations as int16: int8's size, more exact where activations matter.

    Activations are symmetric, biases int64. Far fewer operators exist in this form than in int8
    (no HARD_SWISH, DIV, PRELU, ELU, LayerNorm …): the error names them and their layers. Few
    kernels are optimized; EfficientNetB0 took 87.7 ms where Int8 took 2.5.

    Args:
        io: the type at the file's inputs and outputs, "float" or "int16".
        fallback: let operators without a 16×8-bit form stay in float; they are listed as skipped.

    Samples calibrate as for Int8. Parity bound: 0.12, twice the largest error of sound files in
    `benchmarks/parity_bounds.py` (0.054, ResNet-8 on CIFAR-10); the weights' 8 bits dominate.
    """

    io: str = "float"
    fallback: bool = False

    max_relative_error: ClassVar[float] = 0.12

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.io not in _IO:
            raise RecipeError(
                f"Int16x8(io={self.io!r}): expected one of {', '.join(map(repr, _IO))}."
            )

    @property
    def needs_samples(self) -> bool:
        return True

    @property
    def label(self) -> str:
        """`int16x8`; `int16x8io` with integer inputs and outputs."""
        return "int16x8" if self.io == "float" else "int16x8io"

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as 16×8-bit `.tflite` bytes.

        Raises ModelError, DataError (samples missing or wrong), ConversionError.
        """
        form = converter.Format(
            self.label, optimize=True, activations="int16", io=self.io, fallback=self.fallback
        )
        return converter.convert(model, form, samples)

    def require(self, model: Model) -> None:
        """ConversionError for a recurrent layer that cannot be written out step by step."""
        require_unrollable(model, self.label)

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """The operators that compute in float32."""
        reason = "the converter has no 16×8-bit form of it: it runs in float32 between casts"
        return tuple(
            Skipped(layer, op, self.label, reason)
            for layer, op in precision.float_operators(model, data)
        )

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Every Conv, Dense and transposed Conv kernel is int8, and the ends are what `io` says.

        Raises InvariantError where one is not.
        """
        left = precision.float_operators(model, data) if self.fallback else []
        right, excused = precision.check_kernels(model, data, "INT8", self.label, excused=left)
        precision.check_ends(model, data, _IO[self.io], self.label)
        return (Check(self.label, "kernels in int8", right, right + excused, relation="of"),)
