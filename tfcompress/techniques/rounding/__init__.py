"""Weights on the levels of a few bits without training, chosen by what the layer puts out."""

from tfcompress.techniques.rounding._technique import RoundWeights

__all__ = ["RoundWeights"]
