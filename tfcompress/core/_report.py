"""Rows over artifacts, with what can be said of them in text: mean ± std over seeds, Pareto front, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tfcompress.core._errors import RecipeError
from tfcompress.core._files import write_all

EQUAL_LATENCY = 0.03  # two identical models measured interleaved differ by up to 3.6 %, with a deviation of 0.9 %
LOWER_IS_BETTER = (
    "bytes",
    "_ms",
    "latency",
    "macs",
    "weights",
    "memory",
    "seconds",
    "loss",
    "mse",
    "mae",
    "error",
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one comparison, one per (recipe, seed): plain dictionaries of JSON data whose keys carry their units.

    Every row has "recipe" and "seed"; the numbers beside them are columns ("accuracy", "size_bytes", "gzip_bytes",
    "latency_ms_p50", …). Nested data ("profile", "skipped", "checks", "error") is for a page, and "correct" (a string
    of one 0 or 1 a test example, in order) for paired statistics. Columns, summaries and CSV leave both out.
    """

    rows: Sequence[Mapping[str, Any]]
    title: str = "tfcompress report"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> list[str]:
        """Names of the numeric columns, in the order in which rows first mention them."""
        return list(
            dict.fromkeys(
                key
                for row in self.rows
                for key, value in row.items()
                if key != "seed" and _is_number(value)
            )
        )

    def recipes(self) -> list[str]:
        """Names of the recipes, in the order in which rows first mention them."""
        return list(dict.fromkeys(row["recipe"] for row in self.rows))

    @staticmethod
    def lower_is_better(column: str) -> bool:
        """True for columns of bytes, milliseconds, MACs, weights, memory, seconds, loss and error; False for all others."""
        return any(word in column for word in LOWER_IS_BETTER)

    def summary(self) -> list[dict[str, Any]]:
        """One line a recipe: for each column its mean over seeds, `<column>_std` (n − 1) where n ≥ 2, and `seeds` = n.

        Rows that failed ("error" set) and values that are not finite do not enter the means; `failed` counts the former,
        and a recipe that failed for every seed has its first error as `error`.
        """
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(row["recipe"], []).append(row)
        columns, out = self.columns(), []
        for recipe, members in groups.items():
            good = [row for row in members if not row.get("error")]
            line: dict[str, Any] = {"recipe": recipe, "seeds": len(good)}
            for column in columns:
                values = [
                    row[column]
                    for row in good
                    if _is_number(row.get(column)) and math.isfinite(row[column])
                ]
                if values:
                    line[column] = fmean(values)
                if len(values) > 1:
                    line[column + "_std"] = stdev(values)
            if len(good) < len(members):
                line["failed"] = len(members) - len(good)
            if not good:
                line["error"] = members[0]["error"]
            out.append(line)
        return out

    def warnings(self) -> list[str]:
        """What a reader must know before using the files, one sentence a recipe and finding."""
        sentences = [
            f"{row['recipe']}: {warning}"
            for row in self.rows
            for warning in row.get("warnings") or ()
        ]
        return list(dict.fromkeys(sentences))

    def pareto(self, *columns: str) -> Any:
        """The rows of the recipes that no other recipe beats in all of `columns` at once (means over seeds).

        A recipe is beaten by one that is at least as good everywhere and better somewhere; `lower_is_better` says which
        way a column counts. Latencies within the `noise` of their measurement are equal. Raises RecipeError without columns,
        or for one that no row has.
        """
        if not columns:
            raise RecipeError(
                f"Name the columns to weigh against each other; there are: {', '.join(self.columns())}."
            )
        for column in columns:
            if column not in self.columns():
                raise RecipeError(f"No column {column!r}; there are: {', '.join(self.columns())}.")
        sign = [-1.0 if self.lower_is_better(column) else 1.0 for column in columns]
        points = {
            # Means of the same values over seeds can differ in their last bits: twelve digits decide.
            line["recipe"]: [s * float(f"{line[c]:.12g}") for s, c in zip(sign, columns)]
            for line in self.summary()
            if all(c in line for c in columns)
        }
        noise = {name: self.noise(name) for name in points}
        timed = [is_latency(column) for column in columns]

        def beats(one: str, other: str) -> bool:
            pairs = list(zip(points[one], points[other], timed))
            room = [
                max(noise[one], noise[other]) * abs(b) if latency else 0.0
                for _, b, latency in pairs
            ]
            steps = [a - b for a, b, _ in pairs]
            return all(d >= -r for d, r in zip(steps, room)) and any(
                d > r for d, r in zip(steps, room)
            )

        front = {name for name in points if not any(beats(other, name) for other in points)}
        return type(self)(
            [row for row in self.rows if row["recipe"] in front], self.title, self.about
        )

    def noise(self, *recipes: str) -> float:
        """The share by which two latencies of `recipes` (all, if none is named) may differ and still be called equal.

        3 %, which identical files differ by, or the measured uncertainty of a median (half its 95 % interval) where that is more.
        """
        rows = [row for row in self.rows if not recipes or row["recipe"] in recipes]
        measured = (
            item.get("uncertainty_fraction") or 0.0
            for row in rows
            for item in (row.get("profile") or {}).get("latency", ())
        )
        return max([EQUAL_LATENCY, *(value for value in measured if math.isfinite(value))])

    def to_markdown(self, columns: Iterable[str] | None = None) -> str:
        """The summary as a Markdown table: mean, ± std where there are several seeds; a failed recipe's cell holds its error.

        The report's warnings, if any, stand below it.
        """
        columns = list(columns or self.columns())
        lines = ["| recipe | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
        for line in self.summary():
            if "error" in line:
                cells = ["failed: " + line["error"], *[""] * (len(columns) - 1)]
            else:
                cells = [_cell(line, column) for column in columns]
            failed = (
                f" ({line['failed']} of {line['failed'] + line['seeds']} seeds failed)"
                if line["seeds"] and "failed" in line
                else ""
            )
            lines.append(
                "| "
                + " | ".join(_escape(cell) for cell in [line["recipe"] + failed, *cells])
                + " |"
            )
        warnings = [f"\n**Warning**: {_escape(warning)}" for warning in self.warnings()]
        return "\n".join([*lines, *warnings]) + "\n"

    def to_csv(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """All rows (not the summary) as CSV: numbers and words, no nested data. Also written to `path` when given.

        Raises ArtifactError when `path` is there already and `overwrite` is not set, or cannot be written.
        """
        flat = [
            {
                k: v
                for k, v in row.items()
                if k != "correct" and not isinstance(v, (list, tuple, Mapping))
            }
            for row in self.rows
        ]
        out = io.StringIO()
        writer = csv.DictWriter(
            out,
            list(dict.fromkeys(key for row in flat for key in row)),
            restval="",
            lineterminator="\n",
        )
        writer.writeheader()
        writer.writerows(flat)
        if path is not None:
            write_all({Path(path): out.getvalue()}, overwrite=overwrite)
        return out.getvalue()


def is_latency(column: str) -> bool:
    """True for columns of measured milliseconds, which carry noise."""
    return "latency" in column or "_ms" in column


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _cell(line: Mapping[str, Any], column: str) -> str:
    if column not in line:
        return ""
    text = format_number(line[column], column)
    return text + (
        f" ± {format_number(line[column + '_std'], column, like=line[column])}"
        if line.get(column + "_std")
        else ""
    )


def format_number(value: float, column: str, *, like: float | None = None) -> str:
    """`value` as people read that column: accuracies to four places, bytes and counts whole, milliseconds to three places or digits.

    `like` is the number whose places it takes over: a mean's, for its deviation.
    """
    if "bytes" in column or column in ("macs", "weights", "seeds"):
        return f"{value:,.0f}"
    size = abs(value if like is None else like)
    if "_ms" in column:
        return f"{value:.{2 - math.floor(math.log10(size)) if 0 < size < 0.1 else 3}f}"
    return f"{value:.4f}" if size < 1000 else f"{value:,.1f}"
