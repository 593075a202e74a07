"""Many recipes, or many files, measured alike and side by side."""

from tfcompress._study._compare import compare
from tfcompress._study._from_file import study_file
from tfcompress._study._study import study

__all__ = ["compare", "study", "study_file"]
