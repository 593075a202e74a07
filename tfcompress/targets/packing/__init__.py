"""Really small weights on stock interpreters: encodings, the choice, a reader."""

from tfcompress.targets.packing._detect import detect
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._levels import TOLERANCE, Levels, int8_step
from tfcompress.targets.packing._pack import PREFERENCES, RESTS, RUNTIMES, pack
from tfcompress.targets.packing._read import PackedLayer, kernels_of, packed_layers
from tfcompress.targets.packing._registry import ENCODINGS

__all__ = [
    "ENCODINGS",
    "PREFERENCES",
    "RESTS",
    "RUNTIMES",
    "TOLERANCE",
    "Costs",
    "Encoding",
    "Levels",
    "PackedLayer",
    "detect",
    "int8_step",
    "kernels_of",
    "pack",
    "packed_layers",
]
