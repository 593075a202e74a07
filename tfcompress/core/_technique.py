"""What every technique is: a frozen value that changes a copy of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from enum import Enum, IntEnum
from typing import ClassVar

from tfcompress.core._rule import Rule
from tfcompress.core._types import Callback, Data, Model
from tfcompress.core._value import Value


class Stage(IntEnum):
    """Where in a recipe a technique may stand; a recipe's stages never decrease."""

    ARCHITECTURE = 1
    SPARSITY = 2
    SHARING = 3
    NUMERICS = 4


class Training(Enum):
    """Whether a technique needs a trainer while its wrappers are on."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True)
class Skipped:
    """One layer that a technique or target left alone, and why."""

    layer: str
    kind: str
    by: str
    reason: str

    def __str__(self) -> str:
        return f"{self.by} left {self.layer!r} ({self.kind}) alone: {self.reason}"


@dataclass(frozen=True)
class Check:
    """One promise that was measured and holds: `value` against `bound` (unit in the name).

    `relation` says how the two compare: the value is "at most" or "at least" the bound, or counts
    how many "of" them.
    """

    stage: str
    what: str
    value: float
    bound: float
    layer: str = ""
    relation: str = "at most"

    def __str__(self) -> str:
        place = f" in {self.layer}" if self.layer else ""
        if self.relation == "of":
            return f"{self.stage}: {self.what} {self.value:.6g} of {self.bound:.6g}{place}"
        promise = f"({self.relation} {self.bound:.6g})"
        return f"{self.stage}: {self.what} {self.value:.6g} {promise}{place}"


class Technique(Value, ABC):
    """A frozen value that changes a model: copy and wrap, train, take the wrappers off.

    The model given to any method is left exactly as it was. Options are the fields of the value;
    data never is.
    """

    stage: ClassVar[Stage]
    training: ClassVar[Training]

    @abstractmethod
    def apply(self, model: Model) -> Model:
        """A new model with this technique's wrappers on, compiled as `model` is."""

    @property
    def wanted_samples(self) -> int:
        """How many samples its rules are decided on, or `apply_to` looks at; 0 for none."""
        return max((rule.inputs for rule in self.rules().values()), default=0)

    def apply_to(self, model: Model, x: Data) -> Model:
        """`apply`, fitted to inputs `x` [n, …] without labels, for a technique that looks at them.

        `compress` calls it instead of `apply` where there are samples.
        """
        return self.apply(model)

    def callbacks(self) -> list[Callback]:
        """The callbacks that `fit` must carry while the wrappers are on."""
        return []

    def strip(self, model: Model) -> Model:
        """The trained model without wrappers.

        It is plain Keras, with the user's layer names, of the flavour that `apply` was given.
        """
        return model

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """The layers of `model` that `apply` would leave alone, each with its reason.

        Only layers that have weights or that compute are named.
        """
        return ()

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """What this technique promised of the stripped model `after`, measured.

        Args:
            before: the model as it was given to `apply`.
            after: what `strip` returned.

        Raises:
            InvariantError: naming the layer, where a promise does not hold.
        """
        return ()

    def rules(self) -> dict[str, Rule]:
        """Option → Rule, of the options that are decided by the model and its inputs."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in options.items() if isinstance(value, Rule)}

    def decided(self, model: Model, x: Data) -> Technique:
        """This technique with its rules decided for `model` and inputs `x` [n, …]."""
        return replace(self, **{name: rule.decide(model, x) for name, rule in self.rules().items()})

    @property
    def label(self) -> str:
        """This technique's word in a recipe's name, e.g. `prune80`."""
        return type(self).__name__.lower()
