"""What the page says of one file: how it was made, what was checked, where its time goes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tfcompress.core import Check
from tfcompress.report._layers import layer_bars
from tfcompress.report._lines import training_curves
from tfcompress.report._table import Table

OPS_SHOWN = 10
TIMED_FROM_US = 10
"""The clock's step is 1 µs: below ten of them the shares of the time mean nothing."""
COUNTED = (("checks", "check", "checks"), ("skipped", "left alone", "left alone"))
PROFILE_FACTS = ("runtime", "weights", "macs", "init_ms", "first_ms", "peak_memory_bytes", "sha256")
NAMED_BETTER = {"machine: machine": "machine: architecture"}


def detail(table: Table, recipe: str, folder: Path | None) -> dict[str, Any]:
    """Everything that the page says of one recipe's file.

    Args:
        table: the report's numbers.
        recipe: its name.
        folder: of the page, which the link to the file starts from.
    """
    rows = [row for row in table.rows if row["recipe"] == recipe]
    shown = next((row for row in rows if not row.get("error")), rows[0])
    profile = table.profile(recipe)
    origin = dict(shown.get("made") or {})
    measured = {name: profile[name] for name in PROFILE_FACTS if profile.get(name)}
    return {
        "recipe": recipe,
        "counts": _counts(shown),
        "errors": _errors(rows),
        "call": origin.pop("call", ""),
        "link": _link(origin.get("file"), folder),
        "facts": facts({**origin, **measured}),
        "checks": [str(Check(**check)) for check in shown.get("checks") or ()],
        "skipped": shown.get("skipped") or [],
        "layers": layer_bars(table.layers(recipe)),
        "curves": training_curves(table.training(recipe)),
        **_ops(profile.get("ops") or ()),
        "notes": list(profile.get("notes") or ()),
    }


def facts(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested data as (name, words) pairs, in its order."""
    pairs: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            pairs += facts(value, f"{name}: ")
        else:
            pairs.append((NAMED_BETTER.get(name, name), _in_words(value)))
    return pairs


def _in_words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and value >= 10000:
        return f"{value:,}"
    return str(value)


def _counts(row: Mapping[str, Any]) -> str:
    counts: list[str] = []
    for key, one, many in COUNTED:
        number = len(row.get(key) or ())
        if number:
            counts.append(f"{number} {one if number == 1 else many}")
    return " · ".join(counts)


def _errors(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    failed = [row for row in rows if row.get("error")]
    if len(rows) == 1:
        return [row["error"] for row in failed]
    return [f"seed {row.get('seed')}: {row['error']}" for row in failed]


def _link(file: str | None, folder: Path | None) -> str:
    """The file's address as seen from the page; empty where it is not there."""
    if not file or folder is None:
        return ""
    for candidate in (folder / file, Path(file)):
        if candidate.is_file():
            relative = os.path.relpath(candidate.resolve(), folder.resolve())
            return quote(relative.replace(os.sep, "/"))
    return ""


def _ops(ops: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The operations that cost most: by time where it was measured, else by multiplications."""
    is_timed = max((op["time_us_p50"] or 0 for op in ops), default=0) >= TIMED_FROM_US
    unit = "time_us_p50" if is_timed else "macs"
    costly = sorted((op for op in ops if (op[unit] or 0) > 0), key=lambda op: -op[unit])
    bars: list[dict[str, Any]] = []
    for op in costly[:OPS_SHOWN]:
        name = op["kind"] if op["index"] < 0 else f"{op['index']} {op['kind']}"
        text = f"{op[unit]:,.1f} µs" if is_timed else f"{op[unit]:,} MACs"
        bars.append(
            {"name": name, "text": text, "share": round(100 * op[unit] / costly[0][unit], 1)}
        )
    title = "Where the time goes" if is_timed else "Where the multiplications are"
    return {"ops": bars, "more_ops": len(costly) - len(bars), "ops_title": title}
