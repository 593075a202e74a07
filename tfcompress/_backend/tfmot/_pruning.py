"""TFMOT's magnitude pruning, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfcompress._backend.tfmot._inside import act_as_inside
from tfcompress._backend.tfmot._load import load
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Array, Callback, Layer, Model

_OPEN = 2**31 - 1  # end step of a polynomial schedule that `fit` has yet to set
_RAMP = 0.75  # share of a training spent on the ramp; the rest recovers at the final sparsity


def wrap_pruned(
    flat: Model,
    names: set[str],
    *,
    sparsity: float,
    polynomial: bool,
    begin: int,
    end: int | None,
    frequency: int | None,
    block: tuple[int, int],
    m_by_n: tuple[int, int] | None,
) -> Any:
    """A model over the layers of `flat` (which is used up) in which the layers `names` carry
    TFMOT's pruning wrapper.

    Steps count from 0; TFMOT's own counter is 1 at the first step, so that its `begin_step=0,
    frequency=100` would
    first prune at step 100: every step is handed on plus 1.
    """
    import tf_keras

    sparse = load().sparsity.keras
    if polynomial:
        schedule = sparse.PolynomialDecay(0.0, sparsity, begin + 1, _OPEN, frequency=frequency or 1)
        if end is not None:
            _set_end(schedule, end + 1, frequency)
    else:
        schedule = sparse.ConstantSparsity(
            sparsity, begin + 1, -1 if end is None else end + 1, frequency or 100
        )

    def wrap(layer: Layer) -> Layer:
        if layer.name not in names:
            return layer
        wrapper = sparse.prune_low_magnitude(
            layer, pruning_schedule=schedule, block_size=block, sparsity_m_by_n=m_by_n
        )
        return act_as_inside(wrapper)

    return tf_keras.models.clone_model(flat, clone_function=wrap)


def _set_end(schedule: Any, last: int, frequency: int | None) -> None:
    """Let `schedule` end on one of its own steps, at or before `last`, so that the final sparsity
    is reached.
    """
    span = max(last - schedule.begin_step, 1)
    schedule.frequency = min(frequency or max(span // 50, 1), span)
    schedule.end_step = schedule.begin_step + span // schedule.frequency * schedule.frequency


def pruning_callbacks(frequency: int | None) -> list[Callback]:
    """TFMOT's obligatory step counter, which also fits an open polynomial schedule to the length of
    this training.
    """
    counter = load().sparsity.keras.UpdatePruningStep

    class PruningStep(counter):
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            super().on_train_begin(logs)
            schedules = [layer.pruning_schedule for layer in self.prunable_layers]
            for schedule in schedules:
                if getattr(schedule, "end_step", None) == _OPEN:
                    _fit_to_training(schedule, self.params, frequency)

    return [PruningStep()]


def _fit_to_training(schedule: Any, params: dict[str, Any], frequency: int | None) -> None:
    """Let the open `schedule` end at three quarters of the training that `params` describe."""
    steps = params.get("steps")
    if not steps:
        raise TrainingError(
            "The length of this training is unknown (its data set has no size), so that "
            "Prune(schedule='polynomial') cannot end within it. Give Prune(..., end=<step>), or "
            "fit(steps_per_epoch=...)."
        )
    ramp = int(_RAMP * steps * params["epochs"])
    _set_end(schedule, schedule.begin_step + ramp, frequency)


def strip_pruned(model: Model, keep: Callable[[Array], Array]) -> Model:
    """The layers of a wrapped `model` without TFMOT's wrappers; `keep(kernel)` says (bool, same
    shape) which weights stay.
    """
    sparse = load().sparsity.keras
    with model.distribute_strategy.scope():
        for wrapper in wrapped_pruning(model):
            for weight, mask, _ in wrapper.pruning_vars:
                kernel = np.asarray(weight.numpy()) * np.asarray(mask.numpy())
                weight.assign(np.where(keep(kernel), kernel, np.zeros_like(kernel)))
        return sparse.strip_pruning(model)


def wrapped_pruning(model: Model) -> list[Layer]:
    """TFMOT's pruning wrappers in a model; [] in a stripped one."""
    return [layer for layer in model.layers if type(layer).__name__ == "PruneLowMagnitude"]
