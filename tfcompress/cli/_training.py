"""How a technique trains under the command: Fit on the training images, or Distill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcompress.cli._inputs import read_model, require_model_file
from tfcompress.core import Recipe, TrainingError
from tfcompress.core import Training as Needs
from tfcompress.core._types import Model, Trainer

if TYPE_CHECKING:
    from tfcompress.zoo import Data


@dataclass(frozen=True)
class TrainingOptions:
    """The options of `compress` that concern training.

    `teacher`: a model's file to distil from, "self" for the model that is compressed, "" for none.
    `wanted`: False where the untrained file is asked for.
    """

    epochs: int
    batch_size: int
    learning_rate: float | None
    teacher: str
    temperature: float
    alpha: float
    attention: bool
    wanted: bool = True


def trains(recipe: Recipe, data_name: str, options: TrainingOptions | None) -> bool:
    """Whether `recipe` trains; TrainingError where it needs to and cannot, or a teacher cannot."""
    if options is None:
        return False
    if options.teacher not in ("", "self"):
        require_model_file(Path(options.teacher))
    if options.wanted and options.epochs and data_name and recipe.techniques:
        return True
    if options.teacher:
        raise TrainingError(
            "--teacher: nothing trains here; give --data, at least one of --epochs, and a recipe "
            "with techniques."
        )
    for technique in recipe.techniques:
        if technique.training is Needs.REQUIRED:
            raise TrainingError(
                f"{technique.label} needs training: pass --data, and --epochs of 1 or more."
            )
        if technique.training is Needs.OPTIONAL and options.wanted:
            raise TrainingError(
                f"{technique.label} loses accuracy without training: pass --data, and --epochs of "
                "1 or more, or --no-training where the untrained file is wanted."
            )
    return False


def make_trainer(model: Model, data: Data, options: TrainingOptions, *, trust: bool) -> Trainer:
    """Fit, or Distill where there is a teacher, on the training images of `data`."""
    from tfcompress.training import Distill, Fit

    common: dict[str, Any] = {
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "validation_data": (data.x_val, data.y_val),
    }
    if options.learning_rate is not None:
        common["learning_rate"] = options.learning_rate
    if not options.teacher:
        if not _is_compiled(model):
            common |= _loss_and_metrics(model, data)
        return Fit(data.x_train, data.y_train, **common)
    if options.teacher == "self":
        teacher = model
    else:
        teacher = read_model(Path(options.teacher), trust=trust)
    return Distill(
        teacher,
        data.x_train,
        data.y_train,
        temperature=options.temperature,
        alpha=options.alpha,
        attention="auto" if options.attention else None,
        **common,
    )


def _is_compiled(model: Model) -> bool:
    """Whether a model of either Keras has a loss to train with."""
    return bool(getattr(model, "compiled", getattr(model, "_is_compiled", False)))


def _loss_and_metrics(model: Model, data: Data) -> dict[str, object]:
    """The loss that fits outputs and labels of a model that was not compiled."""
    from tfcompress._backend import bridge as keras
    from tfcompress._backend.graph._flavour import keras_module

    if not np.issubdtype(data.y_train.dtype, np.integer):
        return {"loss": "mse"}
    outputs = np.asarray(keras.predict(model, [data.x_train[:32]])[0])
    losses = keras_module(keras.flavour(model)).losses
    if outputs.shape[-1] == 1:
        logits = bool(outputs.min() < 0 or outputs.max() > 1)
        return {"loss": losses.BinaryCrossentropy(from_logits=logits), "metrics": ["accuracy"]}
    logits = not np.allclose(outputs.sum(-1), 1, atol=1e-3)
    one_hot = data.y_train.ndim > 1
    loss = losses.CategoricalCrossentropy if one_hot else losses.SparseCategoricalCrossentropy
    return {"loss": loss(from_logits=logits), "metrics": ["accuracy"]}
