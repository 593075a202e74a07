"""Which layer of a `.tflite` is off: its own tensors against those of the Keras model."""

from tfcompress.analysis.layer_error._measure import error_by_layer
from tfcompress.analysis.layer_error._result import ErrorByLayer, KernelError, LayerError

__all__ = ["ErrorByLayer", "KernelError", "LayerError", "error_by_layer"]
