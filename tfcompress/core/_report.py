"""Rows over artifacts, and what can be said of them: mean ± std over seeds, Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import msgspec

from tfcompress.core import _export
from tfcompress.core._column import EQUAL_LATENCY, column
from tfcompress.core._errors import ArtifactError, RecipeError
from tfcompress.core._files import write_all
from tfcompress.core._notebook import table
from tfcompress.core._schema import FormatError, checked, read_checked

if TYPE_CHECKING:
    from typing_extensions import Self


class _Saved(msgspec.Struct):
    """The format of a report as JSON."""

    title: str
    about: dict[str, Any]
    rows: list[dict[str, Any]]


class _Named(msgspec.Struct):
    """What every row of a report has."""

    recipe: str
    seed: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Rows of one comparison, one per (recipe, seed): JSON data whose keys carry their units.

    Every row has "recipe" and "seed"; the numbers beside them are columns ("accuracy",
    "size_bytes", "gzip_bytes", "latency_ms_p50", …). Nested data ("profile", "skipped", "checks",
    "layers", "training", "error") is for a page, and "correct" (a string of one 0 or 1 a test
    example, in order) for paired statistics. Columns, summaries and CSV leave both out.
    """

    rows: Sequence[Mapping[str, Any]]
    title: str = "tfcompress report"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        counts = f"{_count(len(self.recipes()), 'recipe')}, {_count(len(self.rows), 'row')}"
        return f"<{type(self).__name__} {self.title!r}: {counts}; {', '.join(self.columns())}>"

    def _repr_html_(self) -> str:
        names = self.columns()
        lines = self.summary()
        body = [[_export.recipe_cell(line), *_export.line_cells(line, names)] for line in lines]
        warnings = [f"Warning: {warning}" for warning in self.warnings()]
        notes = [*warnings, *self.notes()]
        return table(["recipe", *names], body, title=self.title, notes=notes)

    def columns(self) -> list[str]:
        """Names of the numeric columns, in the order in which rows first mention them."""
        names: dict[str, None] = {}
        for row in self.rows:
            numeric = (key for key, value in row.items() if key != "seed" and _is_number(value))
            names.update(dict.fromkeys(numeric))
        return list(names)

    def recipes(self) -> list[str]:
        """Names of the recipes, in the order in which rows first mention them."""
        return list(dict.fromkeys(row["recipe"] for row in self.rows))

    @staticmethod
    def lower_is_better(name: str) -> bool:
        """True for columns of bytes, time, MACs, weights, memory, loss and error."""
        return column(name).lower_is_better

    def summary(self) -> list[dict[str, Any]]:
        """One line a recipe: its `seeds` n, and for each column its mean over them.

        `<column>_std` is the deviation over seeds (n − 1) where n ≥ 2. Rows that failed ("error"
        set) and values that are not finite do not enter the means; `failed` counts the former, and
        a recipe that failed for every seed has its first error as `error`.
        """
        names = self.columns()
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(row["recipe"], []).append(row)
        return [_summary_line(recipe, members, names) for recipe, members in groups.items()]

    def warnings(self) -> list[str]:
        """What a reader must know before using the files, one sentence a recipe and finding."""
        sentences: dict[str, None] = {}
        for row in self.rows:
            for warning in row.get("warnings") or ():
                sentences[f"{row['recipe']}: {warning}"] = None
        return list(sentences)

    def notes(self) -> list[str]:
        """What explains the numbers, a sentence each; none for rows alone."""
        return []

    def pareto(self, *columns: str) -> Self:
        """The rows of the recipes that no other recipe beats in all of `columns` at once.

        Means over seeds count. One that is at least as good everywhere and better somewhere beats;
        `lower_is_better` says which way a column counts. Latencies within the `noise` of their
        measurement are equal. Raises RecipeError without columns, or for one that no row has.
        """
        have = self.columns()
        if not columns:
            raise RecipeError(
                f"Name the columns to weigh against each other; there are: {', '.join(have)}."
            )
        for name in columns:
            if name not in have:
                raise RecipeError(f"No column {name!r}; there are: {', '.join(have)}.")
        lines = [line for line in self.summary() if line.keys() >= set(columns)]
        noise = {line["recipe"]: self.noise(line["recipe"]) for line in lines}
        front: set[str] = set()
        for line in lines:
            if not any(_beats(other, line, columns, noise) for other in lines):
                front.add(line["recipe"])
        rows = [row for row in self.rows if row["recipe"] in front]
        return type(self)(rows, self.title, self.about)

    def noise(self, *recipes: str) -> float:
        """The share by which latencies of `recipes` (all, if none is named) may differ unnoticed.

        3 %, which identical files differ by, or the measured uncertainty of a median (half its
        95 % interval) where that is more.
        """
        noise = EQUAL_LATENCY
        for row in self.rows:
            if recipes and row["recipe"] not in recipes:
                continue
            for item in (row.get("profile") or {}).get("latency", ()):
                measured = item.get("uncertainty_fraction") or 0.0
                if math.isfinite(measured):
                    noise = max(noise, measured)
        return noise

    def to_markdown(self, columns: Iterable[str] | None = None) -> str:
        """The summary as a Markdown table: mean, ± std where there are several seeds.

        The cell of a recipe that failed for every seed holds its error. Warnings and notes, if any,
        stand below it.
        """
        names = list(columns or self.columns())
        return _export.markdown(self.summary(), names, self.warnings(), self.notes())

    def to_csv(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """All rows (not the summary) as CSV, written to `path` too when given; no nested data.

        Words that a spreadsheet would run as a formula (=, +, -, @ first) get a ' before them.
        Raises ArtifactError when `path` is there already and `overwrite` is not set, or cannot be
        written.
        """
        text = _export.csv_text(self.rows)
        if path is not None:
            write_all({Path(path): text}, overwrite=overwrite)
        return text

    def to_json(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """Everything as JSON, written to `path` too when given; `from_json` reads it back.

        Raises ArtifactError when `path` is there already and `overwrite` is not set, or cannot be
        written.
        """
        text = _export.json_text({"title": self.title, "about": self.about, "rows": self.rows})
        if path is not None:
            write_all({Path(path): text}, overwrite=overwrite)
        return text

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """The report that `to_json` wrote; ArtifactError where the file is none."""
        try:
            saved = read_checked(path, _Saved)
            for row in saved.rows:
                checked(row, _Named)
        except (OSError, FormatError) as error:
            raise ArtifactError(
                f"{path} is not a report that to_json wrote ({error}); a study writes one as "
                "report.json in its folder."
            ) from error
        return cls(saved.rows, saved.title, saved.about)

    def to_pandas(self) -> Any:
        """All rows (not the summary) as a pandas data frame without nested data; needs pandas."""
        return _export.data_frame(self.rows)


def format_number(value: float, name: str, *, like: float | None = None) -> str:
    """`value` as tables of text write that column; `like` is the number whose places it takes."""
    return column(name).text(value, like=like)


def _summary_line(
    recipe: str, members: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    good = [row for row in members if not row.get("error")]
    line: dict[str, Any] = {"recipe": recipe, "seeds": len(good)}
    for name in names:
        values = [row[name] for row in good if _is_number(row.get(name))]
        values = [value for value in values if math.isfinite(value)]
        if values:
            line[name] = fmean(values)
        if len(values) > 1:
            line[name + "_std"] = stdev(values)
    if len(good) < len(members):
        line["failed"] = len(members) - len(good)
    if not good:
        line["error"] = members[0]["error"]
    return line


def _beats(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    columns: Sequence[str],
    noise: Mapping[str, float],
) -> bool:
    """Whether summary line `one` is at least as good in every column and better in some."""
    better = False
    for name in columns:
        described = column(name)
        gain = _steady(one[name]) - _steady(other[name])
        if described.lower_is_better:
            gain = -gain
        room = 0.0
        if described.noisy:
            room = max(noise[one["recipe"]], noise[other["recipe"]]) * abs(_steady(other[name]))
        if gain < -room:
            return False
        better = better or gain > room
    return better


def _steady(value: float) -> float:
    """`value` to twelve digits: means of the same values can differ in their last bits."""
    return float(f"{value:.12g}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
