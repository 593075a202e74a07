"""The report: rows that can be plotted, weighed against their base, searched for a recommendation, and shown as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tfcompress.core import RecipeError, Rows
from tfcompress.report._paired import Difference, paired_difference
from tfcompress.report._recommend import Recommendation, recommend


@dataclass(frozen=True, eq=False)
class Report(Rows):
    """Rows of `study` or `compare`: tables (`to_markdown`, `to_csv`), `pareto`, `recommend`, plots, and `to_html`.

    `about` says what the rows have in common: "metric" (the column of accuracy), "base" (the recipe that the others are
    held against), and whatever a reader needs to repeat it (data, environment, command).
    """

    @property
    def metric(self) -> str:
        """The column that says how good a file's answers are, e.g. "accuracy"."""
        return self.about.get("metric", "accuracy")

    @property
    def base(self) -> str | None:
        """The recipe that the others are held against: `about["base"]`, else the first one; None in an empty report."""
        return self.about.get("base") or next(iter(self.recipes()), None)

    def line(self, recipe: str) -> dict[str, Any]:
        """The summary line of one recipe; RecipeError for a name that no row has."""
        for line in self.summary():
            if line["recipe"] == recipe:
                return line
        raise RecipeError(
            f"No recipe {recipe!r} in this report; there are: {', '.join(self.recipes())}."
        )

    def difference(self, recipe: str) -> Difference | None:
        """`recipe` against the base on the same test examples, paired by seed; None where rows carry no "correct" answers."""
        mine, base = self._answers(recipe), self._answers(self.base)
        seeds = [seed for seed in mine if seed in base]
        return (
            paired_difference([mine[seed] for seed in seeds], [base[seed] for seed in seeds])
            if seeds
            else None
        )

    def latency_by_threads(self) -> dict[str, dict[int, float]]:
        """recipe → threads → median latency in ms, the mean over seeds; recipes in the report's order."""
        found: dict[str, dict[int, list[float]]] = {}
        for row in self.rows:
            for item in (row.get("profile") or {}).get("latency", ()):
                found.setdefault(row["recipe"], {}).setdefault(item["threads"], []).append(
                    item["latency_ms_p50"]
                )
        return {
            recipe: {n: fmean(values) for n, values in sorted(points.items())}
            for recipe, points in found.items()
        }

    def profile(self, recipe: str) -> dict[str, Any]:
        """The profile (as `Profile.to_dict` gives it) of the recipe's first row that has one; empty where none has."""
        return next(
            (row["profile"] for row in self.rows if row["recipe"] == recipe and row.get("profile")),
            {},
        )

    def layers(self, recipe: str) -> list[dict[str, Any]]:
        """The layers of the recipe's first file that has any: name, op, encoding, bits a weight, bytes; empty where none is known."""
        return next(
            (
                list(row["layers"])
                for row in self.rows
                if row["recipe"] == recipe and row.get("layers")
            ),
            [],
        )

    def sweeps(self) -> dict[str, dict[str, dict[float, str]]]:
        """ "Technique.option" → line's name → value → recipe, for every number that three or more recipes differ in alone."""
        from tfcompress.report._sweeps import sweeps

        return {
            option: {one.name: one.recipes for one in series}
            for option, series in sweeps(self).items()
        }

    def recommend(
        self,
        *,
        max_bytes: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
    ) -> Recommendation:
        """The recipe to use under these bounds, and the reason in a sentence.

        With a bound on size or latency alone, the most accurate file that fits (accuracies within one standard error over seeds
        of the best are equal); otherwise the smallest that keeps `min_accuracy`, or 99 % of the base's where nothing is
        asked. Among equals (sizes within 1 %, latencies within 3 %) the smaller, then the faster, then the more accurate wins.
        `recipe` is None when nothing fits, and the reason names what comes nearest.
        """
        return recommend(
            self, max_bytes=max_bytes, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy
        )

    def plot(self, x: str = "size_bytes", y: str | None = None, *, ax: Any = None) -> Any:
        """Matplotlib axes with every recipe at its mean of columns `x` and `y` (default: the metric), ± std over seeds as bars,
        and the Pareto front as a line. Drawn on `ax` when given. Raises RecipeError for a column that no row has."""
        from tfcompress.report._plots import scatter

        return scatter(self, x, y or self.metric, ax)

    def plot_sweep(
        self, option: str, y: str | Sequence[str] | None = None, *, ax: Any = None
    ) -> Any:
        """Matplotlib axes with column `y` (default: the metric; several are drawn with different strokes) against an option such as
        "Prune.sparsity", one line for recipes that are alike otherwise, ± std over seeds as bars; the recipe without the technique
        as a level. Raises RecipeError for an option that fewer than three recipes differ in."""
        from tfcompress.report._plots import sweep

        return sweep(self, option, y or self.metric, ax)

    def plot_latency(self, *, ax: Any = None) -> Any:
        """Matplotlib axes with the median latency in ms against the number of threads, one line a recipe."""
        from tfcompress.report._plots import latency

        return latency(self, ax)

    def plot_ops(self, recipe: str, *, ax: Any = None) -> Any:
        """Matplotlib axes with one bar an operation of the recipe's file: its median time in µs, or MACs where none was measured."""
        from tfcompress.report._plots import ops

        return ops(self, recipe, ax)

    def to_html(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write one self-contained HTML page (needs no network) and return its path.

        Raises ArtifactError when the file is there already and `overwrite` is not set, or cannot be written.
        """
        from tfcompress.core import write_all
        from tfcompress.report._html import page

        return write_all({Path(path): page(self)}, overwrite=overwrite)[0]

    def _answers(self, recipe: str | None) -> dict[Any, str]:
        return {
            row.get("seed"): row["correct"]
            for row in self.rows
            if row["recipe"] == recipe and row.get("correct")
        }
