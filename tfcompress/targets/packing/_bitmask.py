"""A bit for each weight that is not zero, and their values: expanded by an initialization graph."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import equal_scales, scaling_bytes
from tfcompress.targets.packing._digits import (
    decode_bytes,
    per_word,
    stored_digits,
    trim,
    unit_scale,
)
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer, old
from tfcompress.targets.packing._once import (
    FLOAT_TABLES,
    START_BYTES,
    assign,
    initialization,
    read_and_apply,
)
from tfcompress.targets.packing._stored import StoredWeights


class Bitmask(Encoding):
    """1 bit a weight, and a byte for each one that is not zero; float clusters too.

    With few levels the values are ⌊log_L 256⌋ digits a byte.
    position = CUMSUM(mask) · mask indexes the values, with a zero in front of them.
    """

    name = "bitmask"
    costs = Costs(1.45, 1.05, 1.9, 6.6)
    integer_costs = Costs(11.0, 3.1, 1.25, 1.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        if layer.kind == "DEPTHWISE_CONV_2D" or 0 not in layer.levels.values:
            return False
        if layer.levels.kind == "clusters":
            return _per_byte(layer) >= 2
        return layer.grid and not (layer.grouped and old(runtime) and equal_scales(layer))

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        codes = count = int(np.count_nonzero(layer.weights))
        digits, (_, values, kind) = _per_byte(layer), stored_digits(layer)
        if digits >= 2:
            value_bytes = 4 if kind == "FLOAT32" else 1
            codes = -(-count // digits) + len(values) ** digits * digits * value_bytes
        tables = 0 if "mask" in shared else 2048 + CONSTANT
        start = 0 if "once" in shared else START_BYTES
        operators = 4 * CONSTANT + 14 * (OP + TENSOR)
        mask = layer.weights.size // 8
        return mask + codes + tables + start + operators + scaling_bytes(layer)

    def shares(self, layer: Layer) -> set[Hashable]:
        return {"mask", "once"}

    def cost(self, layer: Layer, runtime: str) -> float:
        if layer.levels.kind == "clusters":
            return FLOAT_TABLES.of(layer, runtime)
        return super().cost(layer, runtime)

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        digits, values, kind = stored_digits(layer)
        full = layer.weights.reshape(-1) != 0
        zero = int(np.flatnonzero(values == 0)[0])
        chosen = np.append(zero, digits.reshape(-1)[full])
        quantization = unit_scale(kind)
        with initialization(builder):
            if _per_byte(layer) >= 2:
                table = decode_bytes(builder, chosen, values, kind)
            else:
                table = builder.tensor(chosen.shape, kind, data=values[chosen], **quantization)
            positions = _positions(builder, full)
            version = 1 if kind == "FLOAT32" else 2
            weights = builder.gather(table, positions, kind, version, **quantization)
            shaped = builder.reshape(weights, layer.weights.shape, kind, **quantization)
            variable = assign(builder, shaped)
        read_and_apply(builder, layer, variable, kind)

    def recognizes(self, stored: StoredWeights) -> bool:
        return "CUMSUM" in stored.operators


def _per_byte(layer: Layer) -> int:
    return per_word(len(layer.levels.values), 256)


def _positions(builder: Builder, full: Array) -> int:
    """INT32 [weights]: 0 for a zero weight, k for the k-th other one."""
    if "mask" not in builder.shared:
        bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
        table = bits.astype(np.int8)
        builder.shared["mask"] = builder.tensor([256, 8], "INT8", data=table, scale=1)
    packed = np.packbits(full, bitorder="little")
    rows = builder.cast(builder.tensor(packed.shape, "UINT8", data=packed), "INT32")
    unpacked = builder.gather(builder.shared["mask"], rows, "INT8", 2, scale=1)
    flat = builder.reshape(unpacked, [packed.size * 8], "INT8", scale=1)
    mask = builder.cast(trim(builder, flat, full.size, "INT8", {"scale": 1.0}), "INT32")
    counted = builder.tensor([full.size], "INT32")
    positions = builder.tensor([full.size], "INT32")
    builder.op("CUMSUM", [mask, builder.constant(np.array(0, np.int32))], counted)
    builder.op("MUL", [counted, mask], positions)
    return positions
