"""What every report says of itself: when, where, with which versions, by which command."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tfcompress._study._measure import examples
from tfcompress.core._types import Data
from tfcompress.core._versions import versions
from tfcompress.profiling import environment

NO_COMMAND = ("", "-c", "-m", "__main__.py", "ipykernel_launcher.py")


def about(metric: str, base: str, evaluate: Data | None, **more: object) -> dict[str, Any]:
    """The `about` of a report: metric, base, date, test examples, command, machine, versions."""
    facts: dict[str, Any] = {
        "metric": metric,
        "base": base,
        "created": datetime.now().isoformat(" ", "minutes"),
    }
    number = examples(evaluate)
    if number is not None:
        facts["test_examples"] = number
    program = Path(sys.argv[0]).name
    if program not in NO_COMMAND:
        facts["command"] = shlex.join([program, *sys.argv[1:]])
    return {**facts, **more, "machine": environment(), "versions": versions()}
