"""Weights stored in the bits they were trained to, or as clusters, for stock interpreters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from tfcompress._backend.interpreter._runtimes import choose
from tfcompress._backend.keras._samples import take
from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Target
from tfcompress.core._types import Array, Data, Model
from tfcompress.targets.packing import (
    MICRO,
    PREFERENCES,
    RESTS,
    RUNTIMES,
    PackedLayer,
    kernels_of,
    micro_checks,
    pack,
    pack_for_micro,
    packed_layers,
    weight_checks,
)

MICRO_ERROR = 0.25
"""Parity bound of int8 activations, as Int8's."""

COMPARED = 16
"""Inputs that the packed and the int8 file must answer alike on a microcontroller."""

PACKABLE = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, eq=False)
class Packed(Target):
    """Every layer's weights in the smallest or fastest encoding that holds exactly their values.

    The levels are found in the weights (binary, ternary, b-bit, clusters, zeros; per layer or
    channel) and written with their own scales: nothing is quantized here, unless `rest="int8"` asks
    to round the layers that lie on no levels to 255 levels a channel. A model trained by
    QuantizeAware stays an int8 network: its int8 weights are packed, and the results are bit by
    bit those of the dense int8 file on the same kernels. Layers which no encoding fits stay as
    they are.

    For microcontrollers the model is written as int8, calibrated by samples. Weights of few values
    become indices of 1 to 7 bits, decoded from look-up tables into the arena right before they are
    used; large layers are split along their output channels and decoded slice by slice into the
    same memory.

    Integer kernels with float inputs round those to 8 bits in each run, as dynamic-range files do;
    hence the parity bound.

    Args:
        prefer: "speed" takes the smallest encoding that is not slower than what the converter
            wrote, "size" the smallest.
        runtime: "litert" (LiteRT and TensorFlow's interpreter), "tflite_runtime" (2.14), "any" (a
            file for all of them) or "micro" (TensorFlow Lite for Microcontrollers, which alone
            decodes these files).
        rest: "float" or "int8": what becomes of layers on no levels.
        max_arena_bytes: for "micro", the most memory that the file may take while it runs. Without
            it flash and arena together are as small as can be, or the flash where `size` is
            preferred.

    Raises RecipeError for another word, ConversionError where the model has no float `.tflite`,
    InvariantError where weights read back differ from the model's.
    """

    max_relative_error: ClassVar[float] = 0.1

    prefer: str = "speed"
    runtime: str = "litert"
    rest: str = "float"
    max_arena_bytes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        runtimes = (*RUNTIMES, MICRO)
        for field, known in (("prefer", PREFERENCES), ("runtime", runtimes), ("rest", RESTS)):
            value = getattr(self, field)
            if value not in known:
                words = ", ".join(map(repr, known))
                raise RecipeError(f"Packed({field}={value!r}): expected one of {words}.")
        self._check_micro_options()

    def _check_micro_options(self) -> None:
        """RecipeError for options of microcontrollers elsewhere, and others there."""
        arena = self.max_arena_bytes
        if arena is not None and (type(arena) is not int or arena < 1):
            raise RecipeError(
                f"Packed(max_arena_bytes={arena!r}): expected a whole number of bytes, or None."
            )
        if arena is not None and self.runtime != MICRO:
            raise RecipeError(
                f"Packed(runtime={self.runtime!r}, max_arena_bytes={arena:,}): an arena is the"
                " memory of a file on microcontrollers; add runtime='micro'."
            )
        if self.runtime == MICRO and self.rest != "float":
            raise RecipeError(
                f"Packed(runtime='micro', rest={self.rest!r}): there all layers are int8 before"
                " they are packed; leave rest out."
            )

    @property
    def needs_samples(self) -> bool:
        return self.runtime == MICRO

    def error_bound(self) -> float:
        """As Int8's for microcontrollers, where activations are int8 too."""
        return MICRO_ERROR if self.runtime == MICRO else self.max_relative_error

    @property
    def label(self) -> str:
        """`packed`, then what differs from the default: `packedsize`, `packed-any-int8rest`.

        `packedmicro` for microcontrollers, `packedmicro85k` within an arena of 85,000 bytes.
        """
        label = "packedsize" if self.prefer == "size" else "packed"
        if self.runtime == MICRO:
            return f"{label}{MICRO}{_in_thousands(self.max_arena_bytes)}"
        if self.runtime != "litert":
            label += f"-{self.runtime}"
        return f"{label}-int8rest" if self.rest == "int8" else label

    def require(self, model: Model) -> None:
        """InterpreterError where the runtime is missing that a microcontroller's file is run in."""
        if self.runtime == MICRO:
            choose(MICRO)

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as a packed `.tflite`; `samples` calibrate it for a microcontroller."""
        if self.runtime == MICRO:
            return self._convert_for_micro(model, samples)
        plain = _plain_file(model)
        _last[model] = _Converted(_fingerprint(model), plain)
        return pack(
            plain,
            prefer=self.prefer,
            runtime=self.runtime,
            rest=self.rest,
            names=kernels_of(model),
        )

    def _convert_for_micro(self, model: Model, samples: Data) -> bytes:
        form = converter.Format(self.label, optimize=True, activations="int8")
        plain = converter.convert(model, form, samples)
        inputs = take(model, samples, COMPARED)
        _last[model] = _Converted(_fingerprint(model), plain, inputs)
        budget = self.max_arena_bytes
        names = kernels_of(model)
        return pack_for_micro(plain, names=names, prefer=self.prefer, max_arena_bytes=budget)

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """Layers whose weights are float in the file, each with what was found in them."""
        return tuple(
            Skipped(layer.name, layer.op, self.label, self._reason(layer))
            for layer in packed_layers(data)
            if layer.encoding in ("float", "int8" if self.runtime == MICRO else "float")
        )

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Largest error of each layer's weights in the file to the model's.

        BatchNormalization is folded into the weights. The error is relative to each weight and
        bounded by 2⁻²², two roundings to float32. With `rest="int8"` a layer on no levels may
        be off by half a step: 1/254 of its channel's largest weight, or of the largest cluster
        times the channel's factor. On microcontrollers weights and outputs are the int8 file's, bit
        for bit, and flash and arena are told beside that file's.
        """
        if self.runtime == MICRO:
            return self._check_for_micro(model, data)
        return tuple(weight_checks(_converted(model), data, self.label, self.rest))

    def _check_for_micro(self, model: Model, data: bytes) -> tuple[Check, ...]:
        last = _last.pop(model, None)
        if last is None or last.fingerprint != _fingerprint(model):
            raise InvariantError(
                f"{self.label}: the int8 file is gone that this one is compared with; call"
                " convert() on the model as it is now, then check()."
            )
        return tuple(micro_checks(last.plain, data, last.inputs, self.label, self.max_arena_bytes))

    def _reason(self, layer: PackedLayer) -> str:
        """Why a layer's weights were left in float32."""
        count = f"{int(np.prod(layer.shape)):,}"
        if self.runtime == MICRO:
            return (
                f"{layer.levels}: look-up tables of its {count} weights save nothing, or no more"
                " than the arena grows by"
            )
        if layer.in_loop:
            return f"no encoding inside a loop over time ({layer.bytes:,} bytes float)"
        if layer.op not in PACKABLE:
            return f"no encoding for {layer.op} ({layer.bytes:,} bytes float)"
        if layer.levels == "float":
            return f"its {count} weights lie on no levels or clusters; rest='int8' would round them"
        if self.prefer == "speed":
            return (
                f"{layer.levels}, but nothing clearly smaller runs as fast as float on"
                f" {self.runtime}; prefer='size' packs it"
            )
        return (
            f"{layer.levels}: no encoding of its {count} weights is smaller than float on"
            f" {self.runtime}"
        )


@dataclass(frozen=True)
class _Converted:
    """What `convert` read: the weights' fingerprint, the plain file, and inputs to compare on."""

    fingerprint: bytes
    plain: bytes
    inputs: Sequence[Array] = ()


_last: WeakKeyDictionary[Model, _Converted] = WeakKeyDictionary()
"""Models that were converted and not checked yet."""


def _converted(model: Model) -> bytes:
    """The plain file of the model: that of `convert`, if the model's weights are still those."""
    last = _last.pop(model, None)
    if last is not None and last.fingerprint == _fingerprint(model):
        return last.plain
    return _plain_file(model)


def _in_thousands(arena: int | None) -> str:
    """`85k` for 85,000 bytes, `85500` for 85,500; nothing without a budget."""
    if arena is None:
        return ""
    return str(arena) if arena % 1000 else f"{arena // 1000}k"


def _fingerprint(model: Model) -> bytes:
    """A digest of all weights of the model."""
    digest = hashlib.blake2b(digest_size=16)
    for weight in model.weights:
        digest.update(np.asarray(weight).tobytes())
    return digest.digest()


def _plain_file(model: Model) -> bytes:
    """The model in float32, or in int8 where QuantizeAware trained it for that."""
    integer = precision.is_quantization_aware(model)
    return converter.convert(model, converter.Format("packed", optimize=integer))
