"""A recipe: techniques in order and one target. Pure data; knows no model and no data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfcompress.core._errors import RecipeError
from tfcompress.core._target import Target
from tfcompress.core._technique import Technique
from tfcompress.core._value import Value


@dataclass(frozen=True, eq=False)
class Recipe(Value):
    """Techniques in order (stages never decrease) and one target; `name` is a label and does not count in comparisons.

    Raises RecipeError when a member is no Technique or Target, or when the order is wrong (the right one is named).
    """

    techniques: Sequence[Technique]
    target: Target
    name: str = field(default="", compare=False)

    def __post_init__(self):
        if isinstance(self.techniques, Technique):
            object.__setattr__(self, "techniques", (self.techniques,))
        super().__post_init__()
        object.__setattr__(self, "techniques", tuple(self.techniques))
        for member in self.techniques:
            if not isinstance(member, Technique):
                raise RecipeError(
                    f"A recipe's techniques must be Technique values, got {_came(member)}."
                )
        if not isinstance(self.target, Target):
            raise RecipeError(
                f"A recipe ends in a Target such as Int8(), got {_came(self.target)}."
            )
        ordered = sorted(self.techniques, key=lambda member: member.stage)
        if list(self.techniques) != ordered:
            came, want = (
                " → ".join(type(m).__name__ for m in ms) for ms in (self.techniques, ordered)
            )
            raise RecipeError(
                f"Techniques in the wrong order: {came}. Each would undo the one before; write {want}."
            )
        if not self.name:
            words = [member.label for member in self.techniques] + [self.target.label]
            object.__setattr__(self, "name", "-".join(words))

    def __str__(self) -> str:
        return self.name

    @property
    def wanted_samples(self) -> int:
        """How many samples the rules among the techniques' options want to decide on; 0 without rules."""
        return max(
            (rule.inputs for technique in self.techniques for rule in technique.rules().values()),
            default=0,
        )

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote; RecipeError if it is not one."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecipeError(f"Not a recipe: {error}.") from error
        if not isinstance(data, Mapping) or "class" not in data:
            raise RecipeError(
                f"Not a recipe: expected an object with a 'class', got {type(data).__name__}."
            )
        return cls.from_dict(data)


def _came(thing: Any) -> str:
    hint = f"; did you mean {thing.__name__}()?" if isinstance(thing, type) else ""
    return f"{thing!r} of type {type(thing).__name__}{hint}"
