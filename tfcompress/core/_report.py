"""Rows over artifacts, with what can be said of them in text: mean ± std over seeds, Pareto front, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tfcompress.core._errors import RecipeError
from tfcompress.core._files import write_all

LOWER_IS_BETTER = ("bytes", "_ms", "latency", "macs", "memory", "loss", "mse", "mae", "error")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one comparison, one per (recipe, seed): plain dictionaries of JSON data whose keys carry their units.

    Every row has "recipe" and "seed"; the rest is what was measured ("accuracy", "size_bytes", "gzip_bytes",
    "latency_ms_p50", …) and, in nested data, what a page shows beside it ("profile", "skipped", "checks", "error").
    """

    rows: Sequence[Mapping[str, Any]]
    title: str = "tfcompress report"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> list[str]:
        """Names of the numeric columns, in the order in which rows first mention them."""
        seen: dict[str, None] = {}
        for row in self.rows:
            seen.update({k: None for k, v in row.items() if k != "seed" and isinstance(v, (int, float)) and not isinstance(v, bool)})
        return list(seen)

    def summary(self) -> list[dict[str, Any]]:
        """One row a recipe: for each column its mean over seeds, `<column>_std` (n − 1) where n ≥ 2, and `seeds` = n.

        Rows that failed ("error" set) do not enter the means; a recipe that failed for every seed keeps its first error.
        """
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(row["recipe"], []).append(row)
        columns, out = self.columns(), []
        for recipe, members in groups.items():
            good = [row for row in members if not row.get("error")]
            line: dict[str, Any] = {"recipe": recipe, "seeds": len(good)}
            for column in columns:
                values = [row[column] for row in good if isinstance(row.get(column), (int, float)) and math.isfinite(row[column])]
                if values:
                    line[column] = fmean(values)
                if len(values) > 1:
                    line[column + "_std"] = stdev(values)
            if not good:
                line["error"] = members[0]["error"]
            out.append(line)
        return out

    def pareto(self, *columns: str) -> Any:
        """The rows of the recipes that no other recipe beats in all of `columns` at once (means over seeds).

        Columns of bytes, milliseconds, MACs, memory, loss and error count as better when lower, all others when higher.
        Raises RecipeError for a column that no row has.
        """
        for column in columns:
            if column not in self.columns():
                raise RecipeError(f"No column {column!r}; there are: {', '.join(self.columns())}.")
        sign = [-1.0 if any(word in column for word in LOWER_IS_BETTER) else 1.0 for column in columns]
        points = {
            line["recipe"]: [s * line[c] for s, c in zip(sign, columns)] for line in self.summary() if all(c in line for c in columns)
        }
        front = {
            name
            for name, point in points.items()
            if not any(all(o >= p for o, p in zip(other, point)) and other != point for other in points.values())
        }
        return type(self)([row for row in self.rows if row["recipe"] in front], self.title, self.about)

    def to_markdown(self, columns: Iterable[str] | None = None) -> str:
        """The summary as a Markdown table: mean, ± std where there are several seeds; a failed recipe's cell holds its error."""
        columns = [c for c in (columns or self.columns())]
        lines = ["| recipe | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
        for line in self.summary():
            if "error" in line:
                cells = ["failed: " + str(line["error"]).replace("\n", " ").replace("|", "\\|")] + [""] * (len(columns) - 1)
            else:
                cells = [_cell(line, column) for column in columns]
            lines.append(f"| {line['recipe']} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def to_csv(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """All rows (not the summary) as CSV, nested data as JSON; also written to `path` when given (ArtifactError if it is there)."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, keys, restval="", lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({k: json.dumps(v, sort_keys=True) if isinstance(v, (list, tuple, dict)) else v for k, v in row.items()})
        if path is not None:
            write_all({Path(path): out.getvalue()}, overwrite=overwrite)
        return out.getvalue()


def _cell(line: Mapping[str, Any], column: str) -> str:
    if column not in line:
        return ""
    text = format_number(line[column], column)
    return text + (f" ± {format_number(line[column + '_std'], column)}" if column + "_std" in line else "")


def format_number(value: float, column: str) -> str:
    """`value` as people read that column: accuracies to four places, bytes and counts whole, milliseconds to three."""
    if "bytes" in column or column in ("macs", "weights", "seeds"):
        return f"{value:,.0f}"
    return f"{value:.3f}" if "_ms" in column else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
