"""Reads a model, changes nothing: dimension, significance, sensitivity, bits per layer, cost."""

from tfcompress.analysis import dimension
from tfcompress.analysis._activations import activations
from tfcompress.analysis._bits import WeightBits, allocate_bits, weight_bits
from tfcompress.analysis._cost import Cost, LayerCost, cost
from tfcompress.analysis._filters import FilterCurves, filter_sensitivity, suggest_ratios
from tfcompress.analysis._rules import SignificanceBits, SignificantLayers
from tfcompress.analysis._scores import LayerScores
from tfcompress.analysis._sensitivity import sensitivity
from tfcompress.analysis._significance import significance
from tfcompress.analysis.dimension import *  # noqa: F403  (an estimator is listed once, there)
from tfcompress.analysis.layer_error import ErrorByLayer, KernelError, LayerError, error_by_layer

__all__ = [
    "Cost",
    "ErrorByLayer",
    "FilterCurves",
    "KernelError",
    "LayerCost",
    "LayerError",
    "LayerScores",
    "SignificanceBits",
    "SignificantLayers",
    "WeightBits",
    "activations",
    "allocate_bits",
    "cost",
    "error_by_layer",
    "filter_sensitivity",
    "sensitivity",
    "significance",
    "suggest_ratios",
    "weight_bits",
]
__all__ += dimension.__all__
