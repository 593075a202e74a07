"""Int8: weights and activations in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, RecipeError, Skipped, Target

_IO = {"float": "FLOAT32", "int8": "INT8", "uint8": "UINT8"}


@dataclass(frozen=True, eq=False)
class Int8(Target):
    """Weights and activations as int8, q = round(x / scale) + zero_point, biases as int32: about a quarter of the bytes, and fast.

    `io` is the type at the file's inputs and outputs: "float" (it converts by itself), "int8" or "uint8" (integer-only
    devices; the scale stands in the file). `samples` calibrate the activation ranges: 100 or more inputs of the training
    set, at most 500 are used; a model trained by QuantizeAware brings its ranges and needs them for the rest.
    Operators without an int8 form run in float32 and are listed as skipped; `fallback=True` also lets the converter keep
    operators in float that it would otherwise refuse. Recurrent layers are written out step by step (at most 256 steps).
    Parity bound: relative L2 error 0.5. A trained ResNet-8 on CIFAR-10 has 0.08 over the test set and at most 0.23 over any
    16 images (one flipped class among 16 is 0.2 … 0.35); collapsed ranges or samples unlike the inputs give 0.7 and more.
    """

    io: str = "float"
    fallback: bool = False

    needs_samples: ClassVar[bool] = True
    max_relative_error: ClassVar[float] = 0.25

    def __post_init__(self):
        super().__post_init__()
        if self.io not in _IO:
            raise RecipeError(f"Int8(io={self.io!r}): expected one of {', '.join(map(repr, _IO))}.")

    @property
    def label(self) -> str:
        """`int8`; `int8io` and `uint8io` with integer inputs and outputs."""
        return "int8" if self.io == "float" else f"{self.io}io"

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as int8 `.tflite` bytes; raises ModelError, DataError (samples missing or wrong), ConversionError."""
        form = converter.Format(
            self.label, optimize=True, activations="int8", io=self.io, fallback=self.fallback
        )
        return converter.convert(model, form, samples)

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """The operators that compute in float32."""
        reason = "the converter has no int8 form of it here: it runs in float32 between casts"
        return tuple(
            Skipped(layer, op, self.label, reason)
            for layer, op in precision.float_operators(model, data)
        )

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Every Conv, Dense and transposed Conv kernel is int8, and the ends are what `io` says.

        A float kernel raises InvariantError unless the operator has no int8 form, `fallback` allowed it, or the model is
        quantization-aware and the layer was not annotated.
        """
        left = precision.float_operators(model, data)
        if not self.fallback and not precision.is_quantization_aware(model):
            left = [(layer, op) for layer, op in left if op in ("CONV_3D", "CONV_3D_TRANSPOSE")]
        right, excused = precision.check_kernels(model, data, "INT8", self.label, excused=left)
        precision.check_ends(data, _IO[self.io], self.label)
        return (Check(self.label, "kernels in int8", right, right + excused, relation="of"),)
