"""The command `tfcompress`: every main job of the library from a shell, for people and for scripts (`--json`)."""

from __future__ import annotations

import os
import sys

from tfcompress.cli._app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; an error of ours is one clear line on stderr and exit code 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tfcompress.core import TfcompressError

    try:
        app()
    except TfcompressError as error:
        print(
            "tfcompress: "
            + "; ".join(line.strip() for line in str(error).splitlines() if line.strip()),
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("tfcompress: stopped", file=sys.stderr)
        sys.exit(130)
