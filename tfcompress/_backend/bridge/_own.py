"""tfcompress's own layers and regularizers, made in a Keras before a file that holds them is read.

Both Kerases read only classes that are registered. These are made for one Keras at their first
use, which in a new process may be the file.
"""

from __future__ import annotations

import importlib

# By name, as rooms above make some of them: nothing of theirs is needed to read any other file.
MAKERS = (
    "tfcompress._backend.channels._gates:gate_class",
    "tfcompress._backend.channels._scales:penalty_class",
    "tfcompress.techniques.mixed_precision._layer:low_bit_class",
)


def register_own_classes(flavour: str) -> None:
    """Make and register the classes of tfcompress in one Keras, "keras" or "tf_keras"."""
    for maker in MAKERS:
        module, _, function = maker.partition(":")
        getattr(importlib.import_module(module), function)(flavour)
