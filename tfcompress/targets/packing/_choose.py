"""Which encoding a layer gets: the two rules."""

from __future__ import annotations

from collections.abc import Hashable

from tfcompress.targets.packing._encoding import Encoding
from tfcompress.targets.packing._layer import Layer
from tfcompress.targets.packing._registry import ENCODINGS, UNTOUCHED

FAST_STEPS = (0.6, 1.1)
SMALLER = 0.9


def choose(
    layer: Layer, prefer: str, runtime: str, shared: set[Hashable], spare: float = 0
) -> tuple[Encoding, int]:
    """(encoding for `layer`, its estimated bytes) among the exact ones that `runtime` computes.

    "size": the fastest of those within `spare` bytes of the smallest.
    "speed": the smallest of those at most 0.9× the weights as they were that take ≤ 0.6× the
    layer's time; if there is none, ≤ 1.1×; if there is none either, as they were.

    Args:
        shared: tables that are in the file already and cost nothing.
    """
    sizes = {
        encoding: encoding.size(layer, shared)
        for encoding in ENCODINGS
        if (encoding.integer or not layer.integer) and encoding.fits(layer, runtime)
    }
    costs = {encoding: encoding.cost(layer, runtime) for encoding in sizes}
    if prefer == "size":
        smallest = min(sizes.values())
        near = [encoding for encoding in sizes if sizes[encoding] <= smallest + spare]
        best = min(near, key=lambda encoding: (costs[encoding], sizes[encoding]))
        return best, sizes[best]
    smaller = [e for e in sizes if sizes[e] <= SMALLER * sizes[UNTOUCHED]]
    for step in FAST_STEPS:
        quick = [encoding for encoding in smaller if costs[encoding] <= step]
        if quick:
            best = min(quick, key=lambda encoding: sizes[encoding])
            return best, sizes[best]
    return UNTOUCHED, sizes[UNTOUCHED]
