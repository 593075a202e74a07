"""What is installed here, against what is known to work together."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
)
PYTHONS = ((3, 10), (3, 13))
TENSORFLOWS = ((2, 17), (2, 21))


def examine() -> dict[str, Any]:
    """This machine's row of the version matrix, and its problems, each with the remedy. Loads no TensorFlow."""
    found = {name: _version(name) for name in PACKAGES}
    problems = []
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        problems.append(
            f"Python {platform.python_version()}: use 3.10 to 3.13 (TensorFlow has no later build)."
        )
    tensorflow = _pair(found["tensorflow"])
    if tensorflow is None:
        problems.append(
            "TensorFlow is not installed: compressing needs it (pip install tensorflow); profiling does not."
        )
    elif not TENSORFLOWS[0] <= tensorflow <= TENSORFLOWS[1]:
        problems.append(
            f"TensorFlow {found['tensorflow']}: use 2.17 to 2.21; before 2.17 Keras 3 models do not convert beside TFMOT."
        )
    if tensorflow and found["tf_keras"] and _pair(found["tf_keras"]) != tensorflow:
        wanted = f"pip install tf-keras~={tensorflow[0]}.{tensorflow[1]}.0"
        problems.append(
            f"tf_keras {found['tf_keras']} does not fit TensorFlow {found['tensorflow']}: {wanted}."
        )
    for name in ("tf_keras", "tensorflow-model-optimization"):
        if tensorflow and not found[name]:
            problems.append(
                f"{name} is not installed: pruning, clustering and quantization-aware training need it (pip install {name})."
            )
    if not found["ai-edge-litert"] and not found["tflite-runtime"] and not found["tensorflow"]:
        problems.append("No interpreter: pip install ai-edge-litert.")
    numpy = _pair(found["numpy"])
    if found["tflite-runtime"] and numpy and numpy[0] >= 2:
        came = f"tflite-runtime {found['tflite-runtime']} was built for NumPy 1"
        problems.append(
            f"{came}: with NumPy {found['numpy']} it cannot open a file (pip install 'numpy<2')."
        )
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        problems.append(
            f"KERAS_BACKEND={backend}: TensorFlow Lite files are made on the TensorFlow backend; unset it."
        )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "tfcompress": _version("tfcompress"),
        **found,
        "TF_USE_LEGACY_KERAS": os.environ.get("TF_USE_LEGACY_KERAS", ""),
        "problems": problems,
    }


def as_text(found: dict[str, Any]) -> str:
    """`examine`'s findings as lines."""
    lines = [
        f"{name:30s} {value if value not in (None, '') else '-'}"
        for name, value in found.items()
        if name != "problems"
    ]
    lines += [f"problem: {problem}" for problem in found["problems"]] or [
        "all of this works together"
    ]
    return "\n".join(lines)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pair(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
