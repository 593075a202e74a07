"""The classes of an 8-bit model beside TFMOT's own, behind a door that imports TFMOT on first
use.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

from tfcompress._backend.tfmot._load import load


@functools.cache
def classes() -> SimpleNamespace:
    """The classes by their names: KeepingQuantizer and the configs, Affine; for loading
    QuantizeLayer, QuantizeWrapperV2.
    """
    load()
    from tfcompress._backend.tfmot import _keeping, _layers

    return SimpleNamespace(
        KeepingQuantizer=_keeping.KeepingQuantizer,
        KeepingConfig=_keeping.KeepingConfig,
        OutputConfig=_layers.OutputConfig,
        Affine=_layers.Affine,
        AffineConfig=_layers.AffineConfig,
        QuantizeLayer=_layers.QuantizeLayer,
        QuantizeWrapperV2=_layers.QuantizeWrapperV2,
    )


def custom_objects() -> dict[str, type]:
    """Name → class of everything that a quantization-aware model of this library holds beyond
    TFMOT's own.
    """
    return dict(vars(classes()))
