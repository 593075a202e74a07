"""Measuring `.tflite` files: size, latency, memory, time per operation, accuracy.

Needs NumPy and an interpreter, nothing more.
"""

from tfcompress.profiling._environment import environment
from tfcompress.profiling._evaluate import evaluate
from tfcompress.profiling._metrics import correct
from tfcompress.profiling._on import require_device
from tfcompress.profiling._profile import profile, profile_many

__all__ = ["correct", "environment", "evaluate", "profile", "profile_many", "require_device"]
