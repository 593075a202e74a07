"""Which TFLite interpreters are installed here, and how to get those that are not."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
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
}
"""Runtime → module, distribution, how to get it; in the order in which "auto" tries them."""


def load_runtime(name: str) -> tuple[Any, Any]:
    """The `Interpreter` class and the op resolver enum of an installed runtime, imported on first use."""
    with quiet():
        kit = importlib.import_module(RUNTIMES[name][0])
    if name == "tensorflow":
        return kit.lite.Interpreter, kit.lite.experimental.OpResolverType
    return kit.Interpreter, kit.OpResolverType


def available() -> dict[str, str]:
    """Runtime → its version, or why it cannot be used here ("missing: …"); loads none of them."""
    found = {}
    for name, (_, distribution, remedy) in RUNTIMES.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            found[name] = f"missing: {remedy}"
            continue
        if name == "tflite_runtime" and int(np.__version__.split(".")[0]) >= 2:
            found[name] = (
                f"missing: tflite-runtime {found[name]} does not work with NumPy {np.__version__}: pip install 'numpy<2'"
            )
    return found


def choose(runtime: str = "auto") -> str:
    """The runtime that `runtime` stands for here; InterpreterError if it is unknown or missing, with what to install."""
    found = available()
    if runtime == "auto":
        for name, text in found.items():
            if not text.startswith("missing"):
                return name
        raise InterpreterError("No interpreter is installed here: pip install ai-edge-litert.")
    if runtime not in found:
        raise InterpreterError(
            f"Unknown runtime {runtime!r}; choose from auto, {', '.join(found)}."
        )
    if found[runtime].startswith("missing"):
        raise InterpreterError(f"Runtime {runtime!r} is not usable here ({found[runtime]}).")
    return runtime
