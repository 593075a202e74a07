"""Really small weights on stock interpreters: encodings, the choice, a reader."""

from tfcompress.targets.packing._detect import detect
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._levels import TOLERANCE, Levels, int8_step
from tfcompress.targets.packing._micro import MICRO, pack_for_micro
from tfcompress.targets.packing._micro_checks import micro_checks
from tfcompress.targets.packing._pack import PREFERENCES, RESTS, RUNTIMES, pack
from tfcompress.targets.packing._read import PackedLayer, kernels_of, packed_layers
from tfcompress.targets.packing._registry import ENCODINGS
from tfcompress.targets.packing._weight_checks import weight_checks

__all__ = [
    "ENCODINGS",
    "MICRO",
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
    "micro_checks",
    "pack",
    "pack_for_micro",
    "packed_layers",
    "weight_checks",
]
