"""Weights stored in the bits they were trained to, or as clusters, for stock interpreters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Target
from tfcompress.core._types import Array, Data, Model
from tfcompress.targets.packing import (
    PREFERENCES,
    RESTS,
    RUNTIMES,
    TOLERANCE,
    PackedLayer,
    detect,
    int8_step,
    kernels_of,
    pack,
    packed_layers,
)

ROUNDING = 0.502
"""Largest distance of a weight to its int8 level, in steps: half a step, and float32 rounding."""

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

    Integer kernels with float inputs round those to 8 bits in each run, as dynamic-range files do;
    hence the parity bound.

    Args:
        prefer: "speed" takes the smallest encoding that is not slower than what the converter
            wrote, "size" the smallest.
        runtime: "litert" (LiteRT and TensorFlow's interpreter), "tflite_runtime" (2.14) or "any" (a
            file for all of them).
        rest: "float" or "int8": what becomes of layers on no levels.

    Raises RecipeError for another word, ConversionError where the model has no float `.tflite`,
    InvariantError where weights read back differ from the model's.
    """

    max_relative_error: ClassVar[float] = 0.1

    prefer: str = "speed"
    runtime: str = "litert"
    rest: str = "float"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, known in (("prefer", PREFERENCES), ("runtime", RUNTIMES), ("rest", RESTS)):
            value = getattr(self, field)
            if value not in known:
                words = ", ".join(map(repr, known))
                raise RecipeError(f"Packed({field}={value!r}): expected one of {words}.")

    @property
    def label(self) -> str:
        """`packed`, then what differs from the default: `packedsize`, `packed-any-int8rest`."""
        label = "packedsize" if self.prefer == "size" else "packed"
        if self.runtime != "litert":
            label += f"-{self.runtime}"
        return f"{label}-int8rest" if self.rest == "int8" else label

    def convert(self, model: Model, samples: Data = None) -> bytes:
        """`model` as a packed `.tflite`; `samples` are not needed."""
        plain = _plain_file(model)
        _last_plain[model] = (_fingerprint(model), plain)
        return pack(
            plain,
            prefer=self.prefer,
            runtime=self.runtime,
            rest=self.rest,
            names=kernels_of(model),
        )

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """Layers whose weights are float in the file, each with what was found in them."""
        return tuple(
            Skipped(layer.name, layer.op, self.label, self._reason(layer))
            for layer in packed_layers(data)
            if layer.encoding == "float"
        )

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """Largest error of each layer's weights in the file to the model's.

        BatchNormalization is folded into the weights. The error is relative to each weight and
        bounded by 2⁻²², two roundings to float32. With `rest="int8"` a layer on no levels may
        be off by half a step: 1/254 of its channel's largest weight, or of the largest cluster
        times the channel's factor.
        """
        expected, written = packed_layers(_converted(model)), packed_layers(data)
        if len(expected) != len(written):
            raise InvariantError(
                f"{self.label}: the model has {len(expected)} layers with weights, the file"
                f" {len(written)}. Please report the model."
            )
        return tuple(self._check_layer(*pair) for pair in zip(expected, written))

    def _check_layer(self, expected: PackedLayer, written: PackedLayer) -> Check:
        before = expected.weights().astype(np.float64)
        after = written.weights().astype(np.float64).reshape(before.shape)
        what, bound = "relative error of the weights", TOLERANCE
        error = _largest_ratio(after - before, before)
        if self.rest == "int8" and written.encoding != "float" and error > bound:
            what, bound = "error of the weights over their channel's largest", ROUNDING / 127
            error = _largest_ratio(after - before, 127 * _steps(before, expected.axis))
        if not error <= bound:
            raise InvariantError(
                f"{self.label}: the weights of {written.name!r} ({written.encoding}) are off by"
                f" {error:.3g}, bound {bound:.3g}. Please report the model."
            )
        stored = f"{written.encoding}, {written.bits:g} bits, {written.bytes:,} bytes"
        return Check(self.label, f"{what} ({stored})", error, bound, written.name)

    def _reason(self, layer: PackedLayer) -> str:
        """Why a layer's weights were left in float32."""
        count = f"{int(np.prod(layer.shape)):,}"
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


_last_plain: WeakKeyDictionary[Model, tuple[bytes, bytes]] = WeakKeyDictionary()
"""(fingerprint, plain file) of models that were converted and not checked yet."""


def _converted(model: Model) -> bytes:
    """The plain file of the model: that of `convert`, if the model's weights are still those."""
    fingerprint, plain = _last_plain.pop(model, (b"", b""))
    return plain if fingerprint == _fingerprint(model) else _plain_file(model)


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


def _steps(weights: Array, axis: int) -> Array:
    """Distance of neighbouring int8 levels for each of `weights`, shaped to divide them."""
    single = weights.astype(np.float32)
    shape = [1] * weights.ndim
    shape[axis] = -1
    return int8_step(single, detect(single, axis), axis).astype(np.float64).reshape(shape)


def _largest_ratio(difference: Array, size: Array) -> float:
    """Largest |difference| / |size|, where nothing is smaller than the smallest float32."""
    floor = np.maximum(np.abs(size), np.finfo(np.float32).tiny)
    return float((np.abs(difference) / floor).max(initial=0))
