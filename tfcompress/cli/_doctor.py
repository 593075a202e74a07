"""`doctor`: what is installed here, against what is known to work together."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping

import typer

from tfcompress.cli import _options, _output
from tfcompress.core._versions import PACKAGES, installed

PYTHONS = ((3, 10), (3, 13))
TENSORFLOWS = ((2, 17), (2, 21))

Versions = Mapping[str, str | None]


def doctor(as_json: _options.Json = False) -> None:
    """What is installed here, whether it fits together, and what to do where it does not."""
    packages = {name: installed(name) for name in PACKAGES}
    problems = problems_of(packages)
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        **packages,
        "TF_USE_LEGACY_KERAS": os.environ.get("TF_USE_LEGACY_KERAS", ""),
    }
    if as_json:
        _output.print_json({**facts, "problems": problems})
    else:
        for name, value in facts.items():
            typer.echo(f"{name:30s} {value or '-'}")
        for problem in problems:
            typer.echo(f"problem: {problem}")
        if not problems:
            typer.echo("all of this works together")
    if problems:
        raise typer.Exit(1)


def problems_of(packages: Versions) -> list[str]:
    """What does not fit together, each with the remedy; loads no TensorFlow."""
    checks: tuple[Callable[[Versions], list[str]], ...] = (
        _python,
        _tensorflow,
        _beside_tensorflow,
        _interpreters,
        _backend,
    )
    return [problem for check in checks for problem in check(packages)]


def _python(packages: Versions) -> list[str]:
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return []
    python = platform.python_version()
    return [f"Python {python}: use 3.10 to 3.13 (TensorFlow has no later build)."]


def _tensorflow(packages: Versions) -> list[str]:
    installed = packages.get("tensorflow")
    pair = _pair(installed)
    if pair is None:
        return [
            "TensorFlow is not installed: compressing needs it (pip install tensorflow); profiling "
            "does not."
        ]
    if TENSORFLOWS[0] <= pair <= TENSORFLOWS[1]:
        return []
    return [
        f"TensorFlow {installed}: use 2.17 to 2.21; before 2.17 Keras 3 models do not convert "
        "beside TFMOT."
    ]


def _beside_tensorflow(packages: Versions) -> list[str]:
    """tf_keras and TFMOT: there, and of TensorFlow's version."""
    tensorflow, tf_keras = packages.get("tensorflow"), packages.get("tf_keras")
    pair = _pair(tensorflow)
    if pair is None:
        return []
    problems = []
    if tf_keras and _pair(tf_keras) != pair:
        problems.append(
            f"tf_keras {tf_keras} does not fit TensorFlow {tensorflow}: "
            f"pip install tf-keras~={pair[0]}.{pair[1]}.0."
        )
    for name in ("tf_keras", "tensorflow-model-optimization"):
        if not packages.get(name):
            problems.append(
                f"{name} is not installed: pruning, clustering and quantization-aware training "
                f"need it (pip install {name})."
            )
    return problems


def _interpreters(packages: Versions) -> list[str]:
    interpreters = ("ai-edge-litert", "tflite-runtime", "tensorflow")
    if not any(packages.get(name) for name in interpreters):
        return ["No interpreter: pip install ai-edge-litert."]
    runtime, numpy = packages.get("tflite-runtime"), packages.get("numpy")
    pair = _pair(numpy)
    if runtime and pair and pair[0] >= 2:
        return [
            f"tflite-runtime {runtime} was built for NumPy 1: with NumPy {numpy} it cannot open a "
            "file (pip install 'numpy<2')."
        ]
    return []


def _backend(packages: Versions) -> list[str]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "tensorflow":
        return []
    return [
        f"KERAS_BACKEND={backend}: in your own programs tfcompress needs the TensorFlow backend; "
        "unset it there (the command sets it itself)."
    ]


def _pair(text: str | None) -> tuple[int, int] | None:
    """Major and minor number of a version."""
    if not text:
        return None
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
