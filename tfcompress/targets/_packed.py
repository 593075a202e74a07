"""Weights stored in the 1, 2, 4 or 8 bits they were trained to, or as clusters and without their zeros, for stock interpreters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _precision as precision
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Target
from tfcompress.targets.packing import (
    PREFERENCES,
    RESTS,
    RUNTIMES,
    TOLERANCE,
    other_weights,
    pack,
    packed_layers,
)


@dataclass(frozen=True, eq=False)
class Packed(Target):
    """Every layer's weights in the smallest or fastest encoding that holds exactly the values they have.

    The levels are found in the weights (binary, ternary, b-bit, clusters, zeros; per layer or channel) and written with their own
    scales: nothing is quantized here, unless `rest="int8"` asks to round the layers that lie on no levels to 255 levels a channel.
    A model trained by QuantizeAware stays an int8 network: its int8 weights are packed, and the results are bit by bit those of the
    dense int8 file on the same kernels.
    `prefer`: "speed" takes the smallest encoding that is not slower than what the converter wrote, "size" the smallest.
    `runtime`: "litert" (LiteRT and TensorFlow's interpreter), "tflite_runtime" (2.14) or "any" (a file for all of them).
    Layers which no encoding fits stay as they are.

    Integer kernels with float inputs round those to 8 bits in each run, as dynamic-range files do; hence the parity bound.
    Raises RecipeError for another word, ConversionError where the model has no float `.tflite`, InvariantError where weights read
    back differ from the model's.
    """

    max_relative_error: ClassVar[float] = 0.3

    prefer: str = "speed"
    runtime: str = "litert"
    rest: str = "float"

    def __post_init__(self):
        super().__post_init__()
        for field, known in (("prefer", PREFERENCES), ("runtime", RUNTIMES), ("rest", RESTS)):
            if getattr(self, field) not in known:
                raise RecipeError(
                    f"Packed({field}={getattr(self, field)!r}): expected one of {', '.join(map(repr, known))}."
                )

    @property
    def label(self) -> str:
        """`packed`, then what differs from the default: `packedsize`, `packed-any`, `packed-int8rest`."""
        return (
            "packed"
            + ("size" if self.prefer == "size" else "")
            + ("" if self.runtime == "litert" else f"-{self.runtime}")
            + ("-int8rest" if self.rest == "int8" else "")
        )

    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` as a packed `.tflite`; `samples` are not needed."""
        kernels = [
            layer
            for layer in _keras.leaf_layers(model)
            if any(len(weight.shape) >= 2 for weight in layer.weights)
        ]
        names = [layer.name for layer in kernels]
        return pack(
            _plain_file(model),
            prefer=self.prefer,
            runtime=self.runtime,
            rest=self.rest,
            names=names,
        )

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """Layers whose weights are float in the file, each with what was found in them."""
        left = [
            Skipped(layer.name, layer.op, self.label, self._reason(layer))
            for layer in packed_layers(data)
            if layer.encoding == "float"
        ]
        others = [
            Skipped(name, op, self.label, f"no encoding for {op} ({size:,} bytes float)")
            for name, op, size in other_weights(data)
        ]
        return (*left, *others)

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """Largest relative error of each layer's weights in the file to the model's (BatchNormalization folded in); 2⁻²² is two roundings.

        With `rest="int8"` a layer on no levels may be off by half a step, 1/254 of its channel's largest weight.
        """
        checks = []
        model_layers, file_layers = packed_layers(_plain_file(model)), packed_layers(data)
        if len(model_layers) != len(file_layers):
            raise InvariantError(
                f"{self.label}: the model has {len(model_layers)} layers with weights, the file {len(file_layers)}."
            )
        for wanted, got in zip(model_layers, file_layers):
            before, after = (
                wanted.weights().astype(np.float64),
                got.weights().astype(np.float64).reshape(wanted.shape),
            )
            what, bound, floor = "relative error of the weights", TOLERANCE, np.abs(before)
            if (
                self.rest == "int8"
                and got.encoding != "float"
                and not np.allclose(before, after, rtol=TOLERANCE, atol=0)
            ):
                what, bound = "error of the weights over their channel's largest", 0.502 / 127
                floor = np.abs(before).max(axis=_others(wanted), keepdims=True)
                if "clusters" in wanted.levels:
                    floor = np.abs(before).max()
            error = float(
                (np.abs(after - before) / np.maximum(floor, np.finfo(np.float32).tiny)).max(
                    initial=0
                )
            )
            if not error <= bound:
                raise InvariantError(
                    f"{self.label}: the weights of {got.name!r} ({got.encoding}) are off by {error:.3g}, bound {bound:.3g}."
                )
            checks.append(
                Check(
                    self.label,
                    f"{what} ({got.encoding}, {got.bits:g} bits, {got.bytes:,} bytes)",
                    error,
                    bound,
                    got.name,
                )
            )
        return tuple(checks)

    def _reason(self, layer: Any) -> str:
        if layer.levels == "float":
            return f"its {int(np.prod(layer.shape)):,} weights lie on no levels or clusters; rest='int8' would round them"
        if self.prefer == "speed":
            return f"{layer.levels}, but nothing clearly smaller runs as fast as float on {self.runtime}; prefer='size' packs it"
        return f"{layer.levels}: no encoding of its {int(np.prod(layer.shape)):,} weights is smaller than float on {self.runtime}"


def _plain_file(model: Any) -> bytes:
    """The model in float32, or in int8 where QuantizeAware trained it for that."""
    return converter.convert(
        model, converter.Format("packed", optimize=precision.is_quantization_aware(model))
    )


def _others(layer: Any) -> tuple[int, ...]:
    """All dimensions but the one of output channels."""
    return (0, 1, 2) if layer.op == "DEPTHWISE_CONV_2D" else tuple(range(1, len(layer.shape)))
