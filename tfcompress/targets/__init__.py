"""Targets: frozen values that turn a model into the bytes of a `.tflite`, one format a file."""

from tfcompress.targets._dynamic_range import DynamicRange
from tfcompress.targets._float16 import Float16
from tfcompress.targets._float32 import Float32
from tfcompress.targets._int8 import Int8
from tfcompress.targets._int16x8 import Int16x8
from tfcompress.targets._packed import Packed
from tfcompress.targets.packing import PackedLayer, packed_layers

__all__ = [
    "DynamicRange",
    "Float16",
    "Float32",
    "Int8",
    "Int16x8",
    "Packed",
    "PackedLayer",
    "packed_layers",
]
