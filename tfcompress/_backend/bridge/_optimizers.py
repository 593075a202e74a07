"""An optimizer with the settings of another and no history: what `get_config` says, and what it
leaves out.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from tfcompress.core._types import Model, Variable

Optimizer: TypeAlias = Any
"""An optimizer of Keras 3 or tf_keras."""

Rate: TypeAlias = Any
"""A learning rate: a number, a schedule (step → rate) or a function without arguments."""

# Set by `exclude_from_weight_decay`, and in no configuration: Keras 3's and tf_keras's names.
_EXCLUSIONS = (
    "_exclude_from_weight_decay",
    "_exclude_from_weight_decay_names",
    "_exclude_from_weight_decay_pattern",
)


def fresh(optimizer: Optimizer, learning_rate: Rate = None) -> Optimizer:
    """An optimizer of the same class and settings without history, for the same model.

    A schedule or function that gives the rate has no state: it is shared, so that its class need
    not be registered with Keras.

    Args:
        optimizer: of either Keras.
        learning_rate: takes the place of the optimizer's own where given.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    config = dict(optimizer.get_config())
    if inner is not None:
        return type(optimizer)(**{**config, "inner_optimizer": fresh(inner, learning_rate)})
    if "learning_rate" in config:
        config["learning_rate"] = rate_of(optimizer) if learning_rate is None else learning_rate
    copied = type(optimizer).from_config(config)
    _copy_exclusions(optimizer, copied)
    for ours, theirs in zip(_parts(optimizer), _parts(copied)):
        _copy_exclusions(ours, theirs)
    return copied


def rate_of(optimizer: Optimizer) -> Rate:
    """The schedule or function that gives the learning rate, else the number that it is now."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return rate_of(inner)
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None:  # the legacy optimizers of tf_keras
        rate = getattr(optimizer, "_hyper", {}).get("learning_rate")
    if callable(rate) and not hasattr(rate, "numpy"):
        return rate
    return as_float(optimizer.learning_rate)


def as_float(number: Any) -> float:
    """A number, or what a variable of either Keras or of a strategy holds, as a float."""
    return float(number.numpy() if hasattr(number, "numpy") else number)


def steps_taken(optimizer: Optimizer | None) -> int:
    """How many steps `optimizer` has taken; 0 where there is none."""
    return 0 if optimizer is None else int(as_float(optimizer.iterations))


def carry_exclusions(
    given: Optimizer, copied: Optimizer, source: Model | None, target: Model
) -> Optimizer:
    """`copied`, which is to train `target`, leaves out of its weight decay what `given` leaves out.

    Args:
        given: of either Keras.
        copied: a new optimizer with the settings of `given`.
        source: the model that `given` trains, where it is known.
        target: a copy of `source`.

    Raises:
        ValueError: single variables are left out, and `target` does not have the same ones.
    """
    excluded = _excluded(_innermost(given), source, target)
    if excluded:
        _innermost(copied).exclude_from_weight_decay(var_list=excluded)
    return copied


def _innermost(optimizer: Optimizer) -> Optimizer:
    inner = getattr(optimizer, "inner_optimizer", None)
    return optimizer if inner is None else _innermost(inner)


def _excluded(optimizer: Optimizer, source: Model | None, target: Model) -> list[Variable]:
    """The variables of `target` that `optimizer`, which trains `source`, does not decay."""
    variables = list(target.trainable_variables)
    if getattr(optimizer, "_exclude_from_weight_decay", None):
        theirs = [] if source is None else list(source.trainable_variables)
        if [tuple(v.shape) for v in theirs] != [tuple(v.shape) for v in variables]:
            raise ValueError(
                "exclude_from_weight_decay(var_list=...) names variables that this copy does not "
                "have; give their names, exclude_from_weight_decay(var_names=[...])."
            )
        pairs = zip(theirs, variables)
        return [ours for their, ours in pairs if not optimizer._use_weight_decay(their)]
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    patterns = [] if pattern is None else [pattern]
    patterns += getattr(optimizer, "_exclude_from_weight_decay_names", None) or []
    short = from_keras3(optimizer)
    return [v for v in variables if _matches(_name(v, short), patterns)]


def _matches(name: str, patterns: list[Any]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def from_keras3(optimizer: Optimizer) -> bool:
    """Whether the class is Keras 3's own or derived from one of its classes."""
    return any(cls.__module__.startswith("keras.") for cls in type(optimizer).__mro__)


def _name(variable: Variable, short: bool) -> str:
    """A variable's name as Keras 3 has it ("bias") where `short`, else as tf_keras has it
    ("dense/bias:0").
    """
    return variable.name.rpartition("/")[2].partition(":")[0] if short else variable.name


def _copy_exclusions(optimizer: Optimizer, copied: Optimizer) -> None:
    for name in _EXCLUSIONS:
        if hasattr(optimizer, name):
            setattr(copied, name, getattr(optimizer, name))


def _parts(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizers within a MultiOptimizer of Keras 3, in order; [] of any other."""
    table = getattr(optimizer, "_optimizer_map", None)
    if table is None or not from_keras3(optimizer):
        return []
    return [table.default_optimizer, *(table[key] for key in table)]
