"""Really small weights on stock interpreters: one encoding a file, the choice among them, and what a file holds read back."""

from tfcompress.targets.packing._choose import COSTS, ENCODINGS
from tfcompress.targets.packing._levels import TOLERANCE, Levels, detect
from tfcompress.targets.packing._pack import PREFERENCES, RESTS, RUNTIMES, pack
from tfcompress.targets.packing._read import PackedLayer, other_weights, packed_layers

__all__ = [
    "COSTS",
    "ENCODINGS",
    "PREFERENCES",
    "RESTS",
    "RUNTIMES",
    "TOLERANCE",
    "Levels",
    "PackedLayer",
    "detect",
    "other_weights",
    "pack",
    "packed_layers",
]
