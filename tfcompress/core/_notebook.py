"""HTML of a value for a notebook: small tables in its own colours, every word escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LEFT = "text-align:left"


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """A table whose first column is words and whose other columns are numbers or words.

    Args:
        heads: one word a column; no head row where all are empty.
        rows: cells as text; missing ones at the end of a row stay empty.
        title: stands above the table in bold.
        notes: sentences below the table.
    """
    parts = [f"<p><b>{escape(title)}</b></p>"] if title else []
    parts.append("<table>")
    if any(heads):
        parts.append(f"<thead>{_row(heads, 'th')}</thead>")
    parts.append("<tbody>")
    parts += [_row([*row, *[""] * (len(heads) - len(row))], "td") for row in rows]
    parts.append("</tbody></table>")
    parts += [f"<p><small>{escape(note)}</small></p>" for note in notes]
    return "".join(parts)


def _row(cells: Sequence[str], tag: str) -> str:
    styles = [f' style="{LEFT}"', *[""] * (len(cells) - 1)]
    words = [f"<{tag}{style}>{escape(cell)}</{tag}>" for cell, style in zip(cells, styles)]
    return f"<tr>{''.join(words)}</tr>"
