"""compress(): a recipe carried out on a copy of a model; convert() and load_model() beside it."""

from tfcompress._compress._engine import compress, convert
from tfcompress._compress._load import load_model
from tfcompress._compress._untrained import require_training, untrained_warnings

__all__ = ["compress", "convert", "load_model", "require_training", "untrained_warnings"]
