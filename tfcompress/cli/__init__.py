"""The command `tfcompress`: every main job of the library from a shell, for people and scripts."""

from __future__ import annotations

import os
import sys
import warnings

from tfcompress.cli._app import app
from tfcompress.cli._output import Stopped

__all__ = ["app", "main"]

VERBOSE = "--verbose"


def main() -> None:
    """Run the command; an error is one line on stderr and exit code 1, Ctrl-C is exit code 130.

    `--verbose`, wherever it stands, shows an error's traceback and what TensorFlow prints.
    """
    from tfcompress.core import ResultWarning, TfcompressError

    verbose = VERBOSE in sys.argv[1:]
    arguments = [word for word in sys.argv[1:] if word != VERBOSE]
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        warnings.formatwarning = _warning_line
    warnings.simplefilter("ignore", ResultWarning)  # the subcommands print them themselves
    try:
        app(arguments, prog_name="tfcompress")
    except Stopped as stop:
        print("; ".join(["tfcompress: stopped", *map(str, stop.args)]), file=sys.stderr)
        sys.exit(130)
    except TfcompressError as error:
        if verbose:
            raise
        _fail(_in_one_line(error))
    except Exception as error:
        if verbose:
            raise
        name = type(error).__name__
        _fail(
            f"unexpected {name}: {_in_one_line(error)}. This is a fault of tfcompress's or of a "
            f"package below it; {VERBOSE} shows where it came from."
        )


def _warning_line(message: Warning | str, *place: object, **line: object) -> str:
    """A Python warning as people read it, without the place in the code."""
    return f"WARNING: {' '.join(str(message).split())}\n"


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line)


def _fail(message: str) -> None:
    print(f"tfcompress: {message}", file=sys.stderr)
    sys.exit(1)
