"""Keras 3 optimizers, losses and metrics as tf_keras takes them; fresh copies where both models are
of one Keras.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

from tfcompress._backend.bridge._optimizers import (
    Optimizer,
    Rate,
    carry_exclusions,
    fresh,
    rate_of,
)
from tfcompress._backend.graph._flavour import flavour, from_keras
from tfcompress.core._types import Model

Loss: TypeAlias = Any
"""A loss of either Keras: a name, a function (y_true, y_pred) or a Loss."""

Metric: TypeAlias = Any
"""A metric of either Keras: a name, a function (y_true, y_pred) or a Metric."""

Carry: TypeAlias = Callable[[Any], Any]
"""Gives the copy's loss, weight or metric for one of the source's."""

_REDUCTIONS = {
    "sum_over_batch_size": "sum_over_batch_size",
    "sum": "sum",
    "none": "none",
    None: "none",
}


class Untranslatable(Exception):
    """An object of the compile state that has no tf_keras twin; the message names it and the next
    step.
    """


@dataclass(frozen=True)
class Names:
    """The names of a model's outputs, and of the same outputs of its copy, in order."""

    source: list[str]
    target: list[str]

    def renamed(self, key: str) -> str:
        """The key of an output in the copy, where its layer may have got another name."""
        if key in self.source and len(self.source) == len(self.target):
            return self.target[self.source.index(key)]
        return key


def _no_twin(what: str, given: object, step: str) -> Untranslatable:
    name = given if isinstance(given, str) else type(given).__name__
    return Untranslatable(f"{what} {name} has no twin in tf_keras: {step}")


# ---- optimizers ---------------------------------------------------------------------------------


def optimizer_for(source: Model, target: Model) -> Optimizer:
    """A new optimizer for `target` like `source`'s: its class, its settings as they are now, no
    state.
    """
    same = flavour(source) == flavour(target)
    optimizer = fresh(source.optimizer) if same else tf_optimizer(source.optimizer)
    try:
        return carry_exclusions(source.optimizer, optimizer, source, target)
    except ValueError as error:
        raise Untranslatable(f"Optimizer {type(source.optimizer).__name__}: {error}") from error


def tf_optimizer(optimizer: Optimizer) -> Optimizer:
    """A Keras 3 optimizer as tf_keras's of the same class and settings; Untranslatable where there
    is none.
    """
    import tf_keras

    kind = type(optimizer).__name__
    if kind == "LossScaleOptimizer" and from_keras(type(optimizer)):
        scaled: Any = tf_keras.mixed_precision.LossScaleOptimizer
        return scaled(
            tf_optimizer(optimizer.inner_optimizer),
            initial_scale=optimizer.initial_scale,
            dynamic_growth_steps=optimizer.dynamic_growth_steps,
        )
    twin: Any = getattr(tf_keras.optimizers, kind, None)
    if twin is None or not from_keras(type(optimizer)):
        raise _no_twin(
            "Optimizer", optimizer, "give Fit one that tf_keras has (Adam, AdamW, SGD, RMSprop, …)."
        )
    config = dict(optimizer.get_config())
    without = "has no twin in tf_keras; give Fit an optimizer without it."
    for option in ("gradient_accumulation_steps", "loss_scale_factor"):
        if config.pop(option, None):
            raise Untranslatable(f"Optimizer {kind}: option {option} {without}")
    config["learning_rate"] = _rate(optimizer)
    options = _options(twin)
    for option in config:
        if option not in options:
            raise Untranslatable(f"Optimizer {kind}: option {option} {without}")
    return twin(**config)


def _rate(optimizer: Optimizer) -> Rate:
    """The learning rate as a number, or its schedule."""
    import keras
    import tf_keras

    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        twin: Any = getattr(tf_keras.optimizers.schedules, type(rate).__name__, None)
        if twin is not None and from_keras(type(rate)):
            known = _options(twin)
            return twin(**{key: value for key, value in rate.get_config().items() if key in known})
        return _carried().Schedule(rate)
    return rate_of(optimizer)


# ---- losses -------------------------------------------------------------------------------------


def loss_for(loss: Loss, names: Names, same: bool) -> Loss:
    """`loss` (one, or a list or dict of them by output) for the copy."""
    return _by_output(loss, names, _itself if same else _tf_loss)


def _itself(one: Any) -> Any:
    return one


def _tf_loss(loss: Loss) -> Loss:
    import keras
    import tf_keras

    if loss is None:
        return None
    if isinstance(loss, str):
        return _tf_named_loss(loss)
    if isinstance(loss, dict):
        return _tf_loss(keras.losses.get(loss))
    if not isinstance(loss, keras.losses.Loss):
        return _tf_function(loss, tf_keras.losses)
    if loss.reduction not in _REDUCTIONS:
        what = f"Reduction {loss.reduction!r} of the loss"
        raise _no_twin(what, loss, "use sum_over_batch_size, sum or none.")
    reduction = _REDUCTIONS[loss.reduction]
    twin = getattr(tf_keras.losses, type(loss).__name__, None)
    if twin is not None and from_keras(type(loss)) and _takes_settings(twin, loss):
        known, config = _options(twin), loss.get_config()
        options = {key: value for key, value in config.items() if key in known}
        return twin(**{**options, "reduction": reduction})
    return _carried().Loss(loss, reduction=reduction, name=loss.name)


def _tf_named_loss(name: str) -> Loss:
    import keras
    import tf_keras

    if name.lower() in ("crossentropy", "ce"):
        return _carried().crossentropy
    try:
        return tf_keras.losses.get(name)
    except ValueError:
        return _tf_loss(keras.losses.get(name))


def _takes_settings(twin: type, loss: Loss) -> bool:
    """Whether the class `twin` has every option that `loss` does not leave at its default."""
    known, defaults = _options(twin), _options(type(loss))
    config = loss.get_config()
    return all(key in known or value == defaults.get(key) for key, value in config.items())


def _tf_function(function: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    """A Keras 3 function by its name in tf_keras; a user's function itself: keras.ops run on
    TensorFlow tensors.
    """
    name = getattr(function, "__name__", "")
    if from_keras(function) and hasattr(module, name):
        return getattr(module, name)
    return _carried().as_in_keras3(function)


# ---- metrics ------------------------------------------------------------------------------------


def metrics_for(metrics: Any, names: Names, same: bool) -> Any:
    """`metrics` (one, a list, or lists or dicts by output) for the copy; metric objects are new."""
    several = len(names.source) > 1
    # tf_keras writes the outputs' names into the metrics that it has used.
    prefixes = [f"{name}_" for name in names.source] if same and several else []
    carry = functools.partial(_fresh_metric, prefixes=prefixes) if same else _tf_metric
    if isinstance(metrics, dict):
        return {names.renamed(key): _several(item, carry) for key, item in metrics.items()}
    if not isinstance(metrics, (list, tuple)):
        return None if metrics is None else [carry(metrics)]
    # Keras 3 reads entry i as of output i, tf_keras as of all outputs.
    if several and not same and len(metrics) == len(names.source):
        return [_several(item, carry) for item in metrics]
    return [_several(m, carry) if isinstance(m, (list, tuple)) else carry(m) for m in metrics]


def _several(metrics: Metric | Sequence[Metric], carry: Carry) -> list[Metric]:
    given = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    return [carry(metric) for metric in given if metric is not None]


def _tf_metric(metric: Metric) -> Metric:
    import keras
    import tf_keras

    if metric is None:
        return None
    if isinstance(metric, str):
        return metric if _known_metric(metric) else _tf_metric(keras.metrics.get(metric))
    if not isinstance(metric, keras.metrics.Metric):
        return _tf_function(metric, tf_keras.metrics)
    if type(metric) is keras.metrics.MeanMetricWrapper:
        function = _tf_function(metric._fn, tf_keras.metrics)
        return tf_keras.metrics.MeanMetricWrapper(function, name=metric.name)
    twin = getattr(tf_keras.metrics, type(metric).__name__, None)
    if twin is None or not from_keras(type(metric)):
        raise _no_twin(
            "Metric", metric, "give Fit a metric that tf_keras has, or a function (y_true, y_pred)."
        )
    known = _options(twin)
    return twin(**{key: value for key, value in metric.get_config().items() if key in known})


def _fresh_metric(metric: Metric, prefixes: Sequence[str]) -> Metric:
    """A metric of the same options that has counted nothing; names and functions are themselves."""
    import keras
    import tf_keras

    if not isinstance(metric, (keras.metrics.Metric, tf_keras.metrics.Metric)):
        return metric
    try:
        config = dict(metric.get_config())
        for prefix in prefixes:
            config["name"] = config["name"].removeprefix(prefix)
        return type(metric).from_config(config)
    except Exception as error:
        raise Untranslatable(
            f"Metric {type(metric).__name__} {metric.name!r} cannot be rebuilt from its "
            f"get_config(): {error}; give Fit the metrics."
        ) from error


def _known_metric(name: str) -> bool:
    import tf_keras

    if name.lower() in ("accuracy", "acc", "crossentropy", "ce"):
        return True
    try:
        return tf_keras.metrics.get(name) is not None
    except ValueError:
        return False


# ---- by output ----------------------------------------------------------------------------------


def weights_for(weights: Any, names: Names) -> Any:
    """`loss_weights` for the copy."""
    return _by_output(weights, names, _itself)


def _by_output(value: Any, names: Names, carry: Carry) -> Any:
    if isinstance(value, dict) and "class_name" not in value:
        return {names.renamed(key): carry(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [carry(item) for item in value]
    return carry(value)


def _options(cls: type) -> dict[str, object]:
    """The arguments of a class and of its base classes, with their defaults."""
    options: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        if base is object or "__init__" not in base.__dict__:
            continue
        parameters = inspect.signature(base.__dict__["__init__"]).parameters
        options.update((name, parameter.default) for name, parameter in parameters.items())
    return options


def _carried() -> ModuleType:
    from tfcompress._backend.bridge import _carried

    return _carried
