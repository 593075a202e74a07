"""Callbacks of one Keras in the training of a model of the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from tfcompress._backend.graph._flavour import FLAVOURS, keras_module
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Callback, Model

_MODES = ("train", "test", "predict")
_WHENS = ("begin", "end", "batch_begin", "batch_end")
_HOOKS = [f"on_{mode}_{when}" for mode in _MODES for when in _WHENS]
_HOOKS += ["on_epoch_begin", "on_epoch_end"]
_RISING = ("acc", "accuracy", "auc", "precision", "recall", "score")
# These reach into model or optimizer by names that only their own Keras has; their options are
# attributes of the same names in both.
_REBUILT = {
    "ReduceLROnPlateau": (
        "monitor",
        "factor",
        "patience",
        "verbose",
        "mode",
        "min_delta",
        "cooldown",
        "min_lr",
    ),
    "LearningRateScheduler": ("schedule", "verbose"),
    "TensorBoard": (
        "log_dir",
        "histogram_freq",
        "write_graph",
        "write_images",
        "write_steps_per_second",
        "update_freq",
        "embeddings_freq",
        "embeddings_metadata",
    ),
}


def other_keras(flavour: str) -> ModuleType | None:
    """The Keras that is not `flavour`; None where nothing has imported it, so that nothing can come
    from it.
    """
    return sys.modules.get(next(name for name in FLAVOURS if name != flavour))


def adapt_callback(callback: Callback, flavour: str) -> Callback:
    """`callback` as `fit` of a `flavour` model takes it: itself, its namesake, or one that passes
    every call on to it.

    Raises TrainingError for what is no Keras callback.
    """
    own, other = keras_module(flavour), other_keras(flavour)
    if isinstance(callback, own.callbacks.Callback):
        return callback
    if other is None or not isinstance(callback, other.callbacks.Callback):
        raise TrainingError(
            f"callbacks: expected Keras callbacks, got {callback!r} of type "
            f"{type(callback).__name__}."
        )
    name = type(callback).__name__
    if name in _REBUILT and type(callback) is getattr(other.callbacks, name):
        options = {option: getattr(callback, option) for option in _REBUILT[name]}
        return getattr(own.callbacks, name)(**options)
    if getattr(callback, "mode", None) == "auto" and hasattr(callback, "monitor_op"):
        # Keras 3 looks the direction up in its own metrics, which the other model does not have.
        callback.mode = "max" if str(callback.monitor).endswith(_RISING) else "min"
    return _forwarding(callback, own, flavour)


def _forwarding(callback: Callback, own: ModuleType, flavour: str) -> Callback:
    """A callback of the Keras `own` that passes every call on to `callback`."""

    class Forward(own.callbacks.Callback):
        def set_model(self, model: Model) -> None:
            super().set_model(model)
            try:
                callback.set_model(model)
            except (AttributeError, TypeError, ValueError) as error:
                raise _cannot_follow(callback, flavour, error) from error

        def set_params(self, params: dict[str, object]) -> None:
            super().set_params(params)
            callback.set_params(params)

    for hook in _HOOKS:
        if _implements(callback, hook):
            setattr(Forward, hook, _passing(callback, hook))
    return Forward()


def _implements(callback: Callback, hook: str) -> bool:
    """Whether `callback` does anything at `hook`, by its new or its old name."""
    names = (hook, hook.replace("_train_batch_", "_batch_"))
    return not all(getattr(getattr(callback, name), "_is_default", False) for name in names)


def _passing(callback: Callback, hook: str) -> Callable[..., object]:
    return lambda self, *args, **kwargs: getattr(callback, hook)(*args, **kwargs)


def _cannot_follow(callback: Callback, flavour: str, error: Exception) -> TrainingError:
    kind = type(callback)
    return TrainingError(
        f"callbacks: {kind.__module__}.{kind.__name__} cannot follow a {flavour} model ({error}), "
        f"which is what trains here; give the class of that name in {flavour}.callbacks."
    )


def early_stopping(flavour: str, monitor: str, patience: int) -> Callback:
    """EarlyStopping of that Keras that gives the best epoch's weights back."""
    return keras_module(flavour).callbacks.EarlyStopping(
        monitor=monitor, mode="min", patience=patience, restore_best_weights=True
    )
