"""Loading TensorFlow without its start-up lines, which come from C++ before any log level is heard."""

from __future__ import annotations

import importlib
import sys

import typer


def load_tensorflow() -> None:
    """Import TensorFlow and Keras 3 silently, with one line on stderr because it takes seconds."""
    from tfcompress._backend.quiet import quiet

    if "tensorflow" not in sys.modules:
        typer.echo("Loading TensorFlow …", err=True)
        with quiet():
            importlib.import_module("keras")
