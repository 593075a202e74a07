"""Keras 3 optimizers, losses and metrics as tf_keras takes them; fresh copies where both models are of one Keras."""

import functools
import inspect

from tfcompress._backend.graph._flavour import from_keras


class Untranslatable(Exception):
    """An object of the compile state that has no tf_keras twin; the message names it and the next step."""


def _no_twin(what, thing, step):
    name = thing if isinstance(thing, str) else type(thing).__name__
    return Untranslatable(f"{what} {name} has no twin in tf_keras: {step}")


# ---- optimizers ------------------------------------------------------------------------------------------------------


def optimizer_for(model, same):
    """A new optimizer like the one `model` was compiled with: its class, its hyper-parameters as they are now, no state."""
    optimizer = model.optimizer
    if same:
        config = optimizer.get_config()
        if "learning_rate" in config and not isinstance(config["learning_rate"], (int, float)):
            config["learning_rate"] = _own_rate(optimizer, config["learning_rate"])
        return type(optimizer).from_config(config)
    return _tf_optimizer(optimizer)


def _own_rate(optimizer, config):
    """A schedule (stateless) is shared; a number stays one."""
    rate = getattr(optimizer, "_learning_rate", None)
    return float(config) if not isinstance(config, dict) else rate if callable(rate) else config


def _tf_optimizer(optimizer):
    import tf_keras

    kind = type(optimizer).__name__
    if kind == "LossScaleOptimizer" and from_keras(type(optimizer)):
        return tf_keras.mixed_precision.LossScaleOptimizer(_tf_optimizer(optimizer.inner_optimizer))
    twin = getattr(tf_keras.optimizers, kind, None)
    if twin is None or not from_keras(type(optimizer)):
        raise _no_twin(
            "Optimizer", optimizer, "give Fit one that tf_keras has (Adam, AdamW, SGD, RMSprop, …)."
        )
    config = dict(optimizer.get_config())
    for option in ("gradient_accumulation_steps", "loss_scale_factor"):
        if config.pop(option, None):
            raise Untranslatable(
                f"Optimizer {kind}: option {option} has no twin in tf_keras; give Fit an optimizer without it."
            )
    config["learning_rate"] = _rate(optimizer)
    unknown = [key for key in config if key not in _options(twin)]
    if unknown:
        raise Untranslatable(
            f"Optimizer {kind}: option {unknown[0]} has no twin in tf_keras; give Fit an optimizer without it."
        )
    made = twin(**config)
    excluded = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if excluded:
        made.exclude_from_weight_decay(var_names=list(excluded))
    return made


def _rate(optimizer):
    """The learning rate as a number, or its schedule."""
    import keras
    import tf_keras

    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        twin = getattr(tf_keras.optimizers.schedules, type(rate).__name__, None)
        if twin is not None and from_keras(type(rate)):
            options = {
                key: value for key, value in rate.get_config().items() if key in _options(twin)
            }
            return twin(**options)
        return _carried().Schedule(rate)
    return rate if callable(rate) and not hasattr(rate, "numpy") else float(optimizer.learning_rate)


# ---- losses ----------------------------------------------------------------------------------------------------------


def loss_for(loss, names, same):
    """`loss` (one, or a list or dict of them by output) for the copy."""
    return _by_output(loss, names, (lambda one: one) if same else _tf_loss)


def _tf_loss(loss):
    import keras
    import tf_keras

    if loss is None:
        return None
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return _carried().crossentropy
        try:
            return tf_keras.losses.get(loss)
        except ValueError:
            return _tf_loss(keras.losses.get(loss))
    if isinstance(loss, dict):
        return _tf_loss(keras.losses.get(loss))
    if not isinstance(loss, keras.losses.Loss):
        return _tf_function(loss, tf_keras.losses)
    twin, config = getattr(tf_keras.losses, type(loss).__name__, None), loss.get_config()
    unknown = (
        [k for k in config if k not in _options(twin) and config[k] != _options(type(loss)).get(k)]
        if twin
        else []
    )
    if (
        twin is not None
        and from_keras(type(loss))
        and not unknown
        and loss.reduction in _REDUCTIONS
    ):
        options = {key: value for key, value in config.items() if key in _options(twin)}
        return twin(**{**options, "reduction": _REDUCTIONS[loss.reduction]})
    if loss.reduction not in _REDUCTIONS:
        raise _no_twin(
            f"Reduction {loss.reduction!r} of the loss",
            loss,
            "use sum_over_batch_size, sum or none.",
        )
    return _carried().Loss(loss, reduction=_REDUCTIONS[loss.reduction], name=loss.name)


_REDUCTIONS = {
    "sum_over_batch_size": "sum_over_batch_size",
    "sum": "sum",
    "none": "none",
    None: "none",
}


def _tf_function(function, module):
    """A Keras 3 function by its name in tf_keras; a user's function itself: keras.ops run on TensorFlow tensors."""
    name = getattr(function, "__name__", "")
    return (
        getattr(module, name)
        if from_keras(function) and hasattr(module, name)
        else _carried().as_in_keras3(function)
    )


# ---- metrics ---------------------------------------------------------------------------------------------------------


def metrics_for(metrics, names, same):
    """`metrics` (one, a list, or lists or dicts by output) for the copy; metric objects are new."""
    prefixes = (
        [f"{name}_" for name in names[0]] if same and len(names[0]) > 1 else []
    )  # tf_keras writes them into used metrics
    one = functools.partial(_metric, same=same, prefixes=prefixes)
    if isinstance(metrics, (list, tuple)):
        by_output = (
            len(metrics) == len(names[0]) > 1 and not same
        )  # Keras 3 reads entry i as output i, tf_keras as for all outputs
        return [
            _several(item, one) if by_output or isinstance(item, (list, tuple)) else one(item)
            for item in metrics
        ]
    if isinstance(metrics, dict):
        return {_renamed(key, names): _several(item, one) for key, item in metrics.items()}
    return None if metrics is None else [one(metrics)]


def _several(items, one):
    return [
        one(item)
        for item in (items if isinstance(items, (list, tuple)) else [items])
        if item is not None
    ]


def _metric(metric, same, prefixes=()):
    import keras
    import tf_keras

    if same:
        return (
            _fresh(metric, prefixes)
            if isinstance(metric, (keras.metrics.Metric, tf_keras.metrics.Metric))
            else metric
        )
    if metric is None or isinstance(metric, str):
        return (
            metric
            if metric is None or _known_metric(metric)
            else _metric(keras.metrics.get(metric), same)
        )
    if not isinstance(metric, keras.metrics.Metric):
        return _tf_function(metric, tf_keras.metrics)
    if type(metric) is keras.metrics.MeanMetricWrapper:
        return tf_keras.metrics.MeanMetricWrapper(
            _tf_function(metric._fn, tf_keras.metrics), name=metric.name
        )
    twin = getattr(tf_keras.metrics, type(metric).__name__, None)
    if twin is None or not from_keras(type(metric)):
        raise _no_twin(
            "Metric", metric, "give Fit a metric that tf_keras has, or a function (y_true, y_pred)."
        )
    return twin(
        **{key: value for key, value in metric.get_config().items() if key in _options(twin)}
    )


def _fresh(metric, prefixes):
    """A metric of the same options that has counted nothing."""
    try:
        config = dict(metric.get_config())
        for prefix in prefixes:
            config["name"] = config["name"].removeprefix(prefix)
        return type(metric).from_config(config)
    except Exception as error:
        raise Untranslatable(
            f"Metric {type(metric).__name__} {metric.name!r} cannot be rebuilt from its get_config(): {error}; give Fit the metrics."
        ) from error


def _known_metric(name):
    import tf_keras

    if name.lower() in ("accuracy", "acc", "crossentropy", "ce"):
        return True
    try:
        return tf_keras.metrics.get(name) is not None
    except ValueError:
        return False


# ---- by output -------------------------------------------------------------------------------------------------------


def weights_for(weights, names):
    """`loss_weights` for the copy."""
    return _by_output(weights, names, lambda one: one)


def _by_output(value, names, one):
    if isinstance(value, dict) and "class_name" not in value:
        return {_renamed(key, names): one(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [one(item) for item in value]
    return one(value)


def _renamed(key, names):
    """The key of an output in the copy, where its layer may have got another name."""
    ours, theirs = names
    return theirs[ours.index(key)] if key in ours and len(ours) == len(theirs) else key


def _options(cls):
    options = {}
    for base in reversed(cls.__mro__):
        if base is not object and "__init__" in base.__dict__:
            options.update(
                (name, parameter.default)
                for name, parameter in inspect.signature(base.__init__).parameters.items()
            )
    return options


def _carried():
    from tfcompress._backend.bridge import _carried

    return _carried
