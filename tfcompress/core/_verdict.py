"""What a measured score says that a user must hear: chance level, a file far below its base."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfcompress.core._types import Array

MAX_LOSS_POINTS = 5.0
"""A file that loses more percentage points of accuracy against its base is warned about."""

Row = dict[str, object]


class ResultWarning(UserWarning):
    """A measured result that should not be used as it is; the message says why."""


def majority_share(labels: Array | None) -> float | None:
    """The accuracy of always answering the most frequent class; None for what is no class label.

    Args: labels [n] of whole numbers, [n, 1], or [n, classes] one-hot.
    """
    if labels is None:
        return None
    classes = np.asarray(labels)
    if classes.ndim == 2:
        classes = classes[:, 0] if classes.shape[1] == 1 else classes.argmax(axis=1)
    if classes.ndim != 1 or not len(classes) or (classes != np.round(classes)).any():
        return None
    counts = np.unique(classes, return_counts=True)[1]
    return float(counts.max() / len(classes))


def chance_warning(score: float, labels: Array | None) -> str | None:
    """A sentence where accuracy `score` is no better than always answering the same class.

    No better: within two standard errors √(p(1 − p)/n) of the share p of the most frequent class.
    """
    share = majority_share(labels)
    if share is None or share == 1.0 or labels is None:
        return None
    error = math.sqrt(share * (1 - share) / len(labels))
    if score > share + 2 * error:
        return None
    return (
        f"accuracy {score:.4f} is at chance level (always the same answer: {share:.4f} of "
        f"{len(labels):,} test examples): check the scale of the inputs and the order of the labels"
    )


def loss_warning(score: float, base: float, base_name: str) -> str | None:
    """A sentence where accuracy `score` is more than `MAX_LOSS_POINTS` points below `base`."""
    points = 100 * (base - score)
    if points <= MAX_LOSS_POINTS:
        return None
    return (
        f"accuracy {score:.4f} is {points:.1f} points below {base_name} ({base:.4f}); "
        f"more than {MAX_LOSS_POINTS:g} points are a broken file or too strong a recipe"
    )


def with_warnings(rows: Sequence[Row], metric: str, base: str, labels: Array | None) -> list[Row]:
    """`rows` (one per recipe and seed), each with "warnings" where its score asks for one.

    Every row is held against the row of `base` with the same seed. Only accuracies are judged.
    """
    if metric != "accuracy":
        return list(rows)
    base_scores = {
        row.get("seed"): row[metric] for row in rows if row["recipe"] == base and metric in row
    }
    return [_judged(row, metric, base, base_scores, labels) for row in rows]


def _judged(
    row: Row, metric: str, base: str, base_scores: Mapping[object, object], labels: Array | None
) -> Row:
    score, reference = row.get(metric), base_scores.get(row.get("seed"))
    if row.get("error") or not isinstance(score, float):
        return row
    if row["recipe"] == base:
        sentences = [chance_warning(score, labels)]
    elif isinstance(reference, float):
        sentences = [loss_warning(score, reference, base)]
    else:
        return row
    known = row.get("warnings")
    kept = list(known) if isinstance(known, (list, tuple)) else []
    fresh = [sentence for sentence in sentences if sentence and sentence not in kept]
    return {**row, "warnings": [*kept, *fresh]} if kept or fresh else row
