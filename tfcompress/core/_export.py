"""Rows as text for other programs: Markdown, CSV, a data frame."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import import_module
from typing import Any

from tfcompress.core._column import column

Row = Mapping[str, Any]
NOT_FLAT = (list, tuple, Mapping)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet runs as a formula."""


def markdown(
    summary: Sequence[Row],
    columns: Sequence[str],
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """A Markdown table of summary lines: mean, ± std; a failed recipe's cell holds its error.

    Warnings and notes stand below it, a sentence each.
    """
    lines = ["| recipe | " + " | ".join(map(_escaped, columns)) + " |"]
    lines.append("|---|" + "---:|" * len(columns))
    for line in summary:
        cells = [recipe_cell(line), *line_cells(line, columns)]
        lines.append("| " + " | ".join(map(_escaped, cells)) + " |")
    lines += [f"\n**Warning**: {_escaped(warning)}" for warning in warnings]
    lines += [f"\n{_escaped(note)}" for note in notes]
    return "\n".join(lines) + "\n"


def recipe_cell(line: Row) -> str:
    """The recipe's name, and how many of its seeds failed where some did."""
    if not line["seeds"] or "failed" not in line:
        return line["recipe"]
    return f"{line['recipe']} ({line['failed']} of {line['failed'] + line['seeds']} seeds failed)"


def line_cells(line: Row, columns: Sequence[str]) -> list[str]:
    """One cell a column of a summary line: mean ± std, or the error of a recipe that failed."""
    if "error" in line:
        return [f"failed: {line['error']}", *[""] * (len(columns) - 1)]
    return [_mean_and_deviation(line, name) for name in columns]


def json_text(value: object) -> str:
    """`value` as JSON; NumPy's numbers as numbers, what JSON has no form of as words."""
    return json.dumps(value, indent=1, default=_plain) + "\n"


def _plain(value: Any) -> object:
    return value.item() if hasattr(value, "item") else str(value)


def csv_text(rows: Iterable[Row]) -> str:
    """All rows as CSV: numbers and words, no nested data.

    Words that a spreadsheet would run as a formula get a ' before them (OWASP, "CSV injection").
    """
    flat = flat_rows(rows)
    heads = list(dict.fromkeys(key for row in flat for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_inert(head) for head in heads])
    for row in flat:
        writer.writerow([_inert(row.get(head, "")) for head in heads])
    return out.getvalue()


def data_frame(rows: Iterable[Row]) -> Any:
    """All rows as a pandas data frame; an ImportError says what to install where it is missing."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install pandas.") from error
    return pandas.DataFrame(flat_rows(rows))


def flat_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows without nested data and without the answers on single examples."""
    flat: list[dict[str, Any]] = []
    for row in rows:
        kept = {key: value for key, value in row.items() if not isinstance(value, NOT_FLAT)}
        kept.pop("correct", None)
        flat.append(kept)
    return flat


def _mean_and_deviation(line: Row, name: str) -> str:
    if name not in line:
        return ""
    described = column(name)
    text = described.text(line[name])
    deviation = line.get(name + "_std")
    spread = described.deviation(deviation, line[name]) if deviation else ""
    return f"{text} ± {spread}" if spread else text


def _inert(value: object) -> object:
    """`value` as one cell that no spreadsheet runs; a lone carriage return would end the row."""
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(FORMULA) else value
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _escaped(cell: str) -> str:
    """Words in one Markdown cell: no line break, no HTML, no link, no end of the cell."""
    text = escape(" ".join(cell.split()), quote=False)
    return text.replace("](", "]\\(").replace("\\|", "\\&#124;").replace("|", "\\|")
