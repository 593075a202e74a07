"""What changes a model: each a frozen value with apply, callbacks, strip, skips and check."""

from tfcompress._backend.bridge._native import register_tf_keras_twin
from tfcompress._backend.channels._rules import register_channel_rule
from tfcompress.techniques._cluster import Cluster
from tfcompress.techniques._fine_tune import FineTune
from tfcompress.techniques._prune_filters import PruneFilters
from tfcompress.techniques._quantize_aware import QuantizeAware
from tfcompress.techniques._slim import Slim
from tfcompress.techniques.low_rank import LowRank
from tfcompress.techniques.mixed_precision import MixedPrecision
from tfcompress.techniques.pruning import Prune
from tfcompress.techniques.rounding import RoundWeights

__all__ = [
    "Cluster",
    "FineTune",
    "LowRank",
    "MixedPrecision",
    "Prune",
    "PruneFilters",
    "QuantizeAware",
    "RoundWeights",
    "Slim",
    "register_channel_rule",
    "register_tf_keras_twin",
]
