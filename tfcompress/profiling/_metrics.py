"""Metrics that need nothing but NumPy: accuracy, top 5, errors, area under the ROC curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array, ArrayLike

ROUNDING = 1e-3
"""Rows of one-hot or soft labels sum to 1 up to this."""


def are_classes(y: ArrayLike, outputs: ArrayLike) -> bool:
    """Whether labels name classes, so that answers are right or wrong.

    They do as 0 or 1 for an output of one unit, as whole numbers, or as rows of `outputs`' shape
    that sum to 1; other labels are quantities.
    """
    y, outputs = np.asarray(y), np.asarray(outputs)
    if y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return False
    if outputs.ndim == 1 or outputs.shape[-1] == 1:
        return bool(np.isin(y, (0, 1)).all())
    if y.shape == outputs.shape:
        sums = y.sum(-1, dtype=np.float64)
        return bool((y >= 0).all() and (np.abs(sums - 1) <= ROUNDING).all())
    return bool((y == np.floor(y)).all())


def correct(y: ArrayLike, outputs: ArrayLike) -> Array:
    """Which predictions are right: bool of `outputs`' shape without its last axis.

    Args:
        y: class numbers [n, ...] or [n, ..., 1], or one-hot rows [n, ..., c]; 0 or 1 for one unit.
        outputs: [n, ..., c], the largest one is the answer; or [n] or [n, 1], above 0.5 or not (a
            sigmoid's). A prediction that is NaN is wrong.

    Raises:
        DataError: shapes do not fit, or the labels are quantities, not classes.
    """
    y, outputs = np.asarray(y), np.asarray(outputs)
    if outputs.ndim == 1 or outputs.shape[-1] == 1:
        outputs = outputs.reshape(outputs.shape[: max(outputs.ndim - 1, 1)])
        y = y.reshape(outputs.shape) if y.size == outputs.size else y
        _same(y, outputs)
        _require_classes("accuracy", y, outputs)
        return ((outputs > 0.5) == (y > 0.5)) & ~np.isnan(outputs)
    classes = _classes("accuracy", y, outputs)
    return (classes == outputs.argmax(-1)) & ~np.isnan(outputs).any(-1)


def accuracy(y: Array, outputs: Array) -> float:
    """Share of right predictions (see `correct`)."""
    return float(correct(y, outputs).mean())


def top5(y: Array, outputs: Array) -> float:
    """Share of samples whose class is among the five largest of outputs [n, ..., c]."""
    classes = _classes("top5", np.asarray(y), outputs)
    rank = (outputs > np.take_along_axis(outputs, classes[..., None], -1)).sum(-1)
    return float((rank < 5).mean())


def mse(y: Array, outputs: Array) -> float:
    """Mean of (output − y)²."""
    return float(np.mean(np.square(_difference(y, outputs))))


def mae(y: Array, outputs: Array) -> float:
    """Mean of |output − y|."""
    return float(np.mean(np.abs(_difference(y, outputs))))


def auc(y: Array, outputs: Array) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties half.

    Exact, from ranks (Mann–Whitney); Keras's AUC interpolates between 200 thresholds.

    Args:
        y: 0 or 1, [n] or [n, 1], or one-hot [n, 2].
        outputs: scores [n] or [n, 1], or [n, 2], of which the second counts.

    Raises:
        DataError: several scores a sample, labels that are not 0 or 1, or only one kind of them.
    """
    scores, labels = _second(outputs).astype(np.float64), _second(y)
    if scores.size != len(scores) or labels.size != scores.size:
        came = f"outputs {list(outputs.shape)}, labels {list(np.shape(y))}"
        raise DataError(f"auc takes one score and one 0/1 label a sample; {came} came.")
    _require_classes("auc", labels.reshape(-1), scores.reshape(-1))
    positive = labels.reshape(-1) > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        raise DataError("auc needs positive and negative labels; only one kind came.")
    _, inverse, counts = np.unique(scores.reshape(-1), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]
    lowest = n_positive * (n_positive + 1) / 2
    return float((ranks[positive].sum() - lowest) / (n_positive * n_negative))


NATIVE: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "top5": top5,
    "mse": mse,
    "mae": mae,
    "auc": auc,
}
"""Metric by name; all others are Keras's."""
OF_CLASSES = ("accuracy", "acc", "top5", "auc")
"""Those that need labels which name classes."""


def _second(values: ArrayLike) -> Array:
    """[n, 1] of [n], [n, 1] or, of two classes [n, 2], the second."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 2:
        return values[:, 1:]
    return values.reshape(len(values), -1)


def _classes(metric: str, y: Array, outputs: Array) -> Array:
    """Class numbers [n, ...] of labels in either form."""
    if y.shape != outputs.shape:
        y = y[..., 0] if y.ndim == outputs.ndim and y.shape[-1] == 1 else y
        _same(y, outputs[..., 0])
    _require_classes(metric, y, outputs)
    if y.shape == outputs.shape:
        return y.argmax(-1)
    classes = y.astype(np.int64)
    low, high, count = classes.min(), classes.max(), outputs.shape[-1]
    if low < 0 or high >= count:
        raise DataError(
            f"Labels run from {low} to {high}; the file has {count} classes, 0 to {count - 1}."
        )
    return classes


def _require_classes(metric: str, y: Array, outputs: Array) -> None:
    if not are_classes(y, outputs):
        quantities = f"quantities from {np.min(y):.4g} to {np.max(y):.4g}"
        raise DataError(
            f"{metric} needs labels that name classes (whole numbers, one-hot rows, or 0 and 1 for "
            f'one unit); {quantities} came. Pass metric="mae" or "mse".'
        )


def _difference(y: Array, outputs: Array) -> Array:
    y, outputs = np.asarray(y, np.float64), np.asarray(outputs, np.float64)
    if y.size == outputs.size and len(y) == len(outputs):
        return outputs - y.reshape(outputs.shape)
    _same(y, outputs)
    return outputs - y


def _same(y: Array, outputs: Array) -> None:
    if y.shape != outputs.shape:
        raise DataError(f"Labels {list(y.shape)} do not fit outputs {list(outputs.shape)}.")
