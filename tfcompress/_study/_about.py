"""What every report says of itself: when, where, with which versions, started by which command."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tfcompress._study._fingerprint import versions
from tfcompress._study._measure import examples
from tfcompress.profiling import environment

NO_COMMAND = ("", "-c", "-m", "__main__.py", "ipykernel_launcher.py")


def about(metric: str, base: str, evaluate: Any, **more: Any) -> dict[str, Any]:
    """The `about` of a report: metric, base, date, test examples, command, environment and versions."""
    said: dict[str, Any] = {
        "metric": metric,
        "base": base,
        "created": datetime.now().isoformat(" ", "minutes"),
    }
    if (number := examples(evaluate)) is not None:
        said["test_examples"] = number
    if Path(sys.argv[0]).name not in NO_COMMAND:
        said["command"] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {**said, **more, "machine": environment(), "versions": versions()}
