"""Many recipes, or many files, measured alike and side by side."""

from tfcompress._study._compare import compare
from tfcompress._study._study import study

__all__ = ["compare", "study"]
