"""What training needs of either Keras: callbacks and batch sources of the other Keras adapted, the compile state completed, fit called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from tfcompress._backend.graph._flavour import FLAVOURS, keras_module
from tfcompress.core._errors import DataError, TrainingError

HOOKS = [
    f"on_{mode}_{when}"
    for mode in ("train", "test", "predict")
    for when in ("begin", "end", "batch_begin", "batch_end")
]
HOOKS += ["on_epoch_begin", "on_epoch_end"]
RISES = ("acc", "accuracy", "auc", "precision", "recall", "score")
# These reach into the optimizer by names that only their own Keras has; their options are attributes of the same names in both.
REBUILT = {
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
}


def _other(flavour: str) -> Any:
    """The Keras that is not `flavour`, if anything has imported it (else nothing can come from it)."""
    return sys.modules.get(next(name for name in FLAVOURS if name != flavour))


def adapt_callback(callback: Any, flavour: str) -> Any:
    """`callback` as `fit` of a `flavour` model takes it: itself, its namesake, or a callback that passes every call on to it.

    Raises TrainingError for what is no Keras callback.
    """
    own, other = keras_module(flavour), _other(flavour)
    if isinstance(callback, own.callbacks.Callback):
        return callback
    if other is None or not isinstance(callback, other.callbacks.Callback):
        raise TrainingError(
            f"callbacks: expected Keras callbacks, got {callback!r} of type {type(callback).__name__}."
        )
    name = type(callback).__name__
    if name in REBUILT and type(callback) is getattr(other.callbacks, name):
        return getattr(own.callbacks, name)(
            **{option: getattr(callback, option) for option in REBUILT[name]}
        )
    if getattr(callback, "mode", None) == "auto" and hasattr(callback, "monitor_op"):
        # Keras 3 looks the direction up in its own metric objects, which the other model does not have.
        callback.mode = "max" if str(callback.monitor).endswith(RISES) else "min"

    class Forward(own.callbacks.Callback):
        def set_model(self, model):
            super().set_model(model)
            try:
                callback.set_model(model)
            except (AttributeError, TypeError, ValueError) as error:
                raise TrainingError(
                    f"callbacks: {type(callback).__module__}.{name} cannot follow a {flavour} model "
                    f"({error}), which is what trains here; give the class of that name in {flavour}.callbacks."
                ) from error

        def set_params(self, params):
            super().set_params(params)
            callback.set_params(params)

    def passing(hook: str) -> Callable:
        return lambda self, *args, **kwargs: getattr(callback, hook)(*args, **kwargs)

    for hook in HOOKS:
        alias = hook.replace("_train_batch_", "_batch_")
        if not all(
            getattr(getattr(callback, each), "_is_default", False) for each in (hook, alias)
        ):
            setattr(Forward, hook, passing(hook))
    return Forward()


def early_stopping(flavour: str, monitor: str, patience: int) -> Any:
    """EarlyStopping of that Keras that gives the best epoch's weights back."""
    return keras_module(flavour).callbacks.EarlyStopping(
        monitor=monitor, mode="min", patience=patience, restore_best_weights=True
    )


def adapt_batches(source: Any, flavour: str) -> Any:
    """A PyDataset or Sequence of the other Keras as one of `flavour`, a function that makes a generator as a tf.data set."""
    own, other = keras_module(flavour), _other(flavour)
    if isinstance(source, own.utils.Sequence):
        return source
    if other is None or not isinstance(source, other.utils.Sequence):
        return _dataset(source) if callable(source) else source

    return sequence(source, flavour)


def sequence(source: Any, flavour: str, change: Callable[[Any], Any] = lambda batch: batch) -> Any:
    """A Sequence of `flavour` that gives `change(batch)` of every batch of `source`, a Sequence of either Keras."""

    class Batches(keras_module(flavour).utils.Sequence):
        def __len__(self):
            return len(source)

        def __getitem__(self, index):
            return change(source[index])

        def on_epoch_begin(self):
            getattr(source, "on_epoch_begin", lambda: None)()

        def on_epoch_end(self):
            source.on_epoch_end()

    return Batches()


def is_batches(source: Any) -> bool:
    """Whether `source` makes its own batches: tf.data, PyDataset or Sequence, a generator or a function that makes one."""
    if callable(source) or hasattr(source, "__next__"):
        return True
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(
        source, (tensorflow.data.Dataset, tensorflow.distribute.DistributedDataset)
    ):
        return True
    modules = [sys.modules[name] for name in FLAVOURS if name in sys.modules]
    return any(isinstance(source, module.utils.Sequence) for module in modules)


def _dataset(make: Callable[[], Iterable]) -> Any:
    """A tf.data set that calls `make` anew every epoch; shapes and types as in the first batch, the batch size free."""
    import numpy as np
    import tensorflow as tf

    def plain(batch: Any) -> Any:
        if isinstance(batch, (list, tuple)):
            return tuple(plain(item) for item in batch)
        if isinstance(batch, dict):
            return {key: plain(item) for key, item in batch.items()}
        array = np.asarray(batch)
        return array.astype("float32") if array.dtype == "float64" else array

    first = next(iter(make()), None)
    if first is None:
        raise DataError("The generator function yields nothing; expected batches (x, y).")
    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), plain(first)
    )
    return tf.data.Dataset.from_generator(
        lambda: map(plain, make()), output_signature=signature
    ).prefetch(2)


def prepare(model: Any, flavour: str, *, optimizer: Any, loss: Any, metrics: Any) -> None:
    """Compile `model` with what is given (objects of either Keras), the rest as it is compiled already, and an optimizer without history.

    Raises TrainingError: no loss anywhere, or an object that the model's Keras has no counterpart of.
    """
    kept = _kept(model)
    if loss is None and not kept.get("loss"):
        problem = _bridge().compile_problem(model)
        raise TrainingError(
            f"{problem} Give it to Fit(..., optimizer=..., loss=..., metrics=...) in a form both Kerases have, e.g. by name."
            if problem
            else "There is no loss: the model is not compiled and Fit has none. Compile the model, or give Fit(..., loss=...)."
        )
    if optimizer is None and loss is None and metrics is None:
        model.optimizer = _fresh(model.optimizer)
        model.make_train_function(force=True)
        return
    if loss is not None:
        kept["loss"] = _native("loss", loss, flavour)
        kept.pop("loss_weights", None)
    if metrics is not None:
        kept["metrics"] = _native("metrics", metrics, flavour)
        kept.pop("weighted_metrics", None)
    model.compile(
        **{
            **kept,
            "optimizer": fresh_optimizer(
                kept.get("optimizer", "adam") if optimizer is None else optimizer, flavour
            ),
        }
    )


def fresh_optimizer(optimizer: Any, flavour: str) -> Any:
    """`optimizer` (a name, or an object of either Keras) for models of `flavour`, without history; TrainingError as in `prepare`."""
    native = _native("optimizer", optimizer, flavour)
    return native if isinstance(native, str) else _fresh(native)


def _fresh(optimizer: Any) -> Any:
    """An optimizer with the same settings and no history."""
    config, rate = optimizer.get_config(), getattr(optimizer, "_learning_rate", None)
    if isinstance(config.get("learning_rate"), dict) and callable(rate):
        config["learning_rate"] = (
            rate  # a schedule has no state: shared, and its class need not be registered
        )
    return type(optimizer).from_config(config)


def _kept(model: Any) -> dict[str, Any]:
    """The arguments that `model` was compiled with, as `compile` takes them again; empty where it was not."""
    if getattr(model, "optimizer", None) is None:
        return {}
    names = (
        "loss",
        "loss_weights",
        "metrics",
        "weighted_metrics",
        "run_eagerly",
        "steps_per_execution",
        "jit_compile",
    )
    given = model._compile_config.config
    return {
        "optimizer": model.optimizer,
        **{name: given[name] for name in names if given.get(name) is not None},
    }


def _native(kind: str, thing: Any, flavour: str) -> Any:
    """`thing`, an optimizer, loss or metrics, as objects of `flavour`; TrainingError names what has no counterpart there."""
    other = _other(flavour)
    if other is None or not _holds(thing, other.__name__ + "."):
        return thing
    if flavour == "keras":
        return _keras3(kind, thing)
    source, target = (_tiny(keras_module(name)) for name in (other.__name__, flavour))
    source.compile(**{"optimizer": "sgd", "loss": "mse", kind: thing})
    _bridge().carry_compile(source, target)
    if problem := _bridge().compile_problem(target):
        raise TrainingError(f"{kind}: {problem}")
    return _kept(target)[kind]


def _keras3(kind: str, thing: Any) -> Any:
    """An optimizer, loss or metrics of tf_keras as Keras 3's of the same name and settings."""
    if isinstance(thing, dict):
        return {key: _keras3(kind, item) for key, item in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_keras3(kind, item) for item in thing]
    if not _holds(thing, "tf_keras."):
        return thing
    keras = keras_module("keras")
    namesakes = getattr(
        keras, {"optimizer": "optimizers", "loss": "losses", "metrics": "metrics"}[kind]
    )
    name = getattr(thing, "__name__", type(thing).__name__)
    home = thing.__module__ if hasattr(thing, "__name__") else type(thing).__module__
    if not hasattr(namesakes, name) or not home.startswith("tf_keras."):
        raise TrainingError(
            f"{kind}: {name} of tf_keras has no counterpart in Keras 3, which is what trains here; give one of Keras 3, or its name."
        )
    if hasattr(thing, "__name__"):
        return getattr(namesakes, name)
    config = thing.get_config()
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        config["learning_rate"] = getattr(keras.optimizers.schedules, rate["class_name"])(
            **_said(rate["config"])
        )
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    for option in ("jit_compile", "is_legacy_optimizer", "fn"):
        config.pop(option, None)
    return getattr(namesakes, name)(**_said(config))


def _said(config: dict[str, Any]) -> dict[str, Any]:
    """The options that say something; Keras 3 refuses some of Keras 2's None."""
    return {key: value for key, value in config.items() if value is not None}


def _holds(thing: Any, package: str) -> bool:
    """Whether `thing`, or something in it, is an object or function of `package`, or of a class derived from one of its classes."""
    if isinstance(thing, dict):
        return any(_holds(item, package) for item in thing.values())
    if isinstance(thing, (list, tuple)):
        return any(_holds(item, package) for item in thing)
    homes = [cls.__module__ for cls in type(thing).__mro__] + [
        getattr(thing, "__module__", "") or ""
    ]
    return any(home.startswith(package) for home in homes)


def _tiny(module: Any) -> Any:
    image = module.layers.Input((1,))
    return module.Model(image, module.layers.Dense(1)(image))


def _bridge() -> Any:
    from tfcompress._backend import bridge as keras

    return keras
