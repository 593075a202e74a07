"""Which TFLite interpreters are installed here, and how to get those that are not."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any

import numpy as np

from tfcompress._backend.quiet import quiet
from tfcompress.core._errors import InterpreterError

RUNTIMES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert", "pip install ai-edge-litert"),
    "tflite_runtime": (
        "tflite_runtime.interpreter",
        "tflite-runtime",
        "pip install tflite-runtime 'numpy<2' (Python 3.11 or older)",
    ),
    "tensorflow": ("tensorflow", "tensorflow", "pip install tensorflow"),
    "micro": ("tflite_micro", "tflite-micro", "pip install 'tfcompress[micro]' (Linux on x86-64)"),
}
"""Runtime → module, distribution, how to get it; in the order in which "auto" tries them."""
NEVER_AUTO = ("micro",)
"""Runtimes that are there only where asked for: they stand for another machine than this one."""


def load_runtime(name: str) -> tuple[Any, Any]:
    """The `Interpreter` class and the op resolver enum of a runtime, imported on first use."""
    with quiet():
        kit = importlib.import_module(RUNTIMES[name][0])
    if name == "tensorflow":
        return kit.lite.Interpreter, kit.lite.experimental.OpResolverType
    if name == "micro":
        from tfcompress._backend.interpreter._micro import MicroInterpreter

        return MicroInterpreter, SimpleNamespace(BUILTIN_WITHOUT_DEFAULT_DELEGATES=None)
    return kit.Interpreter, kit.OpResolverType


def available() -> dict[str, str]:
    """Runtime → its version, or why it cannot be used here ("missing: …"); loads none of them."""
    return {
        name: _state(name, distribution, remedy)
        for name, (_, distribution, remedy) in RUNTIMES.items()
    }


def _state(name: str, distribution: str, remedy: str) -> str:
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return f"missing: {remedy}"
    if name == "tflite_runtime" and int(np.__version__.split(".")[0]) >= 2:
        return (
            f"missing: tflite-runtime {installed} does not work with NumPy {np.__version__}:"
            " pip install 'numpy<2'"
        )
    return installed


def choose(runtime: str = "auto") -> str:
    """The runtime that `runtime` stands for here.

    Raises InterpreterError if it is unknown or missing, with what to install.
    """
    states = available()
    usable = [name for name, state in states.items() if not state.startswith("missing")]
    if runtime == "auto":
        of_this_host = [name for name in usable if name not in NEVER_AUTO]
        if not of_this_host:
            raise InterpreterError("No interpreter is installed here: pip install ai-edge-litert.")
        return of_this_host[0]
    if runtime not in states:
        raise InterpreterError(
            f"Unknown runtime {runtime!r}; choose from auto, {', '.join(states)}."
        )
    if runtime not in usable:
        raise InterpreterError(f"Runtime {runtime!r} is not usable here ({states[runtime]}).")
    return runtime
