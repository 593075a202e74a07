"""Which encoding a layer gets: the measured cost of each, and the two rules."""

from __future__ import annotations

import numpy as np

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
    *(Int2Float(), Int4Float(), Int8Float(), SparseRows("INT8"), SparseRows("FLOAT32"), Folded(), Once(), Bitmask(), Float()),
)

COSTS = {
    # encoding: LiteRT (FULLY_CONNECTED, convolution), tflite_runtime 2.14 (the same)
    "float": (1.0, 1.0, 1.0, 1.0),
    "int8": (0.2, 0.45, 0.8, 2.3),
    "int8-sum": (1.1, 1.2, 1.1, 1.2),
    "int4": (0.4, 0.5, 1.2, 9.0),
    "int2": (0.25, 0.6, 9.0, 9.0),
    "int2-sum": (0.35, 0.7, 9.0, 9.0),
    "blocks-int8": (1.0, 9.0, 1.2, 9.0),
    "blocks-float": (3.0, 9.0, 3.0, 9.0),
    "int2-dequantize": (3.0, 3.0, 9.0, 9.0),
    "int4-dequantize": (3.0, 3.0, 9.0, 9.0),
    "int8-dequantize": (1.0, 1.0, 1.0, 1.0),
    "csr-int8": (1.0, 1.0, 1.0, 1.0),
    "csr-float": (1.0, 1.0, 1.0, 1.0),
    "folded": (0.7, 1.4, 0.8, 2.3),
    "once": (1.0, 1.5, 1.3, 2.5),
    "bitmask": (1.05, 1.5, 1.3, 2.5),
}
"""Time of one layer relative to its float32 form, one thread, on QuantNET (x86-64); the sparse kernels' per share of full blocks."""
FLOAT_TABLES = 5.0
"""Relative time where a variable holds float clusters: the float kernel runs without weights laid out in advance."""
FAST_STEPS = (0.6, 1.1)


def cost(encoding: Encoding, layer: Layer, runtime: str) -> float:
    """Expected time relative to the layer in float32; for `runtime` "any" the slower of both."""
    if layer.levels.kind == "clusters" and isinstance(encoding, (Once, Bitmask)):
        return FLOAT_TABLES
    times = COSTS[encoding.name]
    place = 0 if layer.kind == "FULLY_CONNECTED" else 1
    relative = {"litert": times[place], "tflite_runtime": times[place + 2], "any": max(times[place], times[place + 2])}[runtime]
    if isinstance(encoding, Blocks):
        full = (layer.weights.reshape(layer.channels, -1, encoding.width) != 0).any(axis=2)
        return relative * max(float(np.mean(full)), 0.1)
    return relative


def choose(layer: Layer, prefer: str, runtime: str, shared: set, spare: float = 0) -> tuple[Encoding, int]:
    """(encoding for `layer`, its estimated bytes) among the exact ones that `runtime` computes rightly; `shared` tables cost nothing.

    "size": the fastest of those within `spare` bytes of the smallest.
    "speed": the smallest of those at most half the float weights that take ≤ 0.6× the float layer's time; if there is none, ≤ 1.1×;
    if there is none either, float.
    """
    sizes = {encoding: encoding.size(layer, shared) for encoding in ENCODINGS if encoding.fits(layer, runtime)}
    if prefer == "size":
        near = [encoding for encoding in sizes if sizes[encoding] <= min(sizes.values()) + spare]
        best = min(near, key=lambda encoding: (cost(encoding, layer, runtime), sizes[encoding]))
        return best, sizes[best]
    plain = next(encoding for encoding in sizes if isinstance(encoding, Float))
    for step in FAST_STEPS:
        quick = [e for e in sizes if sizes[e] <= sizes[plain] / 2 and cost(e, layer, runtime) <= step]
        if quick:
            best = min(quick, key=sizes.get)
            return best, sizes[best]
    return plain, sizes[plain]
