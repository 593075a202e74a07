"""`recipes`: every word of a recipe's name, what it does, and an example."""

from __future__ import annotations

import shutil
import textwrap

import typer

from tfcompress.cli import _options, _output


def recipes(as_json: _options.Json = False) -> None:
    """Every word of a recipe's name, what it does, and an example."""
    from tfcompress.recipes import READY, WORDS

    if as_json:
        _output.print_json(
            [
                {"word": word.spelling, "meaning": word.meaning, "example": word.example}
                for word in WORDS
            ]
        )
        return
    typer.echo(
        "A name is words joined by `-`: techniques in order, then one target, such as "
        "prune80-cluster16-qat-int8.\n"
    )
    for word in WORDS:
        typer.echo(word.spelling)
        typer.echo(_indented(f"{word.meaning}. Example: {word.example}"))
    typer.echo("\nNames to start from:")
    typer.echo(_indented(", ".join(READY)))


def _indented(text: str) -> str:
    """`text` in lines as wide as the terminal, no name broken at its hyphens."""
    return textwrap.fill(
        text,
        width=min(shutil.get_terminal_size().columns, 96),
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
    )
