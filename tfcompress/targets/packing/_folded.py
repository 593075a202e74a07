"""Folded words: weights are made of constants while the interpreter prepares, before the first run.

Kernels evaluate GATHER and RESHAPE of constants then.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._apply import (
    apply_scaled,
    equal_scales,
    kernel_scales,
    scaling_bytes,
)
from tfcompress.targets.packing._digits import per_word, stored_digits, trim, words
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer, old
from tfcompress.targets.packing._stored import StoredWeights

WORDS = 32768
"""No word may reach 2¹⁵: positions of GATHER may be INT16, and a CAST of constants is not evaluated
in advance."""


class Folded(Encoding):
    """⌊log_L 32768⌋ base-L digits in 16 bits: 15 binary, 9 ternary, 7 of four, 3 of 16 to 32.

    Runs on every runtime, no copy at a run. The table [Lⁿ, n] is itself made while preparing, by
    TILE, RESHAPE and CONCATENATION of the L values. The tensors on the way must carry no
    quantization: XNNPACK would take their operators and evaluate them at every run, as it does with
    floats.
    """

    name = "folded"
    costs = Costs(1.0, 1.05, 1.6, 6.6)
    integer_costs = Costs(9.5, 3.1, 1.0, 1.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        if not layer.grid or layer.kind == "DEPTHWISE_CONV_2D":
            return False
        if layer.grouped and old(runtime) and equal_scales(layer):
            return False
        return per_word(len(layer.levels.values), WORDS) >= 3

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        count = per_word(len(layer.levels.values), WORDS)
        table = 0
        if not self.shares(layer) <= shared:
            column = 2 * OP + 2 * TENSOR + CONSTANT
            table = count * column + OP + TENSOR + 3 * CONSTANT
        codes = 2 * -(-layer.weights.size // count)
        operators = 5 * CONSTANT + 4 * (OP + TENSOR)
        return codes + operators + table + scaling_bytes(layer)

    def shares(self, layer: Layer) -> set[Hashable]:
        _, values, kind = stored_digits(layer)
        return {("folded", kind, values.tobytes())}

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        digits, values, kind = stored_digits(layer)
        count = per_word(len(values), WORDS)
        (key,) = self.shares(layer)
        if key not in builder.shared:
            builder.shared[key] = _table(builder, values, count, kind)
        packed = words(digits, len(values), count).astype(np.int16)
        rows = builder.gather(builder.shared[key], builder.constant(packed), kind, 2)
        flat = builder.reshape(rows, [packed.size * count], kind)
        trimmed = trim(builder, flat, layer.weights.size, kind, {})
        quantization, factor, versions = kernel_scales(layer)
        weight = builder.reshape(trimmed, layer.weights.shape, kind, **quantization)
        apply_scaled(builder, layer, weight, factor, versions)

    def recognizes(self, stored: StoredWeights) -> bool:
        return {"GATHER", "TILE"} <= set(stored.operators)


def _table(builder: Builder, values: Array, count: int, kind: str) -> int:
    """[L^count, count]: row v holds the values of word v's digits.

    Column j repeats every value L^j times, and that L^(count−1−j) times.
    """
    levels, columns = len(values), []
    base = builder.tensor([1, levels, 1], kind, data=values)
    for j in range(count):
        times = [levels ** (count - 1 - j), 1, levels**j]
        tiled = builder.tensor([times[0], levels, times[2]], kind)
        builder.op("TILE", [base, builder.constant(np.array(times, np.int32))], tiled)
        columns.append(builder.reshape(tiled, [levels**count, 1], kind))
    out = builder.tensor([levels**count, count], kind)
    builder.op("CONCATENATION", columns, out, axis=1)
    return out
