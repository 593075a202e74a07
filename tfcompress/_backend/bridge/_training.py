"""A model made ready for `fit`: its compile state completed, objects of the other Keras taken over,
the rate chosen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tfcompress._backend.bridge._callbacks import other_keras
from tfcompress._backend.bridge._compile import (
    Copy,
    carry_compile,
    compile_problem,
    copy_of,
    note_copy,
)
from tfcompress._backend.bridge._optimizers import (
    Optimizer,
    Rate,
    as_float,
    carry_exclusions,
    fresh,
    rate_of,
)
from tfcompress._backend.bridge._translate import Untranslatable, tf_optimizer
from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Model

SHARE_OF_RATE = 0.1  # of a training's rate, where a network that is whole is trained on
TAUGHT_RATE = 3.0  # times Keras's, where a network that lost parts learns from a whole one
_KEPT = (
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
)
_NAMESAKES = {"optimizer": "optimizers", "loss": "losses", "metrics": "metrics"}


@dataclass(frozen=True)
class Prepared:
    """How a model was made ready for one training.

    fine_tuning: it is a copy of a network, to be trained on. peak: the highest learning rate of a
    schedule with warm-up and decay; None where the optimizer's own rate holds. restore: gives the
    model its own optimizer back when the training is over.
    """

    fine_tuning: bool
    peak: float | None
    restore: Callable[[], None]


def prepare(
    model: Model,
    flavour: str,
    *,
    optimizer: Any,
    loss: Any,
    metrics: Any,
    learning_rate: float | None = None,
) -> Prepared:
    """Compile `model` with what is given, the rest as it is compiled already, and an optimizer
    without history.

    Args:
        model: of the Keras `flavour`.
        optimizer, loss, metrics: names, or objects of either Keras; None for what is kept.
        learning_rate: the highest rate where the model is fine-tuned, else the rate.

    Raises:
        TrainingError: no loss anywhere, or an object that the model's Keras has no counterpart of.
    """
    kept = _kept(model)
    if loss is None and not kept.get("loss"):
        raise _no_loss(model)
    own = kept.get("optimizer") if optimizer is None else None
    copy = copy_of(model)
    ready, peak = ready_optimizer(model, optimizer, own, learning_rate, flavour)
    if optimizer is None and loss is None and metrics is None:
        model.optimizer = ready
        model.make_train_function(force=True)
    else:
        _compile(model, flavour, kept, ready, loss, metrics)
    if copy is None:
        return Prepared(False, None, nothing)
    return Prepared(True, peak, _restore(model, own, copy.steps))


def is_fine_tuned(model: Model) -> bool:
    """Whether `model` is a copy of a network that a technique made, which is to be trained on."""
    return copy_of(model) is not None


def whole_of(model: Model) -> Model | None:
    """The network that `model` was before it lost parts, where it has not been trained since."""
    copy = copy_of(model)
    return None if copy is None or copy.whole is None else copy.whole()


def loss_of(model: Model, loss: Any) -> Any:
    """What `model` is trained for: `loss`, else what it is compiled with, else None."""
    return _kept(model).get("loss") if loss is None else loss


def recovered(model: Model) -> Callable[[], None]:
    """What notes that `model` was trained, by an optimizer that is not its own."""
    copy = copy_of(model)
    if copy is None:
        return nothing
    return _restore(model, getattr(model, "optimizer", None), copy.steps)


def ready_optimizer(
    model: Model,
    optimizer: Any,
    own: Optimizer | None,
    learning_rate: float | None,
    flavour: str,
    taught: bool = False,
) -> tuple[Optimizer, float | None]:
    """(what trains `model`, without history; the highest rate of its schedule, as in Prepared).

    Args:
        model: of the Keras `flavour`.
        optimizer: what a trainer was given: a name, an object of either Keras, or None.
        own: what the model is compiled with, where nothing was given.
        learning_rate: the highest rate where the model is fine-tuned, else the rate.
        taught: whether another network teaches it.
    """
    native = _as_optimizer(_given(optimizer, own), model, flavour)
    if learning_rate is not None and type(native).__name__ == "MultiOptimizer":
        raise TrainingError("learning_rate: each optimizer of a MultiOptimizer has its own rate.")
    copy, peak = copy_of(model), None
    if copy is not None:
        stated = optimizer is not None and not isinstance(optimizer, str)
        peak = learning_rate or _peak(native, stated, own, copy, taught)
    return fresh(native, learning_rate if peak is None else peak), peak


def nothing() -> None:
    """What is to be done after a training that changed no optimizer."""


def _given(optimizer: Any, own: Optimizer | None) -> Any:
    """What trains: what Fit was given, else what the model is compiled with, else Adam."""
    if optimizer is not None:
        return optimizer
    return "adam" if own is None else own


def _peak(
    optimizer: Optimizer, stated: bool, before: Optimizer | None, copy: Copy, taught: bool
) -> float | None:
    """The highest rate for the fine-tuning of a copy; None where the optimizer's own rate is the
    user's wish.

    That of the training before, at the end of which it may have been next to nothing: so not less
    than Keras's for the optimizer's class, or than three times that where the network lost parts
    and another one teaches it. A tenth of it where nothing was removed from the network.
    """
    if stated or type(optimizer).__name__ == "MultiOptimizer":
        return None
    rate = _usual_rate(optimizer)
    if copy.recovers and taught:
        rate *= TAUGHT_RATE
    if before is not None:
        if copy.steps == 0:
            return None
        rate = max(_highest(rate_of(before), copy.steps), rate)
    return rate if copy.recovers else SHARE_OF_RATE * rate


def _usual_rate(optimizer: Optimizer) -> float:
    """The learning rate that Keras gives an optimizer of this class where none is stated."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return _usual_rate(inner)
    parameter = inspect.signature(type(optimizer).__init__).parameters.get("learning_rate")
    usual = None if parameter is None else parameter.default
    return usual if isinstance(usual, float) else 1e-3


def _highest(rate: Rate, steps: int) -> float:
    """The rate, or the higher of those that a schedule has at its begin and after `steps` steps."""
    if not callable(rate):
        return float(rate)
    if not inspect.signature(rate).parameters:
        return as_float(rate())
    return max(as_float(rate(0)), as_float(rate(steps)))


def _restore(model: Model, own: Optimizer | None, steps: int) -> Callable[[], None]:
    """Give the model `own`, the optimizer that it is compiled with, back; note that it is a copy as
    before.
    """

    def restore() -> None:
        if own is not None:
            model.optimizer = own
            model.train_function = None
        note_copy(model, steps if own is not None else max(steps, 1))

    return restore


def _compile(
    model: Model, flavour: str, kept: dict[str, Any], optimizer: Optimizer, loss: Any, metrics: Any
) -> None:
    arguments = {**kept, "optimizer": optimizer}
    if loss is not None:
        arguments["loss"] = _native("loss", loss, flavour)
        arguments.pop("loss_weights", None)
    if metrics is not None:
        arguments["metrics"] = _native("metrics", metrics, flavour)
        arguments.pop("weighted_metrics", None)
    model.compile(**arguments)


def _no_loss(model: Model) -> TrainingError:
    problem = compile_problem(model)
    if problem:
        return TrainingError(
            f"{problem} Give it to Fit(..., optimizer=..., loss=..., metrics=...) in a form both "
            "Kerases have, e.g. by name."
        )
    return TrainingError(
        "There is no loss: the model is not compiled and Fit has none. Compile the model, or give "
        "Fit(..., loss=...)."
    )


def _kept(model: Model) -> dict[str, Any]:
    """The arguments that `model` was compiled with, as `compile` takes them again; empty where it
    was not.
    """
    if getattr(model, "optimizer", None) is None:
        return {}
    config = model._compile_config.config
    kept = {name: config[name] for name in _KEPT if config.get(name) is not None}
    return {"optimizer": model.optimizer, **kept}


def _as_optimizer(optimizer: Any, model: Model, flavour: str) -> Optimizer:
    """`optimizer`, a name or an object of either Keras, as one of `flavour` for `model`."""
    if isinstance(optimizer, str):
        return keras_module(flavour).optimizers.get(optimizer)
    other = other_keras(flavour)
    if other is not None and _holds(optimizer, other.__name__ + "."):
        native = _other_optimizer(optimizer, flavour)
        try:
            return carry_exclusions(optimizer, native, None, model)
        except ValueError as error:
            raise TrainingError(f"optimizer: {error}") from error
    return optimizer


def _other_optimizer(optimizer: Optimizer, flavour: str) -> Optimizer:
    if flavour == "keras":
        return _keras3("optimizer", optimizer)
    try:
        return tf_optimizer(optimizer)
    except Untranslatable as problem:
        raise TrainingError(f"optimizer: {problem}") from problem


def _native(kind: str, given: Any, flavour: str) -> Any:
    """`given`, a loss or metrics, as objects of `flavour`; TrainingError names what has no
    counterpart there.
    """
    other = other_keras(flavour)
    if other is None or not _holds(given, other.__name__ + "."):
        return given
    if flavour == "keras":
        return _keras3(kind, given)
    source, target = (_tiny(keras_module(name)) for name in (other.__name__, flavour))
    source.compile(**{"optimizer": "sgd", "loss": "mse", kind: given})
    carry_compile(source, target)
    if problem := compile_problem(target):
        raise TrainingError(f"{kind}: {problem}")
    return _kept(target)[kind]


def _keras3(kind: str, given: Any) -> Any:
    """An optimizer, loss or metrics of tf_keras as Keras 3's of the same name and settings."""
    if isinstance(given, dict):
        return {key: _keras3(kind, item) for key, item in given.items()}
    if isinstance(given, (list, tuple)):
        return [_keras3(kind, item) for item in given]
    if not _holds(given, "tf_keras."):
        return given
    namesakes = getattr(keras_module("keras"), _NAMESAKES[kind])
    function = hasattr(given, "__name__")
    name = given.__name__ if function else type(given).__name__
    home = given.__module__ if function else type(given).__module__
    if not hasattr(namesakes, name) or not home.startswith("tf_keras."):
        raise TrainingError(
            f"{kind}: {name} of tf_keras has no counterpart in Keras 3, which is what trains here; "
            "give one of Keras 3, or its name."
        )
    if function:
        return getattr(namesakes, name)
    return getattr(namesakes, name)(**_keras3_config(given))


def _keras3_config(given: Any) -> dict[str, Any]:
    """The settings of an object of tf_keras as Keras 3's takes them, without those that say
    nothing.
    """
    config = given.get_config()
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        schedule = getattr(keras_module("keras").optimizers.schedules, rate["class_name"])
        config["learning_rate"] = schedule(**_stated(rate["config"]))
    elif rate is not None:
        config["learning_rate"] = float(rate)  # tf_keras gives a float32, which Keras 3 refuses
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    for option in ("jit_compile", "is_legacy_optimizer", "fn"):
        config.pop(option, None)
    return _stated(config)


def _stated(config: dict[str, Any]) -> dict[str, Any]:
    """The options that are not None: Keras 3 refuses some of Keras 2's."""
    return {key: value for key, value in config.items() if value is not None}


def _holds(given: Any, package: str) -> bool:
    """Whether `given`, or something in it, is an object or function of `package`, or of a class
    derived from one of its classes.
    """
    if isinstance(given, dict):
        return any(_holds(item, package) for item in given.values())
    if isinstance(given, (list, tuple)):
        return any(_holds(item, package) for item in given)
    homes = [cls.__module__ for cls in type(given).__mro__]
    homes.append(getattr(given, "__module__", "") or "")
    return any(home.startswith(package) for home in homes)


def _tiny(module: ModuleType) -> Model:
    inputs = module.layers.Input((1,))
    return module.Model(inputs, module.layers.Dense(1)(inputs))
