"""The scale on which a model takes images: as they are stored, or divided by 255.

A model that is fed on another scale than it was trained on answers at chance level, and an integer
file calibrated on it is broken, without any error. Images stored as integers are therefore fed as
they are stored, unless the model itself is measurably better on the divided ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tfcompress import profiling
from tfcompress._backend import bridge as keras
from tfcompress.core import DataError, TfcompressError
from tfcompress.core._types import Array, Model
from tfcompress.zoo import Data

WHOLE = 255.0
EXAMPLES = 256
"""How many training, and validation, images decide between two scales."""

SCALING = ("Rescaling", "Normalization")
Predict = Callable[[Array], Array]


@dataclass(frozen=True)
class Scale:
    """What images are divided by, and why, in a sentence for people."""

    divisor: float
    reason: str


def scaled(data: Data, divisor: float) -> Data:
    """`data` with all images divided by `divisor`; itself for 1."""
    if divisor == 1:
        return data
    parts = {f"x_{part}": getattr(data, f"x_{part}") for part in ("train", "val", "test")}
    return replace(data, **{name: x / np.float32(divisor) for name, x in parts.items()})


def scale_for_model(data: Data, model: Model) -> Scale:
    """The scale of `data` (as stored) that the Keras `model` was trained on."""

    def predict(x: Array) -> Array:
        return np.asarray(keras.predict(model, [x])[0])

    return find_scale(data, predict, scaling_layer(model))


def find_scale(data: Data, predict: Predict, layer: str = "") -> Scale:
    """The scale of `data` (as stored, not divided) for a model or file that computes `predict`.

    Integer images only: accuracy on both scales decides where it differs by more than two standard
    errors, then the likelihood of the labels; where neither does, they are fed as stored.
    """
    if not data.stored.startswith(("int", "uint")):
        return Scale(1.0, f"values as stored ({data.stored})")
    measured = _measured(data, predict)
    if measured is not None and measured.clear:
        return measured.scale(data.stored)
    if layer:
        return Scale(1.0, f"images as stored, {data.stored} (the model begins with {layer!r})")
    return Scale(1.0, f"images as stored, {data.stored} (--scale 255 divides them)")


def scaling_layer(model: Model) -> str:
    """Name of the Rescaling or Normalization before the first layer that learns; "" without one."""
    for layer in keras.leaf_layers(model):
        if type(layer).__name__ in SCALING:
            return layer.name
        if layer.trainable_weights:
            return ""
    return ""


@dataclass(frozen=True)
class _Measured:
    """How well a classifier answers on both scales, example by example.

    `hits` are 0 or 1; `likelihoods` are log p(label), which tell two scales apart on which a
    network of ReLUs gives the same classes with another confidence.
    """

    hits: tuple[Array, Array]
    likelihoods: tuple[Array, Array]

    @property
    def clear(self) -> bool:
        """Whether hits, or else likelihoods, differ by more than two standard errors."""
        return abs(_errors_apart(*self.hits)) > 2 or abs(_errors_apart(*self.likelihoods)) > 2

    def scale(self, stored: str) -> Scale:
        """The better scale: by hits where they differ clearly, else by likelihoods."""
        better = _errors_apart(*self.hits)
        if abs(better) <= 2:
            better = _errors_apart(*self.likelihoods)
        accuracies = [f"{hits.mean():.3f}" for hits in self.hits]
        measured = f"accuracy {accuracies[0]} as stored, {accuracies[1]} divided by 255"
        if better > 0:
            return Scale(WHOLE, f"images divided by 255 ({measured})")
        return Scale(1.0, f"images as stored, {stored} ({measured})")


def _errors_apart(as_stored: Array, divided: Array) -> float:
    """Mean of (divided − as_stored) over the same examples, in its standard errors."""
    difference = divided - as_stored
    error = difference.std() / math.sqrt(len(difference))
    return float(difference.mean() / error) if error > 0 else 0.0


def _measured(data: Data, predict: Predict) -> _Measured | None:
    """Images answered on both scales; None for what is no classifier of their labels.

    They are training and validation images: the test images stay unseen.
    """
    train, validation = _evenly(data.x_train, data.y_train), _evenly(data.x_val, data.y_val)
    x, y = (np.concatenate(pair) for pair in zip(train, validation))
    if not np.issubdtype(y.dtype, np.integer):
        return None
    try:
        answers = predict(x), predict(x / np.float32(WHOLE))
        hits = [profiling.correct(y, outputs).astype(float) for outputs in answers]
        likelihoods = [_log_likelihoods(y, outputs) for outputs in answers]
    except (DataError, TfcompressError, ValueError, IndexError):
        return None
    return _Measured((hits[0], hits[1]), (likelihoods[0], likelihoods[1]))


def _evenly(x: Array, y: Array) -> tuple[Array, Array]:
    """`EXAMPLES` rows or fewer, spread over all."""
    rows = np.linspace(0, len(x) - 1, min(EXAMPLES, len(x))).astype(int)
    return x[rows], y[rows]


def _log_likelihoods(labels: Array, outputs: Array) -> Array:
    """log p(label) [n] of probabilities or logits [n, classes], or of a sigmoid [n, 1]."""
    classes = labels.argmax(-1) if labels.ndim > 1 else labels
    if outputs.shape[-1] == 1:
        positive = outputs[:, 0]
        outputs = np.stack([1 - positive, positive], axis=1)
    elif not np.allclose(outputs.sum(-1), 1, atol=1e-3):
        powers = np.exp(outputs - outputs.max(-1, keepdims=True))
        outputs = powers / powers.sum(-1, keepdims=True)
    likelihoods = np.take_along_axis(outputs, classes[:, None].astype(int), axis=-1)[:, 0]
    return np.log(np.clip(likelihoods, 1e-7, 1))
