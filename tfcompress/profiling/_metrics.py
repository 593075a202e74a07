"""Metrics that need nothing but NumPy: accuracy, top 5, errors, area under the ROC curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfcompress.core import DataError


def correct(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Which predictions are right: bool of `outputs`' shape without its last axis, [n] for a classifier.

    outputs [n, ..., c]: the largest one against `y`, class numbers [n, ...] or [n, ..., 1], or one-hot [n, ..., c];
    outputs [n] or [n, 1]: above 0.5 or not against `y` in 0/1 (a sigmoid's). A prediction that is NaN is wrong.
    Raises DataError when shapes do not fit.
    """
    y, outputs = np.asarray(y), np.asarray(outputs)
    if outputs.ndim == 1 or outputs.shape[-1] == 1:
        outputs = outputs.reshape(outputs.shape[: max(outputs.ndim - 1, 1)])
        _same(y.reshape(outputs.shape) if y.size == outputs.size else y, outputs)
        return ((outputs > 0.5) == (y.reshape(outputs.shape) > 0.5)) & ~np.isnan(outputs)
    return (_classes(y, outputs) == outputs.argmax(-1)) & ~np.isnan(outputs).any(-1)


def accuracy(y: np.ndarray, outputs: np.ndarray) -> float:
    """Share of right predictions (see `correct`)."""
    return float(correct(y, outputs).mean())


def top5(y: np.ndarray, outputs: np.ndarray) -> float:
    """Share of samples whose class is among the five largest of outputs [n, ..., c]."""
    classes = _classes(np.asarray(y), outputs)
    rank = (outputs > np.take_along_axis(outputs, classes[..., None], -1)).sum(-1)
    return float((rank < 5).mean())


def mse(y: np.ndarray, outputs: np.ndarray) -> float:
    """Mean of (output − y)²."""
    return float(np.mean(np.square(_difference(y, outputs))))


def mae(y: np.ndarray, outputs: np.ndarray) -> float:
    """Mean of |output − y|."""
    return float(np.mean(np.abs(_difference(y, outputs))))


def auc(y: np.ndarray, outputs: np.ndarray) -> float:
    """Area under the ROC curve of scores [n], [n, 1], or the second of [n, 2]: P(score of a positive > of a negative), ties half.

    Exact, from ranks (Mann–Whitney); Keras's AUC interpolates between 200 thresholds.
    """
    scores = np.asarray(outputs, np.float64)
    scores = (
        scores[:, 1]
        if scores.ndim == 2 and scores.shape[1] == 2
        else scores.reshape(len(scores), -1)
    )
    labels = np.asarray(y)
    labels = (
        labels[:, 1]
        if labels.ndim == 2 and labels.shape[1] == 2
        else labels.reshape(len(labels), -1)
    )
    if scores.size != len(scores) or labels.size != scores.size:
        raise DataError(
            f"auc takes one score and one 0/1 label a sample; outputs {list(outputs.shape)}, labels {list(np.shape(y))} came."
        )
    positive = labels.reshape(-1) > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        raise DataError("auc needs positive and negative labels; only one kind came.")
    _, inverse, counts = np.unique(scores.reshape(-1), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]
    return float(
        (ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    )


NATIVE: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "top5": top5,
    "mse": mse,
    "mae": mae,
    "auc": auc,
}


def _classes(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    if y.shape == outputs.shape:
        return y.argmax(-1)
    y = y[..., 0] if y.ndim == outputs.ndim and y.shape[-1] == 1 else y
    _same(y, outputs[..., 0])
    classes = y.astype(np.int64)
    if classes.min() < 0 or classes.max() >= outputs.shape[-1]:
        raise DataError(
            f"Labels run from {classes.min()} to {classes.max()}; the file has {outputs.shape[-1]} classes, 0 to {outputs.shape[-1] - 1}."
        )
    return classes


def _difference(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    y, outputs = np.asarray(y, np.float64), np.asarray(outputs, np.float64)
    if y.size == outputs.size and len(y) == len(outputs):
        return outputs - y.reshape(outputs.shape)
    _same(y, outputs)
    return outputs - y


def _same(y: np.ndarray, outputs: np.ndarray) -> None:
    if y.shape != outputs.shape:
        raise DataError(f"Labels {list(y.shape)} do not fit outputs {list(outputs.shape)}.")
