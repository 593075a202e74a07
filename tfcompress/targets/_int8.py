"""Int8: weights and activations in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress._backend.tflite._rebuild import require_fusible, require_unrollable
from tfcompress.core import Check, RecipeError, Skipped, Target
from tfcompress.core._types import Data, Model

_IO = {"float": "FLOAT32", "int8": "INT8", "uint8": "UINT8"}
_LSTM = ("unrolled", "fused")
_DENSE_SCALES = ("channel", "tensor")
_NO_INT8 = ("CONV_3D", "CONV_3D_TRANSPOSE")
"""Operators with a kernel that have no int8 form."""
FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"


@dataclass(frozen=True, eq=False)
class Int8(Target):
    """Weights and activations as int8: about a quarter of the bytes, and fast.

    q = round(x / scale) + zero_point; biases are int32.

    Args:
        io: the type at the file's inputs and outputs: "float" (it converts by itself), "int8" or
            "uint8" (for integer-only devices; the scale stands in the file).
        fallback: let operators stay in float that the converter would otherwise refuse. Those
            without an int8 form run in float32 in any case and are listed as skipped.
        dense_scales: one scale for every output "channel" of a Dense kernel, or one for the whole
            "tensor", which saves up to 7 % of the bytes. Accuracy was the same with both in
            `benchmarks/int8_options.py`, the error of the outputs up to a fifth larger.
        lstm: "unrolled" writes recurrent layers out step by step (256 at most); "fused" writes
            an LSTM as one operator: 23,552 bytes where unrolled takes 40,160 for 8 steps (the
            same command), but slower on a CPU here, and it keeps its state between calls: the
            application must call `reset_all_variables()` before every sequence.

    Samples calibrate the activations' ranges: 100 or more inputs of the training set, of which at
    most 500 are used. A model trained by QuantizeAware brings its ranges and needs them for the
    rest. Parity bound: 0.25, twice the largest error of sound files in
    `benchmarks/parity_bounds.py` (0.12, ResNet-8 on CIFAR-10).
    """

    io: str = "float"
    fallback: bool = False
    dense_scales: str = "channel"
    lstm: str = "unrolled"

    max_relative_error: ClassVar[float] = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        options = (("io", _IO), ("dense_scales", _DENSE_SCALES), ("lstm", _LSTM))
        for name, known in options:
            given = getattr(self, name)
            if given not in known:
                raise RecipeError(
                    f"Int8({name}={given!r}): expected one of {', '.join(map(repr, known))}."
                )

    @property
    def needs_samples(self) -> bool:
        return True

    @property
    def label(self) -> str:
        """`int8`; `int8io` and `uint8io` with integer inputs and outputs."""
        return "int8" if self.io == "float" else f"{self.io}io"

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as int8 `.tflite` bytes.

        Raises ModelError, DataError (samples missing or wrong), ConversionError.
        """
        form = converter.Format(
            self.label,
            optimize=True,
            activations="int8",
            io=self.io,
            fallback=self.fallback,
            fused=self.lstm == "fused" and precision.is_recurrent_model(model),
            dense_per_tensor=self.dense_scales == "tensor",
        )
        return converter.convert(model, form, samples)

    def require(self, model: Model) -> None:
        """ConversionError for a recurrent layer that cannot be written as `lstm` says."""
        check = require_fusible if self.lstm == "fused" else require_unrollable
        check(model, self.label)

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """The operators that compute in float32."""
        reason = "the converter has no int8 form of it here: it runs in float32 between casts"
        return tuple(
            Skipped(layer, op, self.label, reason)
            for layer, op in precision.float_operators(model, data)
        )

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Every Conv, Dense and transposed Conv kernel is int8, and the ends are what `io` says.

        A float kernel raises InvariantError unless the operator has no int8 form, `fallback`
        allowed it, or the model is quantization-aware and the layer was not annotated.
        """
        left = precision.float_operators(model, data)
        if not self.fallback and not precision.is_quantization_aware(model):
            left = [(layer, op) for layer, op in left if op in _NO_INT8]
        right, excused = precision.check_kernels(model, data, "INT8", self.label, excused=left)
        precision.check_ends(model, data, _IO[self.io], self.label)
        checks = [Check(self.label, "kernels in int8", right, right + excused, relation="of")]
        fused = precision.count_operators(data, FUSED)
        if fused:
            what = "fused LSTMs, whose state is to be reset before every sequence"
            checks.append(Check(self.label, what, fused, fused, relation="of"))
        return tuple(checks)
