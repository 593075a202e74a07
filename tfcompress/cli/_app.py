"""The command: its subcommands, and what is common to all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import Annotated

import typer

from tfcompress import recipes as _words
from tfcompress.cli._compress import compress, convert
from tfcompress.cli._debug import debug
from tfcompress.cli._demo import demo
from tfcompress.cli._doctor import doctor
from tfcompress.cli._measure import compare, cost, micro, profile
from tfcompress.cli._online import online
from tfcompress.cli._output import stopped_means
from tfcompress.cli._recipes import recipes
from tfcompress.cli._sensitivity import sensitivity
from tfcompress.cli._serve import serve
from tfcompress.cli._significance import significance
from tfcompress.cli._study import study

COMPRESS_HELP = f"""Compress a trained model by a recipe.

A recipe's name is words joined by `-`, techniques in order and then one target:
{_words.words_in_short()}.
S is a percentage; N, M, A, B and R are whole numbers. `tfcompress recipes` says what each does.
"""

app = typer.Typer(
    help="Make a trained Keras model small and fast for the edge, and show, measured, what that "
    "cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # boxes cut names on narrow terminals
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tfcompress {version('tfcompress')}")
        raise typer.Exit()


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Show the traceback of an error, and what TensorFlow prints. It may stand anywhere.",
    ),
]


@app.callback()
def common(context: typer.Context, version: Version = False, verbose: Verbose = False) -> None:
    """What holds for every subcommand: the process is the command's own.

    Models are read by Keras 3 on TensorFlow, whatever backend the user's own programs take;
    `doctor` alone looks at the environment as it is.
    """
    if context.invoked_subcommand != "doctor":
        os.environ["KERAS_BACKEND"] = "tensorflow"


def _add(function: Callable[..., None], text: str | None = None) -> None:
    """Make `function` a subcommand; Ctrl-C in it ends it in one line."""

    @wraps(function)
    def stoppable(*words: object, **options: object) -> None:
        with stopped_means():
            function(*words, **options)

    app.command(help=text)(stoppable)


_add(demo)
_add(compress, COMPRESS_HELP)
_add(convert)
_add(recipes)
_add(significance)
_add(sensitivity)
_add(debug)
_add(cost)
_add(profile)
_add(compare)
_add(micro)
_add(study)
_add(serve)
_add(online)
_add(doctor)
