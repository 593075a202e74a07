"""A choice that a recipe leaves open until it meets a model and its inputs; still pure data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tfcompress.core._value import Value


class Rule(Value, ABC):
    """Stands for the value of a technique's field, such as bits by layer, that depends on the model and on inputs.

    A recipe with rules is as much data as any other: JSON, hashable, reproducible. `compress` decides them when it comes to the
    technique, on at most `inputs` of its samples; the recipe in the Artifact holds what was decided.
    """

    inputs: int = 2000

    @abstractmethod
    def decide(self, model: Any, x: Any) -> Any:
        """The field's value for `model` and inputs `x` [n, …] (a list of them for several inputs), as JSON data."""

    @property
    def label(self) -> str:
        """This rule's word in a recipe's name, e.g. `twonn`."""
        return type(self).__name__.lower()
