"""Distill: a trainer in which a teacher's softened answers, and where it looks, guide the
student.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.bridge import _batches, _training
from tfcompress.core import ModelError, TrainingError
from tfcompress.core._types import Array, ArrayLike, Callback, Data, Model
from tfcompress.training._arrays import check_arrays, check_shapes, check_validation, is_batches
from tfcompress.training._attention import (
    Size,
    attention_loss,
    paired_layers,
    spatial_size,
    with_outputs,
)
from tfcompress.training._distillation import (
    ArrayBatches,
    Teacher,
    accuracy,
    one_hot,
    soft_loss,
    taught_batches,
)
from tfcompress.training._outputs import Kind, output_kind
from tfcompress.training._run import Run, check_learning_rate, check_share, check_whole_numbers

KEPT_BYTES = 1 << 28  # of attention maps; the maps of more images are asked for batch by batch


@dataclass(frozen=True, eq=False, repr=False)
class Distill:
    """A trainer `distill(student, callbacks) -> None` that works with every technique, as `Fit`
    does.

    Loss: (1 − α)·CE(y, σ(z_s)) + α·T²·KL(σ(z_t/T) ‖ σ(z_s/T)) + β·Σ_j mean (Q_s^j/‖Q_s^j‖ −
    Q_t^j/‖Q_t^j‖)²,
    with logits z of student and teacher (recovered from softmax or sigmoid outputs), temperature T,
    and attention maps Q^j = Σ_c A_c² of paired layers.
    Hinton et al., Distilling the Knowledge in a Neural Network, arXiv:1503.02531; Zagoruyko &
    Komodakis, Paying More Attention to Attention, ICLR 2017, arXiv:1612.03928.

    Args:
        teacher: a model of either Keras with the same output, never trained.
        x, y: [n, ...] and labels [n] or one-hot [n, classes]: the teacher's answers are computed
            once and kept (attention maps of more than 256 MiB are asked for batch by batch). Or x
            alone, what makes its own batches (x, y), as in Fit: an augmenting tf.data set, a
            PyDataset, a function that returns a generator; the teacher then sees the same images
            as the student, anew every epoch.
        temperature: T, softens both answers.
        alpha: α, the teacher's share of the loss.
        attention: {student layer: teacher layer}, "auto" (the last layer of every size both have,
            from 7 × 7 on: the mean over fewer positions makes a map outweigh all else), or None.
        beta: β, the weight of attention.
        outputs: "softmax", "sigmoid" or "logits": what student and teacher give, where neither
            their graphs nor their values tell.
        optimizer: as in Fit; None for the one that the student is compiled with.
        learning_rate, validation_data, callbacks, early_stopping: as in Fit, and so is the rate
            that a copy made by a technique is trained at.

    Raises:
        TrainingError: options out of range.
        ModelError: other outputs than the teacher's, no such layer.
        DataError: as in Fit.
    """

    teacher: Model
    x: Data
    y: ArrayLike = None
    _: KW_ONLY
    temperature: float = 4.0
    alpha: float = 0.9
    attention: Mapping[str, str] | str | None = None
    beta: float = 1e3
    outputs: str | None = None
    epochs: int = 1
    batch_size: int = 32
    validation_data: Data = None
    optimizer: Any = "adam"
    learning_rate: float | None = None
    callbacks: Sequence[Callback] = ()
    early_stopping: int | None = None
    seed: int | None = None
    verbose: int | str = 0
    _answers: dict[object, list[Array]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._check_options()
        _keras.require_graph(self.teacher)
        if not is_batches(self.x, self.y, None, "x"):
            check_arrays(self.x, self.y, None, "training data")
        check_validation(self.validation_data)

    def _check_options(self) -> None:
        check_whole_numbers(self, "epochs", "batch_size", "early_stopping")
        check_learning_rate(self.learning_rate)
        if self.temperature <= 0:
            raise TrainingError(
                f"temperature={self.temperature}: expected a positive number, such as 4."
            )
        check_share(self.alpha, "alpha")
        if self.beta < 0:
            raise TrainingError(f"beta={self.beta}: the weight of attention must not be negative.")
        if isinstance(self.attention, str) and self.attention != "auto":
            raise TrainingError(
                f"attention={self.attention!r}: expected 'auto' or {{student layer: "
                "teacher layer}}."
            )
        if self.outputs not in (None, "softmax", "sigmoid", "logits"):
            raise TrainingError(
                f"outputs={self.outputs!r}: expected 'softmax', 'sigmoid' or 'logits'."
            )

    def __repr__(self) -> str:
        return (
            f"Distill({self.teacher.name!r}, temperature={self.temperature}, alpha={self.alpha}, "
            f"attention={self.attention!r})"
        )

    def __call__(self, model: Model, callbacks: Sequence[Callback] = ()) -> None:
        """Train the student `model` in place; the teacher stays as it is."""
        kind, classes = output_kind(model, self.outputs), self._classes(model)
        if self.seed is not None:
            _keras.set_seed(self.seed)
        flavour, pairs = _keras.flavour(model), self._pairs(model)
        sizes = tuple(spatial_size(model, layer) for layer in pairs)
        for layer in pairs.values():
            spatial_size(self.teacher, layer)
        data = self._data(model, tuple(pairs.values()), sizes, classes)
        # The student itself keeps its own loss and optimizer.
        whole = with_outputs(model, list(pairs))
        prepared = self._compile(whole, model, kind, classes, sizes)
        run = Run(whole, flavour, prepared, callbacks, self.callbacks, self.early_stopping)
        run.fit(**data, epochs=self.epochs, verbose=self.verbose)

    def _compile(
        self, whole: Model, student: Model, kind: Kind, classes: int, sizes: Sequence[Size]
    ) -> _training.Prepared:
        """Compile `whole`, the student with the layers looked at as further outputs."""
        own = getattr(student, "optimizer", None) if self.optimizer is None else None
        ready, peak = _training.ready_optimizer(
            student, self.optimizer, own, self.learning_rate, _keras.flavour(student), taught=True
        )
        losses = [soft_loss(kind, classes, self.temperature, self.alpha)]
        losses += [attention_loss(size) for size in sizes]
        metrics = [[accuracy(kind, classes)], *([] for _ in sizes)]
        options: dict[str, Any] = {"optimizer": ready, "loss": losses[0], "metrics": metrics[0]}
        if sizes:
            weights = [1.0] + [self.beta] * len(sizes)
            options.update(loss=losses, loss_weights=weights, metrics=metrics)
        if getattr(student, "optimizer", None) is not None:
            options["jit_compile"] = student.jit_compile
        whole.compile(**options)
        fine_tuned = _training.is_fine_tuned(student)
        return _training.Prepared(fine_tuned, peak, _training.recovered(student))

    def _classes(self, model: Model) -> int:
        mine, theirs = (tuple(m.outputs[0].shape)[1:] for m in (model, self.teacher))
        if mine != theirs or len(mine) != 1:
            raise ModelError(
                f"Teacher and student must answer alike: teacher {theirs}, student {mine} per "
                "sample."
            )
        return int(mine[0])

    def _pairs(self, model: Model) -> dict[str, str]:
        return paired_layers(self.attention, model, self.teacher)

    def _data(
        self, model: Model, layers: tuple[str, ...], sizes: tuple[Size, ...], classes: int
    ) -> dict[str, Any]:
        """The arguments of Keras's fit: the data with what the teacher says of them."""
        teacher = Teacher(self.teacher, self._kind(), classes, layers, sizes)
        validation = self.validation_data
        if validation is not None:
            validation = self._with_answers(validation, model, teacher, "validation_data")
        given = self.x if _batches.is_batches(self.x) else (self.x, self.y)
        training = self._with_answers(given, model, teacher, "training data")
        options = {"validation_data": validation}
        if isinstance(training, tuple):
            x, y = training
            return {"x": x, "y": y, "batch_size": self.batch_size, **options}
        return {"x": training, "shuffle": hasattr(training, "__getitem__"), **options}

    def _kind(self) -> Kind:
        return output_kind(self.teacher, self.outputs)

    def _with_answers(self, given: Data, model: Model, teacher: Teacher, what: str) -> Data:
        """`given` with the teacher's answers for the labels: arrays where they are kept, else
        batches.
        """
        if _batches.is_batches(given):
            return self._asking(given, model, teacher, what)
        x, y, weight = [*given, None][:3]
        check_shapes(x, _keras.input_specs(model), what)
        labels = one_hot(np.asarray(y), teacher.classes)
        if teacher.bytes_of_maps(len(labels)) > KEPT_BYTES:
            shuffled = what == "training data"
            batches = ArrayBatches(x, np.asarray(y), weight, self.batch_size, shuffled)
            return self._asking(batches, model, teacher, what)
        taught = self._taught(x, y, teacher.classes, teacher.layers, teacher.sizes)
        return (x, taught) if weight is None else (x, taught, np.asarray(weight))

    def _asking(self, source: Data, model: Model, teacher: Teacher, what: str) -> Data:
        """The batches of `source`, for each of which the teacher is asked."""
        specs = _keras.input_specs(model)

        def check(x: Data, y: ArrayLike) -> None:
            check_shapes(x, specs, what)
            one_hot(np.asarray(y), teacher.classes)

        return taught_batches(source, _keras.flavour(model), teacher.teaching(), check)

    def _taught(
        self,
        x: Data,
        y: ArrayLike,
        classes: int,
        layers: tuple[str, ...],
        sizes: tuple[Size, ...],
    ) -> Array | list[Array]:
        """What the student is compared with: [labels ‖ teacher's logits], and the teacher's
        maps.
        """
        inputs = [np.asarray(part) for part in (x if isinstance(x, (list, tuple)) else [x])]
        key = (x is self.x, layers, sizes)
        if key not in self._answers:  # the data are fixed, so the teacher is asked once
            teacher = Teacher(self.teacher, self._kind(), classes, layers, sizes)
            self._answers[key] = teacher.answers_to(inputs)
        logits, *maps = self._answers[key]
        labels = one_hot(np.asarray(y), classes)
        packed = np.concatenate([labels.reshape(len(labels), -1).astype(np.float32), logits], 1)
        return [packed, *maps] if layers else packed
