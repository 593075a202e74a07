"""Folded words: kernels evaluate GATHER and RESHAPE of constants while they prepare, so words are weights before the first run."""

from __future__ import annotations

import numpy as np

from tfcompress.targets.packing._digits import per_word, stored, trim, words
from tfcompress.targets.packing._layer import (
    CONSTANT,
    OP,
    TENSOR,
    Encoding,
    apply_scaled,
    kernel_grid,
    scaling_bytes,
)

WORDS = 32768  # positions of GATHER may be INT16 (a CAST of constants is not evaluated in advance), so no word may reach 2¹⁵


class Folded(Encoding):
    """⌊log_L 32768⌋ base-L digits in 16 bits: 15 binary, 9 ternary, 7 of four, 3 of 16 to 32. Runs on every runtime, no copy at a run.

    The table [Lⁿ, n] is itself made while preparing, by TILE, RESHAPE and CONCATENATION of the L values. The tensors on the way must
    carry no quantization: XNNPACK would take their operators and evaluate them at every run, as it does with floats.
    """

    name = "folded"
    integer = True

    def fits(self, layer, runtime):
        return (
            layer.grid
            and layer.kind != "DEPTHWISE_CONV_2D"
            and per_word(len(layer.levels.values), WORDS) >= 3
        )

    def size(self, layer, shared):
        count = per_word(len(layer.levels.values), WORDS)
        table = (
            0
            if self.shares(layer) <= shared
            else count * (2 * OP + 2 * TENSOR + CONSTANT) + OP + TENSOR + 3 * CONSTANT
        )
        return (
            2 * -(-layer.weights.size // count)
            + 5 * CONSTANT
            + 4 * (OP + TENSOR)
            + table
            + scaling_bytes(layer)
        )

    def shares(self, layer):
        _, values, kind = stored(layer)
        return {("folded", kind, values.tobytes())}

    def write(self, b, layer, runtime):
        digits, values, kind = stored(layer)
        count = per_word(len(values), WORDS)
        key = ("folded", kind, values.tobytes())
        if key not in b.shared:
            b.shared[key] = _table(b, values, count, kind)
        packed = words(digits, len(values), count).astype(np.int16)
        rows = b.gather(b.shared[key], b.constant(packed), kind, 2)
        flat = trim(b, b.reshape(rows, [packed.size * count], kind), layer.weights.size, kind)
        grid, factor, versions = kernel_grid(layer)
        apply_scaled(b, layer, b.reshape(flat, layer.weights.shape, kind, **grid), factor, versions)


def _table(b, values, count, kind):
    """[L^count, count] of the values of each word's digits: column j repeats every value L^j times, and that L^(count−1−j) times."""
    levels, columns = len(values), []
    base = b.tensor([1, levels, 1], kind, data=values)
    for j in range(count):
        times = [levels ** (count - 1 - j), 1, levels**j]
        tiled = b.tensor([times[0], levels, times[2]], kind)
        b.op("TILE", [base, b.constant(np.array(times, np.int32))], tiled)
        columns.append(b.reshape(tiled, [levels**count, 1], kind))
    out = b.tensor([levels**count, count], kind)
    b.op("CONCATENATION", columns, out, axis=1)
    return out
