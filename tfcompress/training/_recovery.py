"""Who teaches a network that lost parts: the network that it was, where that knows the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfcompress._backend.bridge import _batches, _training
from tfcompress.core import ModelError
from tfcompress.core._types import Array, ArrayLike, Data, Model
from tfcompress.training._distillation import Teacher, one_hot
from tfcompress.training._outputs import output_kind

KNOWS = 2 / 3  # of the labels' entropy, which a network's loss on them may be
LOOKED_AT = 1000  # samples on which that is found out
# Losses of which distillation's is a mixture, as Keras names their functions and classes.
CROSS_ENTROPIES = ("categoricalcrossentropy", "sparsecategoricalcrossentropy", "binarycrossentropy")


def whole_teacher(model: Model, x: Data, y: ArrayLike, loss: Any) -> Model | None:
    """The network that `model` was before it lost parts, where it can teach `model`; else None.

    That takes labels trained on by cross-entropy, arrays (the answers are computed once and cost
    next to nothing), one output of classes, and a network whose own cross-entropy on the labels is
    at most two thirds of their entropy: one that was never trained teaches nothing.

    Args:
        model: what is to be trained.
        x, y: arrays [n, ...] and labels [n] or one-hot [n, classes], else None is the answer.
        loss: what the trainer was given, or None for what the model is compiled with.
    """
    whole = _training.whole_of(model)
    if whole is None or y is None or isinstance(x, dict) or _batches.is_batches(x):
        return None
    if not _is_cross_entropy(_training.loss_of(model, loss)) or not _answers_alike(model, whole):
        return None
    try:
        kind = output_kind(whole)
    except ModelError:  # neither graph nor values tell what the output holds
        return None
    teacher = Teacher(whole, kind, int(whole.outputs[0].shape[-1]))
    return whole if _knows(teacher, x, np.asarray(y)) else None


def _is_cross_entropy(loss: Any) -> bool:
    """Whether `loss`, a name, function or object, is one of Keras's without label smoothing."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    get_config = getattr(loss, "get_config", None)
    if get_config is not None and get_config().get("label_smoothing"):
        return False
    return name.replace("_", "").lower() in CROSS_ENTROPIES


def _answers_alike(model: Model, whole: Model) -> bool:
    """Whether both have one output [batch, classes] of the same width."""
    if len(model.outputs) != 1 or len(whole.outputs) != 1:
        return False
    mine, theirs = (tuple(one.outputs[0].shape) for one in (model, whole))
    return len(mine) == 2 and mine[1] == theirs[1]


def _knows(teacher: Teacher, x: Data, y: Array) -> bool:
    """Whether the teacher's cross-entropy on a part of the data is at most KNOWS · their entropy.

    Both are means over the columns where these are separate questions (sigmoids).
    """
    rows = np.unique(np.linspace(0, len(y) - 1, LOOKED_AT).astype(int))
    parts = [np.asarray(part)[rows] for part in (x if isinstance(x, (list, tuple)) else [x])]
    labels = one_hot(y[rows], teacher.classes).reshape(len(rows), -1).astype(np.float64)
    if labels.shape[1] != teacher.classes:
        return False
    logits = teacher.answers_to(parts)[0].astype(np.float64)
    binary = teacher.kind == "sigmoid" or teacher.classes == 1
    loss = _binary_loss(labels, logits) if binary else _softmax_loss(labels, logits)
    return loss <= KNOWS * _entropy(labels.mean(0), binary)


def _softmax_loss(labels: Array, logits: Array) -> float:
    """Mean of −Σ y·log softmax(z)."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-(labels * log_p).sum(1).mean())


def _binary_loss(labels: Array, logits: Array) -> float:
    """Mean of −y·log σ(z) − (1 − y)·log(1 − σ(z)) = log(1 + e^z) − y·z."""
    return float((np.logaddexp(0, logits) - labels * logits).mean())


def _entropy(shares: Array, binary: bool) -> float:
    """−Σ p·log p of the classes' shares; of separate questions the mean of −p·log p − (1 −
    p)·log(1 − p).
    """
    p = np.clip(shares, 1e-12, 1 - 1e-12)
    if binary:
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())
    return float(-(p * np.log(p)).sum())
