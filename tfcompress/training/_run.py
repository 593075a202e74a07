"""One training: Keras's `fit` with the callbacks of the technique, of the user and of a
fine-tuning; what it did, said.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tfcompress._backend.bridge import _callbacks
from tfcompress._backend.bridge._progress import epoch_reporter
from tfcompress._backend.bridge._training import Prepared
from tfcompress.core import TrainingError
from tfcompress.core._types import Callback, Data, Model
from tfcompress.training._curves import record

FIRST_STEPS = 50  # whose mean loss stands for the network before its training
WORSE_ACCURACY = 0.03  # as a share of the samples
WORSE_LOSS = 1.5  # times the loss before
USUAL_BATCH = 32


def check_whole_numbers(trainer: object, *names: str) -> None:
    """Raise TrainingError unless each of these fields is a whole number of at least 1, or None."""
    for name in names:
        value = getattr(trainer, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise TrainingError(f"{name}={value!r}: expected a whole number of at least 1.")


def check_learning_rate(rate: object) -> None:
    """Raise TrainingError unless `rate` is a positive number, or None."""
    if rate is None or (isinstance(rate, (int, float)) and 0 < rate < math.inf):
        return
    raise TrainingError(f"learning_rate={rate!r}: expected a positive number, such as 1e-4.")


def check_share(share: object, name: str) -> None:
    """Raise TrainingError unless `share` is a number in [0, 1]."""
    if not (isinstance(share, (int, float)) and 0 <= share <= 1):
        raise TrainingError(f"{name}={share!r}: expected a share of the loss in [0, 1].")


@dataclass
class Run:
    """One training of `model`.

    Args:
        model: compiled by `prepare`.
        flavour: its Keras.
        prepared: how it was made ready.
        technique: the callbacks of a technique, which have to run to their end.
        users: the callbacks of the user.
        early_stopping: epochs without improvement, or None.
    """

    model: Model
    flavour: str
    prepared: Prepared
    technique: Sequence[Callback] = ()
    users: Sequence[Callback] = ()
    early_stopping: int | None = None
    _watch: Any = field(default=None, init=False)
    _best: Any = field(default=None, init=False)
    _batch_size: int = field(default=USUAL_BATCH, init=False)

    def fit(self, *, validation_data: Data, **options: Any) -> None:
        """Keras's fit with `options`; the model has its own optimizer back afterwards.

        Raises:
            TrainingError: the loss is NaN or infinite at the end.
        """
        callbacks = [*self.technique, *self.users]
        if self.early_stopping is not None and not self.technique:
            watched = "loss" if validation_data is None else "val_loss"
            callbacks.append(_callbacks.early_stopping(self.flavour, watched, self.early_stopping))
        if reporter := epoch_reporter(self.flavour):
            callbacks.append(reporter)
        if self.prepared.fine_tuning:
            callbacks += self._of_fine_tuning(validation_data, options)
        adapted = [_callbacks.adapt_callback(callback, self.flavour) for callback in callbacks]
        try:
            history = self.model.fit(
                validation_data=validation_data, callbacks=adapted, **options
            ).history
        finally:
            self.prepared.restore()
        _require_finite(history.get("loss", []))
        record(history)
        if self.prepared.fine_tuning:
            self._say_worse()

    def _of_fine_tuning(self, validation_data: Data, options: dict[str, Any]) -> list[Callback]:
        from tfcompress._backend.bridge import _fine_tuning

        callbacks: list[Callback] = []
        self._watch = _fine_tuning.FirstAndLast(FIRST_STEPS)
        self._batch_size = options.get("batch_size") or USUAL_BATCH
        callbacks.append(self._watch)
        if self.prepared.peak is not None:
            callbacks.append(_fine_tuning.WarmUpAndCosine(self.prepared.peak))
        if validation_data is not None:
            before = self._evaluate(validation_data, options)
            self._watch.first = {f"val_{name}": value for name, value in before.items()}
            if not self.technique:
                self._best = _fine_tuning.KeepBest(before["loss"])
                callbacks.append(self._best)
        return callbacks

    def _evaluate(self, validation_data: Data, options: dict[str, Any]) -> dict[str, float]:
        """Loss and metrics on the validation data, before the training."""
        arguments: dict[str, Any] = {"x": validation_data}
        if isinstance(validation_data, tuple):
            names = ("x", "y", "sample_weight")
            arguments = dict(zip(names, validation_data))
            arguments["batch_size"] = options.get("batch_size")
        return self.model.evaluate(**arguments, verbose=0, return_dict=True)

    def _say_worse(self) -> None:
        """Warn where the fine-tuning has made the network worse than it was."""
        advice = (
            "A smaller learning_rate (a larger one where much was removed), more data, more epochs "
            "or milder options may help."
        )
        first, last = self._watch.first, self._watch.last
        if self._best is not None and not self._best.improved:
            worse = f"val_loss {first['val_loss']:.4g} before, {self._best.lowest:.4g} at best"
            warnings.warn(
                f"Fine-tuning {self.model.name!r} made it worse ({worse}); it has the weights "
                f"from before. {advice}",
                stacklevel=4,
            )
            return
        worse = worsened(first, last, self._watch.steps * self._batch_size)
        if self._best is None and worse:
            warnings.warn(
                f"Fine-tuning {self.model.name!r} made it worse: {worse}. {advice}", stacklevel=4
            )


def worsened(first: dict[str, float], last: dict[str, float], samples: int) -> str | None:
    """What became clearly worse in a training; None if nothing did.

    That is an accuracy that fell by more than 3 points and by more than 1/√samples (two standard
    errors of a share at most); where there is no accuracy, a loss that grew by half and more.

    Args:
        first, last: loss and metrics by name, before the training and at its end; those of the
            validation data count where there are any.
        samples: how many samples the figures of `first` are the mean of.
    """
    prefix = "val_" if any(name.startswith("val_") for name in first) else ""
    noise = 1 / math.sqrt(samples)
    for name in (f"{prefix}accuracy", f"{prefix}acc"):
        if name in first and name in last:
            fell = first[name] - last[name] > WORSE_ACCURACY + noise
            return f"{name} {first[name]:.4f} → {last[name]:.4f}" if fell else None
    before, after = first.get(f"{prefix}loss"), last.get(f"{prefix}loss")
    if before is None or after is None or not 0 < before * (WORSE_LOSS + 5 * noise) < after:
        return None
    return f"{prefix}loss {before:.4g} → {after:.4g}"


def _require_finite(losses: Sequence[float]) -> None:
    if losses and not math.isfinite(losses[-1]):
        raise TrainingError(
            f"The loss became {losses[-1]} in epoch {len(losses)}; use a smaller learning rate or "
            "check the labels."
        )
