"""Distill: a trainer in which a teacher's softened answers, and where it looks, guide the student."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.bridge import _training as _training
from tfcompress.core import DataError, ModelError, TrainingError
from tfcompress.training import _distillation as _distilling
from tfcompress.training._arrays import check_arrays, check_shapes, is_batches

LEAST_POSITIONS = 49  # 7 × 7, the smallest maps of Zagoruyko & Komodakis, for which β = 1000 is


@dataclass(frozen=True, eq=False, repr=False)
class Distill:
    """A trainer `distill(student, callbacks) -> None` that works with every technique, as `Fit` does.

    Loss: (1 − α)·CE(y, σ(z_s)) + α·T²·KL(σ(z_t/T) ‖ σ(z_s/T)) + β·Σ_j mean (Q_s^j/‖Q_s^j‖ − Q_t^j/‖Q_t^j‖)², with logits z of
    student and teacher (recovered from softmax or sigmoid outputs), temperature T, and attention maps Q^j = Σ_c A_c² of paired layers.
    teacher: a model of either Keras with the same output, never trained. x [n, ...], y [n] labels or [n, classes] one-hot: its
    answers are computed once and kept. Or x alone, what makes its own batches (x, y), as in Fit: an augmenting tf.data set, a
    PyDataset, a function that returns a generator; the teacher then sees the same images as the student, anew every epoch.
    attention: {student layer: teacher layer}, "auto" (the last layer of every size both have, from 7 × 7 on: the mean over fewer
    positions makes a map outweigh all else), or None.
    optimizer, early_stopping: as in Fit.
    Hinton et al., Distilling the Knowledge in a Neural Network, arXiv:1503.02531; Zagoruyko & Komodakis, Paying More Attention to
    Attention, ICLR 2017, arXiv:1612.03928.

    Raises TrainingError (options out of range), ModelError (other outputs than the teacher's, no such layer), DataError.
    """

    teacher: Any
    x: Any
    y: Any = None
    _: KW_ONLY
    temperature: float = 4.0
    alpha: float = 0.9
    attention: Mapping[str, str] | str | None = None
    beta: float = 1e3
    epochs: int = 1
    batch_size: int = 32
    validation_data: Any = None
    optimizer: Any = "adam"
    callbacks: Sequence[Any] = ()
    early_stopping: int | None = None
    seed: int | None = None
    verbose: int | str = 0
    _answers: dict = field(default_factory=dict, init=False)

    def __post_init__(self):
        if self.temperature <= 0:
            raise TrainingError(
                f"temperature={self.temperature}: expected a positive number, such as 4."
            )
        if not 0 <= self.alpha <= 1:
            raise TrainingError(
                f"alpha={self.alpha}: the teacher's share of the loss must be in [0, 1]."
            )
        if self.beta < 0:
            raise TrainingError(f"beta={self.beta}: the weight of attention must not be negative.")
        if isinstance(self.attention, str) and self.attention != "auto":
            raise TrainingError(
                f"attention={self.attention!r}: expected 'auto' or {{student layer: teacher layer}}."
            )
        _keras.require_graph(self.teacher)
        if not is_batches(self.x, self.y, None, "x"):
            check_arrays(self.x, self.y, None, "training data")
        if self.validation_data is not None and not is_batches(
            self.validation_data, None, None, "validation_data"
        ):
            check_arrays(*self.validation_data, None, "validation_data")

    def __repr__(self) -> str:
        return f"Distill({self.teacher.name!r}, temperature={self.temperature}, alpha={self.alpha}, attention={self.attention!r})"

    def __call__(self, model: Any, callbacks: Sequence[Any] = ()) -> None:
        """Train the student `model` in place; the teacher stays as it is."""
        kind, classes = _distilling.output_kind(model), self._classes(model)
        if self.seed is not None:
            _keras.set_seed(self.seed)
        pairs = self._pairs(model)
        whole = _distilling.with_outputs(
            model, list(pairs)
        )  # the student itself keeps its own loss and optimizer
        sizes = [_distilling.spatial_size(model, layer) for layer in pairs]
        losses = [
            _distilling.soft_loss(kind, classes, self.temperature, self.alpha),
            *map(_distilling.attention_loss, sizes),
        ]
        flavour = _keras.flavour(model)
        options: dict[str, Any] = {"optimizer": _training.fresh_optimizer(self.optimizer, flavour)}
        if getattr(model, "optimizer", None) is not None:
            options["jit_compile"] = model.jit_compile
        metric = _distilling.accuracy(kind, classes)
        if pairs:
            weights, metrics = [1.0] + [self.beta] * len(pairs), [[metric], *[[] for _ in pairs]]
            whole.compile(loss=losses, loss_weights=weights, metrics=metrics, **options)
        else:
            whole.compile(loss=losses[0], metrics=[metric], **options)
        carried = [*callbacks, *self.callbacks]
        if self.early_stopping is not None and not callbacks:
            carried.append(
                _training.early_stopping(
                    flavour,
                    "loss" if self.validation_data is None else "val_loss",
                    self.early_stopping,
                )
            )
        layers = tuple(pairs.values())
        history = whole.fit(
            **self._data(model, layers, tuple(sizes), classes),
            epochs=self.epochs,
            callbacks=[_training.adapt_callback(callback, flavour) for callback in carried],
            verbose=self.verbose,
        )
        if not math.isfinite(history.history["loss"][-1]):
            raise TrainingError(
                f"The loss became {history.history['loss'][-1]}; use a smaller learning rate or beta."
            )

    def _classes(self, model: Any) -> int:
        mine, theirs = (tuple(m.outputs[0].shape)[1:] for m in (model, self.teacher))
        if mine != theirs or len(mine) != 1:
            raise ModelError(
                f"Teacher and student must answer alike: teacher {theirs}, student {mine} per sample."
            )
        return int(mine[0])

    def _pairs(self, model: Any) -> dict[str, str]:
        if not self.attention:
            return {}
        if not isinstance(self.attention, str):
            return dict(self.attention)
        mine, theirs = (
            _distilling.last_of_each_size(model),
            _distilling.last_of_each_size(self.teacher),
        )
        sizes = [size for size in mine if size in theirs]
        if not sizes:
            raise ModelError(
                f"attention='auto': no size in common (student {list(mine)}, teacher {list(theirs)}); give the pairs."
            )
        wide = [size for size in sizes if math.prod(size) >= LEAST_POSITIONS] or [
            max(sizes, key=math.prod)
        ]
        return {mine[size]: theirs[size] for size in wide}

    def _data(
        self, model: Any, layers: tuple[str, ...], sizes: tuple, classes: int
    ) -> dict[str, Any]:
        """The arguments of Keras's fit: the data with what the teacher says of them."""
        specs, flavour = _keras.input_specs(model), _keras.flavour(model)

        def arrays(x: Any, y: Any, what: str) -> tuple[Any, Any]:
            check_shapes(x, specs, what)
            return x, self._taught(x, y, classes, layers, sizes)

        def batches(source: Any, what: str) -> Any:
            def check(x: Any, y: Any) -> None:
                check_shapes(x, specs, what)
                _one_hot(np.asarray(y), classes)

            return _distilling.taught_batches(
                source, flavour, _distilling.teach(self.teacher, layers, sizes, classes), check
            )

        validation = self.validation_data
        if validation is not None:
            made_of = _training.is_batches(validation)
            validation = (
                batches(validation, "validation_data")
                if made_of
                else arrays(*validation, "validation_data")
            )
        if _training.is_batches(self.x):
            x = batches(self.x, "training data")
            return {"x": x, "validation_data": validation, "shuffle": hasattr(x, "__getitem__")}
        x, y = arrays(self.x, self.y, "training data")
        return {"x": x, "y": y, "batch_size": self.batch_size, "validation_data": validation}

    def _taught(self, x: Any, y: Any, classes: int, layers: tuple[str, ...], sizes: tuple) -> Any:
        """What the student is compared with: [labels ‖ teacher's logits], and the teacher's maps."""
        inputs = [np.asarray(part) for part in (x if isinstance(x, (list, tuple)) else [x])]
        key = (x is self.x, layers, sizes)
        if key not in self._answers:  # the data are fixed, so the teacher is asked once
            self._answers[key] = self._ask(inputs, layers, sizes)
        kept = self._answers[key]
        labels = _one_hot(np.asarray(y), classes)
        packed = np.concatenate([labels.reshape(len(labels), -1).astype(np.float32), kept[0]], 1)
        return [packed, *kept[1:]] if layers else packed

    def _ask(
        self, inputs: list[np.ndarray], layers: tuple[str, ...], sizes: tuple
    ) -> list[np.ndarray]:
        logits = _distilling.logits_of(
            _keras.predict(self.teacher, inputs)[0], _distilling.output_kind(self.teacher)
        )
        maps: list[list[np.ndarray]] = [[] for _ in layers]
        if layers:
            for layer in layers:
                _distilling.spatial_size(self.teacher, layer)
            whole = _distilling.with_outputs(self.teacher, layers)
            for start in range(0, len(inputs[0]), 256):
                batch = [part[start : start + 256] for part in inputs]
                found = whole(batch if len(batch) > 1 else batch[0], training=False)
                for into, values, size in zip(maps, found[1:], sizes):
                    into.append(_distilling.attention_map(values, size).numpy())
        return [logits, *(np.concatenate(parts) for parts in maps)]


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """[n, classes] of labels [n] or [n, 1] where there are several classes; DataError for a label that none of them has."""
    if classes == 1 or labels.reshape(len(labels), -1).shape[1] != 1:
        return labels
    labels = labels.reshape(-1).astype(int)
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"y holds labels {labels.min()} to {labels.max()}; the model has {classes} classes, 0 to {classes - 1}."
        )
    return np.eye(classes, dtype=np.float32)[labels]
