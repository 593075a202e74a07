"""load_model(): a saved model of either Keras, quantization-aware ones too."""

from __future__ import annotations

from pathlib import Path

from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
from tfcompress._backend.bridge._hdf5 import require_readable_hdf5
from tfcompress.core import ModelError
from tfcompress.core._types import Model


def load_model(path: str | Path, *, trusted: bool = False) -> Model:
    """The Keras model in a `.keras` or `.h5` file or SavedModel folder, quantization-aware too.

    Args:
        path: the file or folder.
        trusted: whether Python code in the file may run. A Lambda layer holds such code, and it
            can do anything that you can; without `trusted`, such a file is refused.

    Raises:
        ModelError: there is no such file, it cannot be read, or it asks for code to be run.
    """
    require_readable_hdf5(Path(path))
    try:
        return _keras.load_model(path, trusted=trusted)
    except ModelError:
        if not Path(path).exists():
            raise
        # What QuantizeAware wraps can be read only with TFMOT's classes at hand.
        with _tfmot.quantize_scope():
            return _keras.load_model(path, trusted=trusted)
