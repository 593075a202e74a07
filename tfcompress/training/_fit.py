"""Fit: the trainer that holds the data and calls Keras's own fit, for models of either Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import Any

from tfcompress._backend import bridge as _keras
from tfcompress._backend.bridge import _training as _training
from tfcompress.core import DataError, TrainingError
from tfcompress.training._arrays import check_arrays, check_shapes, is_batches


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A trainer `fit(model, callbacks) -> None`: Keras's `fit` on the data held here, for Keras 3 and tf_keras models alike.

    x, y: arrays [n, ...] (or lists or dicts of them); or x alone: a tf.data set, a PyDataset or Sequence, a function that returns
    a generator of (x, y) batches, or an endless generator with `steps_per_epoch`. `batch_size` is for arrays.
    optimizer, loss, metrics: names or objects of either Keras; what is not given is taken over from the model's compile state
    (no optimizer anywhere: "adam"). Every call trains with an optimizer that has these settings and no history.
    early_stopping: epochs without a better val_loss (loss without `validation_data`) after which training stops; the best epoch's
    weights come back. It is off while a technique's callbacks run: a pruning schedule has to reach its end.
    callbacks: Keras callbacks of either Keras. class_weight {label: weight}, sample_weight [n]: as in Keras. seed: sets the seeds of
    Python, NumPy and TensorFlow before each call. verbose: 0, "auto" (Keras's progress bar), 1 or 2.
    strategy: a tf.distribute strategy; the model must be made inside `scope()`, which `compress` takes care of.

    Raises DataError (empty, NaN, lengths or shapes that do not fit) and TrainingError (no loss, an object that cannot be taken over,
    a loss that became NaN).
    """

    x: Any
    y: Any = None
    _: KW_ONLY
    epochs: int = 1
    batch_size: int = 32
    validation_data: Any = None
    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    callbacks: Sequence[Any] = ()
    early_stopping: int | None = None
    class_weight: Mapping[int, float] | None = None
    sample_weight: Any = None
    steps_per_epoch: int | None = None
    seed: int | None = None
    verbose: int | str = 0
    strategy: Any = None

    def __post_init__(self):
        for name in ("epochs", "batch_size", "early_stopping", "steps_per_epoch"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise TrainingError(f"{name}={value!r}: expected a whole number of at least 1.")
        if not is_batches(self.x, self.y, self.steps_per_epoch, "x"):
            check_arrays(self.x, self.y, self.sample_weight, "training data")
        elif self.sample_weight is not None:
            raise DataError(
                "sample_weight goes with arrays; a data set yields (x, y, sample_weight)."
            )
        if self.validation_data is not None and not is_batches(
            self.validation_data, None, None, "validation_data"
        ):
            if not isinstance(self.validation_data, (list, tuple)) or len(
                self.validation_data
            ) not in (2, 3):
                raise DataError(
                    f"validation_data: expected (x, y) or a data set, got {type(self.validation_data).__name__}."
                )
            check_arrays(*[*self.validation_data, None][:3], "validation_data")

    def __repr__(self) -> str:
        options = ("epochs", "batch_size", "optimizer", "loss", "early_stopping", "seed")
        return f"Fit({type(self.x).__name__}, {', '.join(f'{name}={getattr(self, name)!r}' for name in options)})"

    def scope(self) -> Any:
        """The context in which the model that trains must be made: the strategy's scope, or nothing."""
        return self.strategy.scope() if self.strategy is not None else nullcontext()

    def __call__(self, model: Any, callbacks: Sequence[Any] = ()) -> None:
        """Train `model` in place; `callbacks` are what a technique needs to see every step."""
        flavour = _keras.flavour(model)
        if self.strategy is not None and model.distribute_strategy is not self.strategy:
            raise TrainingError(
                "The model was not made inside this Fit's strategy; build or apply it within `with fit.scope():`."
            )
        if self.seed is not None:
            _keras.set_seed(self.seed)
        with self.scope():
            _training.prepare(
                model, flavour, optimizer=self.optimizer, loss=self.loss, metrics=self.metrics
            )
        carried = [*callbacks, *self.callbacks]
        if self.early_stopping is not None and not callbacks:
            carried.append(
                _training.early_stopping(
                    flavour,
                    "loss" if self.validation_data is None else "val_loss",
                    self.early_stopping,
                )
            )
        history = model.fit(
            **self._data(model, flavour),
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            class_weight=None if self.class_weight is None else dict(self.class_weight),
            callbacks=[_training.adapt_callback(callback, flavour) for callback in carried],
            verbose=self.verbose,
        )
        losses = history.history.get("loss", [])
        if losses and not math.isfinite(losses[-1]):
            raise TrainingError(
                f"The loss became {losses[-1]} in epoch {len(losses)}; use a smaller learning rate or check the labels."
            )

    def _data(self, model: Any, flavour: str) -> dict[str, Any]:
        specs = _keras.input_specs(model)
        validation = self.validation_data
        if validation is not None:
            if _training.is_batches(validation):
                validation = _training.adapt_batches(validation, flavour)
            else:
                check_shapes(validation[0], specs, "validation_data")
                validation = tuple(validation)
        if _training.is_batches(self.x):
            x = _training.adapt_batches(self.x, flavour)
            return {"x": x, "validation_data": validation, "shuffle": hasattr(x, "__getitem__")}
        check_shapes(self.x, specs, "training data")
        return {
            "x": self.x,
            "y": self.y,
            "sample_weight": self.sample_weight,
            "batch_size": self.batch_size,
            "validation_data": validation,
        }
