"""The report: rows that can be plotted, searched for a recommendation, and shown as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfcompress.core import write_all
from tfcompress.report._notes import notes
from tfcompress.report._recommend import Recommendation, recommend
from tfcompress.report._sweeps import sweeps
from tfcompress.report._table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Report(Table):
    """Rows of `study` or `compare`: tables, `pareto`, `recommend`, plots, and `to_html`.

    `about` says what the rows have in common: "metric" (the column of accuracy), "base" (the recipe
    that the others are held against), and whatever a reader needs to repeat it (data, environment,
    command).
    """

    def sweeps(self) -> dict[str, dict[str, dict[float, str]]]:
        """ "Technique.option" → line's name → value → recipe.

        One for every number that three or more recipes differ in alone.
        """
        options: dict[str, dict[str, dict[float, str]]] = {}
        for option, series in sweeps(self).items():
            options[option] = {one.name: one.recipes for one in series}
        return options

    def recommend(
        self,
        *,
        max_bytes: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
    ) -> Recommendation:
        """The recipe to use under these bounds, and the reason in a sentence.

        With a bound on size or latency alone, the most accurate file that fits (accuracies within
        one standard error over seeds of the best are equal); otherwise the smallest that keeps
        `min_accuracy`, or 99 % of the base's where nothing is asked.

        Among files of the same size (within 1 %), one that loses more than 1 % of the best
        accuracy, where the test examples can tell the two apart, falls out first; then the smallest
        download (within 5 %) wins, then the fastest (within the noise, at least 3 %), then the
        most accurate. `recipe` is None when nothing fits, and the reason names what comes nearest.
        """
        return recommend(
            self, max_bytes=max_bytes, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy
        )

    def notes(self) -> list[str]:
        """What a reader must know of these numbers, a sentence each.

        For example why int8 files are slower than the base on this processor.
        """
        return notes(self)

    def plot(self, x: str = "size_bytes", y: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Matplotlib axes with every recipe at its mean of columns `x` and `y` (default: metric).

        Bars are ± std over seeds, the line is the Pareto front. Drawn on `ax` when given. Raises
        RecipeError for a column that no row has.
        """
        from tfcompress.report._plots import scatter

        return scatter(self, x, y or self.metric, ax)

    def plot_sweep(
        self, option: str, y: str | Sequence[str] | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Matplotlib axes with column `y` (default: the metric) against a technique's option.

        The option is named like "Prune.sparsity"; several columns are drawn with different strokes.
        Recipes that are alike otherwise are one line, ± std over seeds as bars; the recipe without
        the technique is a level. Raises RecipeError for an option that fewer than three recipes
        differ in.
        """
        from tfcompress.report._plots import sweep

        return sweep(self, option, y or self.metric, ax)

    def plot_latency(self, *, ax: Axes | None = None) -> Axes:
        """Matplotlib axes with the median latency in ms against the threads, one line a recipe."""
        from tfcompress.report._plots import latency

        return latency(self, ax)

    def plot_ops(self, recipe: str, *, ax: Axes | None = None) -> Axes:
        """Matplotlib axes with one bar an operation of the recipe's file.

        A bar is the median time in µs, or the MACs where none was measured.
        """
        from tfcompress.report._plots import ops

        return ops(self, recipe, ax)

    def to_html(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write one self-contained HTML page (needs no network) and return its path.

        Raises ArtifactError when the file is there already and `overwrite` is not set, or cannot be
        written.
        """
        from tfcompress.report._html import page

        file = Path(path)
        return write_all({file: page(self, file.parent)}, overwrite=overwrite)[0]
