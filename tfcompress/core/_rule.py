"""A choice that a recipe leaves open until it meets a model and its inputs; still pure data."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tfcompress.core._types import Data, Model
from tfcompress.core._value import Value


class Rule(Value, ABC):
    """Stands for a technique's option, such as bits by layer, that depends on model and inputs.

    A recipe with rules is as much data as any other: JSON, hashable, reproducible. `compress`
    decides them when it comes to the technique, on at most `inputs` of its samples; the recipe in
    the Artifact holds what was decided.
    """

    inputs: int = 2000

    @abstractmethod
    def decide(self, model: Model, x: Data) -> object:
        """The option's value as JSON data.

        Args:
            model: the model that the technique will change.
            x: inputs [n, …], a list of them for several inputs.
        """

    @property
    def label(self) -> str:
        """This rule's word in a recipe's name, e.g. `twonn`."""
        return type(self).__name__.lower()
