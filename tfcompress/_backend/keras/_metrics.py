"""Keras's metrics by name; TensorFlow is loaded only when one is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from tfcompress.core._errors import DataError
from tfcompress.core._types import Array


def keras_metric(metric: Any, y: Array, outputs: Array) -> float:
    """Value of a Keras metric for labels `y` [n, ...] and a file's `outputs` [n, ...].

    metric: its name, or a Metric of either Keras; a function counts by its mean over the samples.
    Raises DataError for a name that Keras does not know, where there is no TensorFlow, or when the
    metric does not take these shapes.
    """
    name = metric if isinstance(metric, str) else getattr(metric, "name", str(metric))
    metric = _by_name(metric) if isinstance(metric, str) else metric
    try:
        if hasattr(metric, "update_state"):
            metric.reset_state()
            metric.update_state(y, outputs)
            value = metric.result()
        else:
            value = metric(y, outputs)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"Metric {name!r} does not take labels {list(y.shape)} with outputs "
            f"{list(outputs.shape)}: {error}"
        ) from error
    return float(np.mean(np.asarray(value)))


def _by_name(name: str) -> Any:
    if any(importlib.util.find_spec(package) is None for package in ("keras", "tensorflow")):
        raise DataError(
            f"Metric {name!r} is one of Keras's at best, and TensorFlow is not installed here "
            "(pip install tensorflow)."
        )
    keras = importlib.import_module("keras")
    try:
        return keras.metrics.get(name)
    except ValueError as error:
        raise DataError(f"Keras knows no metric {name!r}.") from error
