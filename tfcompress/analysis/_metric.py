"""A metric of a model on labelled data, measured again and again while weights change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import Calls
from tfcompress.analysis.dimension._points import first_row_not_finite
from tfcompress.core import DataError, RecipeError
from tfcompress.core._types import Array, Data

Metric: TypeAlias = str | Callable[[Any, Any], float]
""""accuracy", or a function (y, outputs) → number, larger being better."""


class Measurement:
    """`metric` on `data` = (x, y) with a graph's present weights; everything is checked at once.

    Raises RecipeError for a metric's name other than "accuracy" or a batch size below 1, DataError
    for inputs or labels that do not fit.
    """

    def __init__(
        self, graph: Calls, data: tuple[Data, Data], metric: Metric, batch_size: int
    ) -> None:
        x, y = data
        if metric != "accuracy" and not callable(metric):
            raise RecipeError(
                f"metric={metric!r}: choose 'accuracy' or give a function (y, outputs) → number."
            )
        if batch_size < 1:
            raise RecipeError(f"batch_size={batch_size}: expected 1 or more.")
        self._inputs = _finite_inputs(graph, x)
        self.rows = len(self._inputs[0])
        if hasattr(y, "__len__") and len(y) != self.rows:
            raise DataError(f"{self.rows} inputs but {len(y)} labels.")
        if callable(metric):
            self._score: Callable[[Any, Any], float] = metric
        else:
            y, self._score = _class_labels(graph, y), accuracy
        self._labels = y
        self.name: str = metric if isinstance(metric, str) else _name_of(metric)
        self._batch_size = batch_size
        self._runner = Runner(graph, graph.outputs)

    def __call__(self) -> float:
        """The metric now; DataError where it is not finite."""
        outputs = self._runner.all(self._inputs, self._batch_size)
        value = float(self._score(self._labels, outputs[0] if len(outputs) == 1 else outputs))
        if not math.isfinite(value):
            raise DataError(f"The metric {self.name} is {value}: expected a finite number.")
        return value


def accuracy(labels: Array, outputs: Array) -> float:
    """The share of rows whose class is right.

    Args:
        labels: Class indices [n, 1], or one-hot rows [n, classes].
        outputs: [n, …]; one number a row is a probability above 0.5, or a logit above 0 where
            numbers leave [0, 1].
    """
    row = first_row_not_finite(outputs)
    if row is not None:
        raise DataError(f"The model's output for input {row} holds NaN or infinity.")
    outputs = outputs.reshape(len(outputs), -1)
    _require_labels_fit(labels, outputs.shape[1])
    if outputs.shape[1] == 1:
        is_probability = outputs.min() >= 0 and outputs.max() <= 1
        limit = 0.5 if is_probability else 0.0
        return float(np.mean((outputs > limit) == (labels > 0.5)))
    truth = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(1)
    return float(np.mean(outputs.argmax(1) == truth))


def _finite_inputs(graph: Calls, x: Data) -> list[Array]:
    arrays = model_inputs(graph, x)
    for array in arrays:
        row = first_row_not_finite(array)
        if row is not None:
            raise DataError(f"Input {row} holds NaN or infinity; remove it.")
    return arrays


def _class_labels(graph: Calls, y: Data) -> Array:
    """`y` [n, 1 or classes], checked against the model's output where that has a fixed size."""
    if len(graph.outputs) != 1:
        raise DataError(
            "Accuracy is of one output; give metric=function (y, [outputs]) for a model of several."
        )
    labels = np.asarray(y)
    if labels.dtype.kind not in "fiub" or labels.ndim == 0:
        raise DataError(f"Labels must be numbers, one or a row an input, not {labels.dtype}.")
    labels = labels.reshape(len(labels), -1)
    shape = graph.shapes[graph.outputs[0]][1:]
    lengths = [length for length in shape if length is not None]
    if len(lengths) == len(shape):
        _require_labels_fit(labels, math.prod(lengths))
    return labels


def _require_labels_fit(labels: Array, classes: int) -> None:
    if labels.shape[1] not in (1, classes):
        raise DataError(
            f"Labels {list(labels.shape)} fit neither class indices nor outputs of {classes} "
            "numbers."
        )
    highest = max(classes, 2) - 1
    if labels.shape[1] == 1 and not bool(np.all((labels >= 0) & (labels <= highest))):
        raise DataError(
            f"Labels lie in {labels.min()} … {labels.max()}, but the model tells classes "
            f"0 … {highest}."
        )


def _name_of(metric: Callable[[Any, Any], float]) -> str:
    return getattr(metric, "__name__", "metric")
