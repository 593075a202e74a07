"""The two Kerases by name, imported when asked for and not before."""

from __future__ import annotations

import importlib
from types import ModuleType

from tfcompress.core._errors import ModelError

FLAVOURS = ("keras", "tf_keras")


def keras_module(flavour: str) -> ModuleType:
    """The package "keras" (Keras 3) or "tf_keras"; ModelError for any other name."""
    if flavour not in FLAVOURS:
        raise ModelError(f"keras={flavour!r}: expected 'keras' (Keras 3) or 'tf_keras'.")
    return importlib.import_module(flavour)
