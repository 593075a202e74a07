"""A recipe: techniques in order and one target. Pure data; knows no model and no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tfcompress.core._errors import RecipeError
from tfcompress.core._notebook import table
from tfcompress.core._schema import FormatError, parse_json
from tfcompress.core._target import Target
from tfcompress.core._technique import Technique
from tfcompress.core._value import Value


@dataclass(frozen=True, eq=False)
class Recipe(Value):
    """Techniques in order, whose stages never decrease, and one target.

    `name` is a label and does not count in comparisons.

    Raises:
        RecipeError: where a member is no Technique or Target, or where the order is wrong (it
            names the right one).
    """

    techniques: Sequence[Technique]
    target: Target
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
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
            raise RecipeError(
                f"Techniques in the wrong order: {_chain(self.techniques)}. Each would undo the "
                f"one before; write {_chain(ordered)}."
            )
        if not self.name:
            words = [member.label for member in self.techniques] + [self.target.label]
            object.__setattr__(self, "name", "-".join(words))

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        members = [*self.techniques, self.target]
        rows = [[member.label, repr(member)] for member in members]
        return table(["step", "options"], rows, title=self.name)

    @property
    def wanted_samples(self) -> int:
        """How many samples the techniques and their rules look at; 0 where none does."""
        return max((technique.wanted_samples for technique in self.techniques), default=0)

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """The recipe that `to_json` wrote; RecipeError, with the place in it, if it is none."""
        try:
            data = parse_json(text)
        except FormatError as error:
            raise RecipeError(f"Not a recipe: {error}.") from error
        return cls.from_dict(data)


def _chain(techniques: Sequence[Technique]) -> str:
    return " → ".join(type(technique).__name__ for technique in techniques)


def _came(thing: object) -> str:
    hint = f"; did you mean {thing.__name__}()?" if isinstance(thing, type) else ""
    return f"{thing!r} of type {type(thing).__name__}{hint}"
