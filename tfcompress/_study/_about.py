"""What every report says of itself: when, where, with which versions, started by which command."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfcompress._study._measure import examples
from tfcompress.profiling import environment

PACKAGES = ("tfcompress", "tensorflow", "keras", "tf_keras", "tensorflow-model-optimization", "ai-edge-litert", "tflite-runtime", "numpy")
NO_COMMAND = ("", "-c", "-m", "__main__.py", "ipykernel_launcher.py")


def about(metric: str, base: str, evaluate: Any, **more: Any) -> dict[str, Any]:
    """The `about` of a report: metric, base, date, test examples, command, environment and versions."""
    said: dict[str, Any] = {"metric": metric, "base": base, "created": datetime.now().isoformat(" ", "minutes")}
    if (number := examples(evaluate)) is not None:
        said["test_examples"] = number
    if Path(sys.argv[0]).name not in NO_COMMAND:
        said["command"] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {**said, **more, "machine": environment(), "versions": versions()}


def versions() -> dict[str, str]:
    """Versions of everything that a file depends on; packages that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
