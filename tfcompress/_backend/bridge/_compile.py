"""Optimizer, loss and metrics of one model for its copy: translated from Keras 3 to tf_keras where
the copy is one.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass
from typing import Any

from tfcompress._backend.bridge._fit import accept_keras3
from tfcompress._backend.bridge._optimizers import Optimizer, steps_taken
from tfcompress._backend.bridge._translate import (
    Names,
    Untranslatable,
    loss_for,
    metrics_for,
    optimizer_for,
    weights_for,
)
from tfcompress._backend.graph._flavour import flavour, graph_of
from tfcompress._backend.graph._walk import ModelGraph
from tfcompress.core._errors import TrainingError
from tfcompress.core._types import Model


@dataclass(frozen=True)
class Copy:
    """How a copy of a network, which is to be trained on, came about.

    Args:
        optimizer: what it was compiled with.
        steps: how many steps the optimizer of the model that it is a copy of had taken.
        recovers: parts of the network were, or are, removed, and nothing has been trained since.
        whole: the network before it lost them, where that is known and still there.
    """

    optimizer: weakref.ref[Optimizer] | None
    steps: int
    recovers: bool = False
    whole: weakref.ref[Model] | None = None


_PROBLEMS: weakref.WeakKeyDictionary[Model, str] = weakref.WeakKeyDictionary()
_COPIES: weakref.WeakKeyDictionary[Model, Copy] = weakref.WeakKeyDictionary()


def carry_compile(
    source: Model,
    target: Model,
    *,
    learns_anew: bool = False,
    removes: bool = False,
    whole: Model | None = None,
) -> None:
    """Compile `target` as `source` is compiled; the source, its optimizer's state and its metrics
    stay as they are.

    What tf_keras has no twin for leaves `target` uncompiled, and `compile_problem(target)` then
    names it. `fit` of a tf_keras `target` takes what Keras 3's `fit` takes.

    Args:
        source: a model of either Keras.
        target: a copy of it, of the same Keras or of tf_keras.
        learns_anew: the copy is not fine-tuned but learns what it was not trained for, such as
            weights of one bit: at the rate as it is compiled, to the end of its training.
        removes: parts of the network are missing in the copy, or go while it is trained.
        whole: the network that still has them, which can say what the copy should answer.
    """
    _PROBLEMS.pop(target, None)
    if source in _PROBLEMS:
        _PROBLEMS[target] = _PROBLEMS[source]
    if flavour(target) == "tf_keras":
        accept_keras3(target)
    before = copy_of(source) or Copy(None, steps_taken(getattr(source, "optimizer", None)))
    if _is_compiled(source):
        try:
            with _scope_of(target):
                target.compile(**_arguments(source, target))
        except Untranslatable as problem:
            _PROBLEMS[target] = str(problem)
    if not learns_anew:
        known = before.whole
        if whole is not None and not before.recovers:
            known = weakref.ref(whole)
        note_copy(target, before.steps, removes or before.recovers, known)


def note_copy(
    model: Model, steps: int, recovers: bool = False, whole: weakref.ref[Model] | None = None
) -> None:
    """Note that `model`, as it is compiled now, is a copy; the arguments are those of `Copy`."""
    optimizer = getattr(model, "optimizer", None)
    reference = None if optimizer is None else weakref.ref(optimizer)
    _COPIES[model] = Copy(reference, steps, recovers, whole if recovers else None)


def copy_of(model: Model) -> Copy | None:
    """How `model` came about where it is a copy that is to be fine-tuned.

    None where it is no copy, was compiled anew since, or learns anew.
    """
    copy = _COPIES.get(model)
    if copy is None:
        return None
    carried = None if copy.optimizer is None else copy.optimizer()
    return copy if getattr(model, "optimizer", None) is carried else None


def copy_facts(model: Model) -> dict[str, Any] | None:
    """What `note_copy` takes to say the same of `model` when it is read back; None where it is no
    copy.
    """
    copy = copy_of(model)
    return None if copy is None else {"steps": copy.steps, "recovers": copy.recovers}


def _scope_of(model: Model) -> contextlib.AbstractContextManager[object]:
    """The scope of the strategy that a tf_keras model was made in."""
    if flavour(model) == "tf_keras":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()


def compile_problem(model: Model) -> str | None:
    """Why `model` could not be compiled like the model it was made from, naming the object; None if
    it could.
    """
    return _PROBLEMS.get(model)


def remember_problem(model: Model, why: str) -> None:
    """Note that `model` could not be compiled as its file says."""
    _PROBLEMS[model] = why


def _is_compiled(model: Model) -> bool:
    compiled = model.compiled if flavour(model) == "keras" else model._is_compiled
    return bool(compiled) and hasattr(model, "_compile_config")


def _arguments(source: Model, target: Model) -> dict[str, Any]:
    """The arguments of `compile` for `target`."""
    overridden = [
        name for name in ("train_step", "compute_loss", "test_step") if _overrides(source, name)
    ]
    if overridden:
        raise Untranslatable(
            f"{type(source).__name__} {source.name!r} has its own {overridden[0]}(), which a copy "
            "does not have; give Fit an optimizer and a loss."
        )
    given, same = dict(source._compile_config.config), flavour(source) == flavour(target)
    names = Names(output_keys(source), output_keys(target))
    arguments = {
        "optimizer": optimizer_for(source, target),
        "loss": loss_for(given.get("loss"), names, same),
        "metrics": metrics_for(given.get("metrics"), names, same),
        "weighted_metrics": metrics_for(given.get("weighted_metrics"), names, same),
        "loss_weights": weights_for(given.get("loss_weights"), names),
        "run_eagerly": bool(given.get("run_eagerly")),
    }
    if same:
        arguments["steps_per_execution"] = given.get("steps_per_execution")
        arguments["jit_compile"] = given.get("jit_compile")
    elif isinstance(given.get("steps_per_execution"), int):
        arguments["steps_per_execution"] = given["steps_per_execution"]
    return arguments


def _overrides(model: Model, name: str) -> bool:
    method = getattr(type(model), name, None)
    return method is not None and not method.__module__.startswith(("keras.", "tf_keras."))


def output_keys(model: Model) -> list[str]:
    """Names by which loss and metrics of each output may be given: the keys of a dict of outputs,
    else the output names.
    """
    outputs = ModelGraph(model).output_structure
    if isinstance(outputs, dict):
        return sorted(outputs)
    graph: Model = graph_of(model)
    return list(graph.output_names)


def make_optimizer(name: str, learning_rate: float, steps: int | None = None) -> Optimizer:
    """A Keras 3 optimizer by its name in any spelling ("adam", "SGD"); TrainingError names those
    there are.

    With `steps`, the rate falls to zero in so many by a half cosine: learning_rate · (1 + cos(π t /
    steps)) / 2
    (Loshchilov & Hutter, SGDR, arXiv:1608.03983).
    """
    import keras

    classes = [one for one in dir(keras.optimizers) if one[0].isupper()]
    known = {one.lower(): one for one in classes if one not in ("Optimizer", "LossScaleOptimizer")}
    if str(name).lower() not in known:
        raise TrainingError(
            f"No optimizer {name!r}; there are: {', '.join(sorted(known.values()))}."
        )
    rate: Any = learning_rate
    if steps is not None:
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return getattr(keras.optimizers, known[str(name).lower()])(learning_rate=rate)
