"""Significance: one score a layer, as every analysis returns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfcompress.core._errors import RecipeError
from tfcompress.core._notebook import table
from tfcompress.core._schema import FormatError, checked


@dataclass(frozen=True)
class Significance:
    """Layer → score, in the order of the network.

    `details` holds what the analysis measured beside it, as JSON data.

    `rank` is by score, largest first: the layers that compression hurts most.
    """

    scores: Mapping[str, float]
    by: str
    unit: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, layer: str) -> float:
        return self.scores[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def _repr_html_(self) -> str:
        rank = self.rank()
        rows: list[list[str]] = []
        for layer, score in self.scores.items():
            rows.append([layer, f"{score:.4g}", str(rank.index(layer) + 1)])
        head = f"score, {self.unit}" if self.unit else "score"
        return table(["layer", head, "rank"], rows, title=f"Significance by {self.by}")

    def rank(self) -> list[str]:
        """Layer names, the largest score first; equal scores keep the network's order."""
        return sorted(self.scores, key=lambda layer: -self.scores[layer])

    def to_dict(self) -> dict[str, Any]:
        """Scores, source and details as plain JSON data."""
        return {
            "by": self.by,
            "unit": self.unit,
            "scores": dict(self.scores),
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Significance:
        """The Significance that `to_dict` wrote; RecipeError, with the place, if it is none."""
        try:
            return checked(data, cls)
        except FormatError as error:
            raise RecipeError(f"Not what Significance.to_dict writes: {error}.") from error
