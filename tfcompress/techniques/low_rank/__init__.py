"""Low-rank factors in the place of kernels: the technique and its mathematics."""

from tfcompress.techniques.low_rank._technique import LowRank

__all__ = ["LowRank"]
