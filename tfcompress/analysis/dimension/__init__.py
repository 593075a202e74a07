"""Estimators of how many dimensions a layer's activations fill."""

from tfcompress.analysis.dimension._estimator import Dimension, Estimator
from tfcompress.analysis.dimension._pca import PCADimension
from tfcompress.analysis.dimension._two_nn import TwoNN

__all__ = ["Dimension", "Estimator", "PCADimension", "TwoNN"]
