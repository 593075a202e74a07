"""Numbered cases in child processes, a line of JSON each: a crash costs one case, a stop none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows_of(out: Path) -> list[Row]:
    """What was carried out already."""
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text().splitlines() if line.strip()]


def append(out: Path, row: Row) -> None:
    """Write one case's row down."""
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")


def carry_out(out: Path, numbers: Iterable[int], run: Callable[[int], Row]) -> None:
    """Run the cases in this process; the file beside `out` says which was begun."""
    for number in numbers:
        _begun(out).write_text(str(number))
        append(out, run(number))


def drive(script: str, out: Path, first: int, count: int, chunk: int) -> None:
    """Run cases first … first + count − 1 that are not there yet, `chunk` of them a child.

    The child is `script --out OUT --work FIRST LAST`, which calls `carry_out`. One that dies costs
    the case it was at; SystemExit where it dies before it has begun one.
    """
    while True:
        done = {row["case"] for row in rows_of(out)}
        left = [number for number in range(first, first + count) if number not in done]
        if not left:
            return
        last = min(left[0] + chunk, first + count)
        _begun(out).unlink(missing_ok=True)
        command = [sys.executable, script, "--out", str(out), "--work", str(left[0]), str(last)]
        child = subprocess.run(command, capture_output=True, text=True)
        if child.returncode == 0:
            continue
        if not _begun(out).exists():
            raise SystemExit(f"{script} failed before its first case:\n{child.stderr[-1500:]}")
        number = int(_begun(out).read_text())
        append(out, {"case": number, "result": "crash", "error": child.stderr[-1500:]})


def _begun(out: Path) -> Path:
    return out.with_suffix(".begun")
