"""Reads a model, changes nothing: intrinsic dimension, PCA, significance, sensitivity, bits per layer, cost."""

from tfcompress.analysis._dimension import Dimension, Estimator
from tfcompress.analysis._pca import PCADimension
from tfcompress.analysis._two_nn import TwoNN

__all__ = ["Dimension", "Estimator", "PCADimension", "TwoNN"]
