"""A bit for each weight that is not zero, and their values: expanded once by an initialization subgraph."""

from __future__ import annotations

import numpy as np

from tfcompress.targets.packing._digits import decode_bytes, per_word, stored, trim
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Encoding, scaling_bytes
from tfcompress.targets.packing._once import assign, initialization, read_and_apply


class Bitmask(Encoding):
    """1 bit a weight + a byte (or, with few levels, ⌊log_L 256⌋ digits a byte) for each one that is not zero; also float clusters.

    position = CUMSUM(mask) · mask indexes the values, with a zero in front of them.
    """

    name = "bitmask"
    integer = True

    def fits(self, layer, runtime):
        if layer.kind == "DEPTHWISE_CONV_2D" or not (layer.grid or layer.levels.kind == "clusters"):
            return False
        return 0 in layer.levels.values and (layer.grid or self._digits(layer) >= 2)

    def size(self, layer, shared):
        count, per = int(np.count_nonzero(layer.weights)), self._digits(layer)
        _, values, kind = stored(layer)
        codes = (
            count
            if per < 2
            else -(-count // per) + len(values) ** per * per * (4 if kind == "FLOAT32" else 1)
        )
        tables = (0 if "mask" in shared else 2048 + CONSTANT) + (0 if "once" in shared else 400)
        return (
            layer.weights.size // 8
            + codes
            + tables
            + 4 * CONSTANT
            + 14 * (OP + TENSOR)
            + scaling_bytes(layer)
        )

    def shares(self, layer):
        return {"mask", "once"}

    def write(self, b, layer, runtime):
        digits, values, kind = stored(layer)
        full = layer.weights.reshape(-1) != 0
        zero = int(np.flatnonzero(values == 0)[0])
        chosen = np.append(zero, digits.reshape(-1)[full])
        grid = {"scale": 1} if kind == "INT8" else {}
        with initialization(b):
            if self._digits(layer) >= 2:
                table = decode_bytes(b, chosen, values, kind)
            else:
                table = b.tensor(chosen.shape, kind, data=values[chosen], **grid)
            weights = b.gather(
                table, self._positions(b, full), kind, 1 if kind == "FLOAT32" else 2, **grid
            )
            name = assign(b, b.reshape(weights, layer.weights.shape, kind, **grid))
        read_and_apply(b, layer, name, kind)

    def _digits(self, layer):
        return per_word(len(layer.levels.values), 256)

    def _positions(self, b, full):
        """INT32 [weights]: 0 for a zero weight, k for the k-th other one."""
        if "mask" not in b.shared:
            b.shared["mask"] = b.tensor(
                [256, 8],
                "INT8",
                data=((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.int8),
                scale=1,
            )
        packed = np.packbits(full, bitorder="little")
        rows = b.cast(b.tensor(packed.shape, "UINT8", data=packed), "INT32")
        bits = b.reshape(
            b.gather(b.shared["mask"], rows, "INT8", 2, scale=1), [packed.size * 8], "INT8", scale=1
        )
        mask = b.cast(trim(b, bits, full.size, "INT8", scale=1), "INT32")
        counted, positions = b.tensor([full.size], "INT32"), b.tensor([full.size], "INT32")
        b.op("CUMSUM", [mask, b.constant(np.array(0, np.int32))], counted)
        b.op("MUL", [counted, mask], positions)
        return positions
