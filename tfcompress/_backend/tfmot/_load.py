"""Importing TFMOT without its side effects, and notes on models, such as what a wrapped one was
made from.
"""

from __future__ import annotations

import functools
import os
import warnings
import weakref
from typing import Any

_SWITCH = "TF_USE_LEGACY_KERAS"
_NOTES: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


@functools.cache
def load() -> Any:
    """The package `tensorflow_model_optimization`, imported on first use, with nothing else
    changed.

    TFMOT's import sets TF_USE_LEGACY_KERAS, which decides what `tf.keras` is for whoever touches it
    first:
    `tf.keras` is therefore resolved before, and the variable put back after.
    """
    import tensorflow as tf

    _ = tf.keras.layers  # the lazy `tf.keras` decides here, by the user's own environment
    before = os.environ.get(_SWITCH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_model_optimization as tfmot

            _ = tfmot.quantization.keras, tfmot.sparsity.keras, tfmot.clustering.keras
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before
    return tfmot


def note(model: Any, key: Any, fact: Any) -> None:
    """Keep `fact` about `model` for as long as the model lives."""
    _NOTES.setdefault(model, {})[key] = fact


def noted(model: Any, key: Any) -> Any | None:
    """What `note` was told, or None (nothing, or a model read back from disk or cloned since)."""
    return _NOTES.get(model, {}).get(key)
