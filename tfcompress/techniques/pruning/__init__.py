"""Magnitude pruning, of single weights, m of n, or blocks: the technique and its layouts."""

from tfcompress.techniques.pruning._technique import Prune

__all__ = ["Prune"]
