"""The callbacks of a fine-tuning: a rate that warms up and falls, and the best weights kept.

This file imports both Kerases: import it inside functions only.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tf_keras

from tfcompress._backend.bridge._optimizers import as_float
from tfcompress.core._types import Model

WARM_UP = 0.1  # share of a training's steps
MOST_WARM_UP = 100  # steps; also where the length of the training is unknown


class EitherKeras(keras.callbacks.Callback, tf_keras.callbacks.Callback):
    """A callback that `fit` of either Keras takes as its own."""

    def __init__(self) -> None:
        keras.callbacks.Callback.__init__(self)
        self._chief_worker_only = None  # what tf_keras's constructor sets
        self._supports_tf_logs = False
        self._trained: Model = None

    def set_model(self, model: Model) -> None:
        self._model = self._trained = model


class WarmUpAndCosine(EitherKeras):
    """Sets the learning rate of step t of T to peak · min(1, (t + 1)/w) · (1 + cos(π·t/T))/2.

    The warm-up w is a tenth of T, at most 100 steps. Where the data have no known length the rate
    stays at its peak after the warm-up. A callback that sets the rate itself is left alone with it.
    After the training the rate is `peak`. Loshchilov & Hutter, SGDR, arXiv:1608.03983; warm-up:
    Goyal et al., arXiv:1706.02677.

    Args:
        peak: the highest rate.
    """

    def __init__(self, peak: float) -> None:
        super().__init__()
        self.peak = peak
        self.step, self.steps = 0, 0
        self.set_last: float | None = None
        self.left_alone = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.step, self.set_last, self.left_alone = 0, None, False
        params = self.params or {}
        self.steps = (params.get("steps") or 0) * params.get("epochs", 1)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        rate = as_float(self._trained.optimizer.learning_rate)
        if self.set_last is not None and not math.isclose(rate, self.set_last, rel_tol=1e-5):
            self.left_alone = True
        if not self.left_alone:
            self.set_last = self.rate_at(self.step)
            self._trained.optimizer.learning_rate = self.set_last
        self.step += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._trained.optimizer.learning_rate = self.peak

    def rate_at(self, step: int) -> float:
        """The learning rate of that step, counted from 0."""
        warm_up = MOST_WARM_UP
        decay = 1.0
        if self.steps:
            warm_up = min(math.ceil(WARM_UP * self.steps), MOST_WARM_UP)
            decay = (1 + math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        return self.peak * min(1.0, (step + 1) / warm_up) * decay


class KeepBest(EitherKeras):
    """Gives the weights with the lowest validation loss back, those before the training included.

    Args:
        before: the validation loss before the training.
    """

    def __init__(self, before: float) -> None:
        super().__init__()
        self.best = before
        self.lowest = math.inf
        self.improved = False
        self.weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.weights = self._trained.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("val_loss", math.nan)
        self.lowest = min(self.lowest, loss)
        if loss <= self.best or not math.isfinite(self.best):
            self.best, self.improved = loss, True
            self.weights = self._trained.get_weights()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.weights is not None:
            self._trained.set_weights(self.weights)
            self.weights = None


class FirstAndLast(EitherKeras):
    """The mean of loss and metrics over the first steps of a training and over its last epoch, by
    name.

    Args:
        most: how many steps count as the first, a tenth of the training at most.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = self.steps = most
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        params = self.params or {}
        steps = (params.get("steps") or 0) * params.get("epochs", 1)
        self.steps = min(self.most, max(steps // 10, 1)) if steps else self.most

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        early = self._epoch == 0 and batch < self.steps
        if early or not self.first:
            self.first.update(logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.last = dict(logs or {})
