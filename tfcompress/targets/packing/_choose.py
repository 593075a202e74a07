"""Which encoding a layer gets: the measured cost of each, and the two rules."""

from __future__ import annotations

from tfcompress.targets.packing._bitmask import Bitmask
from tfcompress.targets.packing._blocks import Blocks
from tfcompress.targets.packing._csr import SparseRows
from tfcompress.targets.packing._float import Float
from tfcompress.targets.packing._folded import Folded
from tfcompress.targets.packing._int2 import Int2, Int2Float
from tfcompress.targets.packing._int4 import Int4, Int4Float
from tfcompress.targets.packing._int8 import Int8, Int8Float
from tfcompress.targets.packing._layer import Encoding, Layer
from tfcompress.targets.packing._once import Once
from tfcompress.targets.packing._sum_corrected import SumCorrected

ENCODINGS: tuple[Encoding, ...] = (
    *(Int2(), SumCorrected(2), Int4(), Int8(), SumCorrected(8), Blocks(16), Blocks(4)),
    *(
        Int2Float(),
        Int4Float(),
        Int8Float(),
        SparseRows("INT8"),
        SparseRows("FLOAT32"),
        Folded(),
        Once(),
        Bitmask(),
        Float(),
    ),
)

NEVER = float("inf")
COSTS = {
    # encoding: LiteRT (FULLY_CONNECTED, convolution), tflite_runtime 2.14 (the same)
    "float": (1.0, 1.0, 1.0, 1.0),
    "int8": (0.25, 0.25, 1.6, 6.6),
    "int4": (0.2, 0.3, 1.8, NEVER),
    "int2": (0.35, 0.65, NEVER, NEVER),
    "int2-sum": (0.4, 0.7, NEVER, NEVER),
    "int8-sum": (1.0, 1.05, 1.0, 1.1),
    "int8-dequantize": (1.0, 1.0, 1.0, 1.0),
    "int4-dequantize": (7.0, 3.2, NEVER, NEVER),
    "int2-dequantize": (7.0, 3.2, NEVER, NEVER),
    "csr-int8": (1.0, 1.0, 1.0, 1.0),
    "csr-float": (1.0, 1.0, 1.0, 1.0),
    "folded": (1.0, 1.05, 1.6, 6.6),
    "once": (1.45, 0.95, 2.2, 6.6),
    "bitmask": (1.45, 1.05, 1.9, 6.6),
    "blocks-int8": (0.3, NEVER, 0.45, NEVER),
    "blocks-float": (0.2, NEVER, 0.1, NEVER),
}
"""Time relative to the layer in float32, one thread of an x86-64 server: FULLY_CONNECTED 4096 → 128, CONV_2D 3×3 64 → 64 (1×1 where
only that fits). `benchmarks/packed.py --costs` measures it."""
PER_FULL_BLOCK = {"blocks-int8": (2.2, 5.0), "blocks-float": (6.0, 12.0)}
"""What the sparse kernels take besides, times the share of blocks that are not zero (LiteRT, 2.14)."""
INTEGER_COSTS = {
    "float": (1.0, 1.0, 1.0, 1.0),
    "folded": (9.5, 3.1, 1.0, 1.0),
    "once": (11.0, 3.1, 1.25, 1.0),
    "bitmask": (11.0, 3.1, 1.25, 1.0),
}
"""As COSTS, relative to the same layer of an int8 network: weights made at run time keep it from XNNPACK."""
FLOAT_TABLES = (3.6, 3.2, 2.1, 3.4)
"""As COSTS, where a variable holds float clusters: the float kernels run without weights laid out in advance."""
FAST_STEPS = (0.6, 1.1)
SMALLER = 0.9


def cost(encoding: Encoding, layer: Layer, runtime: str) -> float:
    """Expected time relative to the layer as it was; for `runtime` "any" the slower of both."""
    floats = layer.levels.kind == "clusters" and isinstance(encoding, (Once, Bitmask))
    times = FLOAT_TABLES if floats else (INTEGER_COSTS if layer.integer else COSTS)[encoding.name]
    place = 0 if layer.kind == "FULLY_CONNECTED" else 1
    new, old = times[place], times[place + 2]
    if isinstance(encoding, Blocks):
        share = float(
            (layer.weights.reshape(layer.channels, -1, encoding.width) != 0).any(axis=2).mean()
        )
        slopes = PER_FULL_BLOCK[encoding.name]
        new, old = new + slopes[0] * share, old + slopes[1] * share
    return {"litert": new, "tflite_runtime": old, "any": max(new, old)}[runtime]


def choose(
    layer: Layer, prefer: str, runtime: str, shared: set, spare: float = 0
) -> tuple[Encoding, int]:
    """(encoding for `layer`, its estimated bytes) among the exact ones that `runtime` computes rightly; `shared` tables cost nothing.

    "size": the fastest of those within `spare` bytes of the smallest.
    "speed": the smallest of those at most 0.9× the weights as they were that take ≤ 0.6× the layer's time; if there is none, ≤ 1.1×;
    if there is none either, as they were.
    """
    sizes = {
        encoding: encoding.size(layer, shared)
        for encoding in ENCODINGS
        if layer.integer <= encoding.integer and encoding.fits(layer, runtime)
    }
    if prefer == "size":
        near = [encoding for encoding in sizes if sizes[encoding] <= min(sizes.values()) + spare]
        best = min(near, key=lambda encoding: (cost(encoding, layer, runtime), sizes[encoding]))
        return best, sizes[best]
    plain = next(encoding for encoding in sizes if isinstance(encoding, Float))
    for step in FAST_STEPS:
        quick = [
            e
            for e in sizes
            if sizes[e] <= SMALLER * sizes[plain] and cost(e, layer, runtime) <= step
        ]
        if quick:
            best = min(quick, key=lambda encoding: sizes[encoding])
            return best, sizes[best]
    return plain, sizes[plain]
