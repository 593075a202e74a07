"""The encodings that there are: a new one is its file and one line here."""

from __future__ import annotations

from tfcompress.targets.packing._bitmask import Bitmask
from tfcompress.targets.packing._blocks import FloatBlocks, Int8Blocks
from tfcompress.targets.packing._csr import FloatRows, Int8Rows
from tfcompress.targets.packing._dequantized import FROM_8_BITS, FROM_FEWER_BITS, Dequantized
from tfcompress.targets.packing._encoding import Encoding
from tfcompress.targets.packing._float import Float
from tfcompress.targets.packing._folded import Folded
from tfcompress.targets.packing._int2 import Int2
from tfcompress.targets.packing._int4 import Int4
from tfcompress.targets.packing._int8 import Int8
from tfcompress.targets.packing._lookup import Lookup
from tfcompress.targets.packing._once import Once
from tfcompress.targets.packing._sum_corrected import Int2Sum, Int8Sum

UNTOUCHED = Float()
"""What every layer can have: its weights as they are."""

LOOKUP = Lookup()
"""What a layer can have on microcontrollers."""

ENCODINGS: list[Encoding] = [
    Int2Sum(),
    Int8Sum(),
    Int2(),
    Int4(),
    Int8(),
    Int8Blocks(),
    FloatBlocks(),
    Dequantized(2, FROM_FEWER_BITS),
    Dequantized(4, FROM_FEWER_BITS),
    Dequantized(8, FROM_8_BITS),
    Int8Rows(),
    FloatRows(),
    Folded(),
    Once(),
    Bitmask(),
    LOOKUP,
    UNTOUCHED,
]
"""In the order in which they are asked whether a file's weights are theirs."""
