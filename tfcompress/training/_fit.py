"""Fit: the trainer that holds the data and calls Keras's own fit, for models of either Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import Any

from tfcompress._backend import bridge as _keras
from tfcompress._backend.bridge import _batches, _training
from tfcompress.core import DataError, TrainingError
from tfcompress.core._types import ArrayLike, Callback, Data, Model
from tfcompress.training._arrays import check_arrays, check_shapes, check_validation, is_batches
from tfcompress.training._distill import Distill
from tfcompress.training._outputs import output_kind
from tfcompress.training._recovery import whole_teacher
from tfcompress.training._run import (
    Run,
    check_learning_rate,
    check_share,
    check_whole_numbers,
)


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A trainer `fit(model, callbacks) -> None`: Keras's `fit` on the data held here, for Keras 3
    and tf_keras models alike.

    **The learning rate.** A model of your own is trained as you say: with the optimizer given here,
    else with the one it is compiled with, else with Adam, at its own rate. The copies that
    techniques make are networks that are trained already; they are fine-tuned, so that training
    does not undo what they know:

    - `learning_rate` is the highest rate of a linear warm-up and a cosine decay to zero.
    - An optimizer given here as an object, and one that you have compiled the model with and not
      trained it by since, states its rate: it is used as it is.
    - An optimizer given here by name, and Adam where there is none, gets a tenth of Keras's rate
      for its class (Adam: 1e-4) with warm-up and decay.
    - An optimizer that the model was trained with keeps its settings and gets a tenth of its rate,
      or of Keras's for its class where that is higher, with warm-up and decay.
    - Where parts of the network were removed it gets the whole rate instead of a tenth, and three
      times Keras's where that is higher and the whole network teaches.
    - Techniques that teach a network what it was not trained for (`MixedPrecision`, `Slim`) train
      at the full rate.

    **What a network that lost parts learns from.** With `distill`, right after `Prune`,
    `PruneFilters` or `LowRank` a classifier learns what it answered when it was whole, too: loss
    (1 − d)·CE + d·T²·KL as in `Distill`, with T = 4 and d = `distill`. That is so where the data
    are arrays, the loss is cross-entropy, the whole network is still there and knows the data, and
    there are neither weights of samples or classes nor a strategy. Else the labels alone teach, as
    they do in every other training.

    With `validation_data` a fine-tuning gives the weights with the lowest val_loss back, those from
    before it included, unless a technique's callbacks have to run to their end. A warning says
    where a fine-tuning has made the network worse.

    Args:
        x, y: arrays [n, ...] (or lists or dicts of them); or x alone: a tf.data set, a PyDataset or
            Sequence, a function that returns a generator of (x, y) batches, or an endless generator
            with `steps_per_epoch`.
        epochs: how often the data are run through.
        batch_size: samples a step, for arrays.
        validation_data: (x, y), (x, y, sample_weight), or a source of batches.
        optimizer, loss, metrics: names or objects of either Keras; what is not given is taken over
            from the model's compile state. Every call trains with an optimizer that has these
            settings and no history.
        learning_rate: in place of the optimizer's own; the highest one where the model is
            fine-tuned.
        distill: the share of the loss in which the whole network teaches one that lost parts, in
            [0, 1]; 0 for the labels alone. 0.9 brought more back in docs/fine_tuning.md.
        callbacks: Keras callbacks of either Keras.
        early_stopping: epochs without a better val_loss (loss without `validation_data`) after
            which training stops; the best epoch's weights come back. It is off while a technique's
            callbacks run: a pruning schedule has to reach its end.
        class_weight: {label: weight}, as in Keras.
        sample_weight: [n], as in Keras.
        steps_per_epoch: batches of an endless generator that make an epoch.
        seed: sets the seeds of Python, NumPy and TensorFlow before each call.
        verbose: 0, "auto" (Keras's progress bar), 1 or 2.
        strategy: a tf.distribute strategy; the model must be made inside `scope()`, which
            `compress` takes care of.

    Raises:
        DataError: empty data, NaN, lengths or shapes that do not fit.
        TrainingError: no loss, an object that cannot be taken over, a loss that became NaN.
    """

    x: Data
    y: ArrayLike = None
    _: KW_ONLY
    epochs: int = 1
    batch_size: int = 32
    validation_data: Data = None
    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    learning_rate: float | None = None
    distill: float = 0.0
    callbacks: Sequence[Callback] = ()
    early_stopping: int | None = None
    class_weight: Mapping[int, float] | None = None
    sample_weight: ArrayLike = None
    steps_per_epoch: int | None = None
    seed: int | None = None
    verbose: int | str = 0
    strategy: Any = None

    def __post_init__(self) -> None:
        check_whole_numbers(self, "epochs", "batch_size", "early_stopping", "steps_per_epoch")
        check_learning_rate(self.learning_rate)
        check_share(self.distill, "distill")
        if not is_batches(self.x, self.y, self.steps_per_epoch, "x"):
            check_arrays(self.x, self.y, self.sample_weight, "training data")
        elif self.sample_weight is not None:
            raise DataError(
                "sample_weight goes with arrays; a data set yields (x, y, sample_weight)."
            )
        check_validation(self.validation_data)

    def __repr__(self) -> str:
        names = ("epochs", "batch_size", "optimizer", "learning_rate", "loss", "early_stopping")
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in (*names, "seed"))
        return f"Fit({type(self.x).__name__}, {options})"

    def scope(self) -> AbstractContextManager[object]:
        """The context in which the model that trains must be made: the strategy's scope, or
        nothing.
        """
        return self.strategy.scope() if self.strategy is not None else nullcontext()

    def __call__(self, model: Model, callbacks: Sequence[Callback] = ()) -> None:
        """Train `model` in place; `callbacks` are what a technique needs to see every step."""
        flavour = _keras.flavour(model)
        if self.strategy is not None and model.distribute_strategy is not self.strategy:
            raise TrainingError(
                "The model was not made inside this Fit's strategy; build or apply it within "
                "`with fit.scope():`."
            )
        if teaching := self._teaching(model):
            teaching(model, callbacks)
            self._prepared(model, flavour).restore()  # compiled as after any other training
            return
        if self.seed is not None:
            _keras.set_seed(self.seed)
        data = self._data(model, flavour)
        with self.scope():
            prepared = self._prepared(model, flavour)
        weights = None if self.class_weight is None else dict(self.class_weight)
        run = Run(model, flavour, prepared, callbacks, self.callbacks, self.early_stopping)
        run.fit(
            **data,
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            class_weight=weights,
            verbose=self.verbose,
        )

    def _prepared(self, model: Model, flavour: str) -> _training.Prepared:
        return _training.prepare(
            model,
            flavour,
            optimizer=self.optimizer,
            loss=self.loss,
            metrics=self.metrics,
            learning_rate=self.learning_rate,
        )

    def _teaching(self, model: Model) -> Distill | None:
        """The trainer in which the whole network teaches `model`, which lost parts of it."""
        weighted = self.class_weight is not None or self.sample_weight is not None
        if not self.distill or weighted or self.strategy is not None:
            return None
        teacher = whole_teacher(model, self.x, self.y, self.loss)
        if teacher is None:
            return None
        names = ("epochs", "batch_size", "validation_data", "optimizer", "learning_rate")
        names += ("callbacks", "early_stopping", "seed", "verbose")
        options = {name: getattr(self, name) for name in names}
        kind = output_kind(teacher)
        return Distill(teacher, self.x, self.y, alpha=self.distill, outputs=kind, **options)

    def _data(self, model: Model, flavour: str) -> dict[str, Any]:
        """The arguments of Keras's fit that hold the data."""
        specs = _keras.input_specs(model)
        validation = self.validation_data
        if _batches.is_batches(validation):
            validation = _batches.adapt_batches(validation, flavour)
        elif validation is not None:
            check_shapes(validation[0], specs, "validation_data")
            validation = tuple(validation)
        if _batches.is_batches(self.x):
            x = _batches.adapt_batches(self.x, flavour)
            return {"x": x, "validation_data": validation, "shuffle": hasattr(x, "__getitem__")}
        check_shapes(self.x, specs, "training data")
        return {
            "x": self.x,
            "y": self.y,
            "sample_weight": self.sample_weight,
            "batch_size": self.batch_size,
            "validation_data": validation,
        }
