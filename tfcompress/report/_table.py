"""The numbers of a report that its tables, figures, page and recommendation all read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tfcompress.core import RecipeError, Rows
from tfcompress.report._paired import Difference, paired_difference


@dataclass(frozen=True, eq=False, repr=False)
class Table(Rows):
    """Rows with a metric and a base, each recipe looked up by name."""

    @property
    def metric(self) -> str:
        """The column that says how good a file's answers are, e.g. "accuracy"."""
        return self.about.get("metric", "accuracy")

    @property
    def base(self) -> str | None:
        """The recipe that the others are held against; None in an empty report.

        `about["base"]` names it, else it is the first one.
        """
        return self.about.get("base") or next(iter(self.recipes()), None)

    def line(self, recipe: str) -> dict[str, Any]:
        """The summary line of one recipe; RecipeError for a name that no row has."""
        for line in self.summary():
            if line["recipe"] == recipe:
                return line
        raise RecipeError(
            f"No recipe {recipe!r} in this report; there are: {', '.join(self.recipes())}."
        )

    def difference(self, recipe: str, base: str | None = None) -> Difference | None:
        """`recipe` against `base` (default: the report's) on the same test examples, by seed.

        None where the rows carry no "correct" answers of a common seed.
        """
        answers = self._answers(recipe)
        base_answers = self._answers(base or self.base)
        seeds = [seed for seed in answers if seed in base_answers]
        if not seeds:
            return None
        return paired_difference(
            [answers[seed] for seed in seeds], [base_answers[seed] for seed in seeds]
        )

    def latency_by_threads(self) -> dict[str, dict[int, float]]:
        """recipe → threads → median latency in ms, the mean over seeds, in the report's order."""
        by_recipe: dict[str, dict[int, list[float]]] = {}
        for row in self.rows:
            for item in (row.get("profile") or {}).get("latency", ()):
                by_threads = by_recipe.setdefault(row["recipe"], {})
                by_threads.setdefault(item["threads"], []).append(item["latency_ms_p50"])
        means: dict[str, dict[int, float]] = {}
        for recipe, by_threads in by_recipe.items():
            means[recipe] = {n: fmean(values) for n, values in sorted(by_threads.items())}
        return means

    def profile(self, recipe: str) -> dict[str, Any]:
        """The profile (as `Profile.to_dict` gives it) of the recipe's first row with one, or {}."""
        return next(self._held(recipe, "profile"), {})

    def layers(self, recipe: str) -> list[dict[str, Any]]:
        """The layers of the recipe's first file that has any, or [].

        Each has name, op, encoding, bits a weight and bytes.
        """
        return list(next(self._held(recipe, "layers"), ()))

    def training(self, recipe: str) -> Mapping[str, list[float]]:
        """Training curves of the recipe's first row with any: name → a value an epoch, or {}."""
        return next(self._held(recipe, "training"), {})

    def _held(self, recipe: str, key: str) -> Iterator[Any]:
        """What the recipe's rows hold under `key`, those that hold anything."""
        for row in self.rows:
            if row["recipe"] == recipe and row.get(key):
                yield row[key]

    def _answers(self, recipe: str | None) -> dict[Any, str]:
        """seed → the recipe's right and wrong answers."""
        answers: dict[Any, str] = {}
        for row in self.rows:
            if row["recipe"] == recipe and row.get("correct"):
                answers[row.get("seed")] = row["correct"]
        return answers
