"""`fit` of a tf_keras copy takes what the user's own Keras gives it, and says what is missing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import MethodType

from tfcompress._backend.bridge._batches import adapt_batches
from tfcompress._backend.bridge._callbacks import adapt_callback
from tfcompress._backend.tfmot import load, wrapped_pruning
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Callback, Model

_DATA = ("x", "validation_data")


def accept_keras3(model: Model) -> None:
    """Let `fit` of the tf_keras `model` take callbacks and PyDatasets of Keras 3 too.

    It raises TrainingError where the model carries pruning wrappers and nothing counts its steps.
    """
    model.fit = MethodType(_fit, model)


def _fit(model: Model, *args: object, **kwargs: object) -> object:
    """tf_keras's own `fit` with what it was given adapted."""
    keras_fit = type(model).fit
    given = inspect.signature(keras_fit).bind(model, *args, **kwargs).arguments
    given.pop("self")
    for name in _DATA:
        if name in given and not isinstance(given[name], (list, tuple, dict)):
            given[name] = _own_batches(given[name])
    callbacks = _own_callbacks(given.get("callbacks"))
    _require_steps_counted(model, callbacks)
    return keras_fit(model, **{**given, "callbacks": callbacks})


def _own_batches(source: object) -> object:
    """A PyDataset of Keras 3 as a Sequence of tf_keras; anything else as it is."""
    import keras

    return adapt_batches(source, "tf_keras") if isinstance(source, keras.utils.Sequence) else source


def _own_callbacks(callbacks: object) -> list[Callback]:
    """One callback, or a list of them, of either Keras as a list of tf_keras's."""
    import tf_keras

    if callbacks is None:
        return []
    if isinstance(callbacks, tf_keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    several = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    return [adapt_callback(callback, "tf_keras") for callback in several]


def _require_steps_counted(model: Model, callbacks: Sequence[Callback]) -> None:
    """Raise TrainingError where TFMOT's pruning would fail for want of its step counter."""
    if not wrapped_pruning(model):
        return
    counter = load().sparsity.keras.UpdatePruningStep
    if not any(isinstance(callback, counter) for callback in callbacks):
        raise TrainingError(
            f"{model.name!r} is being pruned, and nothing counts its steps: "
            "give fit(..., callbacks=[*technique.callbacks(), ...]), Prune's own callbacks."
        )
