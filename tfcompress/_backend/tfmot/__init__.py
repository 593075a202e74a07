"""The door to TensorFlow Model Optimization: its wrappers applied layer by layer, its quirks kept
in here.
"""

from tfcompress._backend.tfmot._assignment import assignment
from tfcompress._backend.tfmot._clustering import (
    INITS,
    clusters_per_channel,
    strip_clustered,
    wrap_clustered,
    wrapped_clusters,
)
from tfcompress._backend.tfmot._kernels import clusterable, matrices, prunable, value
from tfcompress._backend.tfmot._load import load, note, noted
from tfcompress._backend.tfmot._placement import Placement, place
from tfcompress._backend.tfmot._pruning import (
    pruning_callbacks,
    strip_pruned,
    wrap_pruned,
    wrapped_pruning,
)
from tfcompress._backend.tfmot._quantizers import custom_objects
from tfcompress._backend.tfmot._quantizing import (
    quantize,
    quantize_scope,
    quantized_kernels,
    strip_keeping,
    wrapped_quantized,
)

__all__ = [
    "INITS",
    "Placement",
    "assignment",
    "clusterable",
    "clusters_per_channel",
    "custom_objects",
    "load",
    "matrices",
    "note",
    "noted",
    "place",
    "prunable",
    "pruning_callbacks",
    "quantize",
    "quantize_scope",
    "quantized_kernels",
    "strip_clustered",
    "strip_keeping",
    "strip_pruned",
    "value",
    "wrap_clustered",
    "wrap_pruned",
    "wrapped_clusters",
    "wrapped_pruning",
    "wrapped_quantized",
]
