"""Optimizer, loss and metrics of one model for its copy: translated from Keras 3 to tf_keras where the copy is one."""

import contextlib
import weakref

from tfcompress._backend.bridge._translate import (
    Untranslatable,
    loss_for,
    metrics_for,
    optimizer_for,
    weights_for,
)
from tfcompress._backend.graph._flavour import flavour, graph_of
from tfcompress._backend.graph._walk import ModelGraph
from tfcompress.core._errors import TrainingError

_PROBLEMS = weakref.WeakKeyDictionary()


def carry_compile(source, target):
    """Compile `target` as `source` is compiled; the source, its optimizer's state and its metrics stay as they are.

    What tf_keras has no twin for leaves `target` uncompiled, and `compile_problem(target)` then names it.
    """
    _PROBLEMS.pop(target, None)
    if source in _PROBLEMS:
        _PROBLEMS[target] = _PROBLEMS[source]
    if not _is_compiled(source):
        return
    try:
        with (
            target.distribute_strategy.scope()
            if flavour(target) == "tf_keras"
            else contextlib.nullcontext()
        ):
            target.compile(**_arguments(source, target))
    except Untranslatable as problem:
        _PROBLEMS[target] = str(problem)


def compile_problem(model):
    """Why `model` could not be compiled like the model it was made from, naming the object; None if it could."""
    return _PROBLEMS.get(model)


def remember_problem(model, why):
    """Note that `model` could not be compiled as its file says."""
    _PROBLEMS[model] = why


def _is_compiled(model):
    compiled = model.compiled if flavour(model) == "keras" else model._is_compiled
    return bool(compiled) and hasattr(model, "_compile_config")


def _arguments(source, target):
    overridden = [
        name for name in ("train_step", "compute_loss", "test_step") if _overrides(source, name)
    ]
    if overridden:
        raise Untranslatable(
            f"{type(source).__name__} {source.name!r} has its own {overridden[0]}(), which a copy does not have; "
            "give Fit an optimizer and a loss."
        )
    given, same = dict(source._compile_config.config), flavour(source) == flavour(target)
    names = (output_keys(source), output_keys(target))
    arguments = {
        "optimizer": optimizer_for(source, same),
        "loss": loss_for(given.get("loss"), names, same),
        "metrics": metrics_for(given.get("metrics"), names, same),
        "weighted_metrics": metrics_for(given.get("weighted_metrics"), names, same),
        "loss_weights": weights_for(given.get("loss_weights"), names),
        "run_eagerly": bool(given.get("run_eagerly")),
    }
    if same:
        arguments.update(
            steps_per_execution=given.get("steps_per_execution"),
            jit_compile=given.get("jit_compile"),
        )
    elif isinstance(given.get("steps_per_execution"), int):
        arguments["steps_per_execution"] = given["steps_per_execution"]
    return arguments


def _overrides(model, name):
    method = getattr(type(model), name, None)
    return method is not None and not method.__module__.startswith(("keras.", "tf_keras."))


def output_keys(model):
    """Names by which loss and metrics of each output may be given: the keys of a dict of outputs, else the output names."""
    outputs = ModelGraph(model).output_structure
    return sorted(outputs) if isinstance(outputs, dict) else list(graph_of(model).output_names)


def make_optimizer(name, learning_rate, steps=None):
    """A Keras 3 optimizer by its name in any spelling ("adam", "SGD"); TrainingError names those there are.

    With `steps`, the rate falls to zero in so many by a half cosine: learning_rate · (1 + cos(π t / steps)) / 2
    (Loshchilov & Hutter, SGDR, arXiv:1608.03983).
    """
    import keras

    known = {
        one.lower(): one
        for one in dir(keras.optimizers)
        if one[0].isupper() and one not in ("Optimizer", "LossScaleOptimizer")
    }
    if str(name).lower() not in known:
        raise TrainingError(
            f"No optimizer {name!r}; there are: {', '.join(sorted(known.values()))}."
        )
    rate = (
        learning_rate
        if steps is None
        else keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    )
    return getattr(keras.optimizers, known[str(name).lower()])(learning_rate=rate)
