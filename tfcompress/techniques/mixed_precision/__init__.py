"""Kernels on few levels, with the bits chosen layer by layer: the technique and its mathematics."""

from tfcompress.techniques.mixed_precision._technique import MixedPrecision

__all__ = ["MixedPrecision"]
