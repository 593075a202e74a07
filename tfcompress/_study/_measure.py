"""What is measured of every file in the same way: answers on the test set, sizes, latency interleaved with all others."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from tfcompress import profiling
from tfcompress._study._fingerprint import fingerprint, versions
from tfcompress.core import (
    COLUMNS,
    LATENCY,
    ArtifactError,
    DataError,
    Profile,
    ResultWarning,
    Rows,
    write_all,
)


def check_evaluate(evaluate: Any) -> None:
    """DataError unless `evaluate` is a data set, or arrays (x, y) with as many labels as examples, at least one."""
    if (isinstance(evaluate, (tuple, list)) and len(evaluate) != 2) or isinstance(
        evaluate, np.ndarray
    ):
        raise DataError(
            f"evaluate: expected (x_test, y_test) or a data set of (x, y) batches, got {type(evaluate).__name__}."
        )
    if isinstance(evaluate, (tuple, list)):
        x, y = (_first(part) for part in evaluate)
        if len(x) != len(y) or not len(x):
            raise DataError(
                f"evaluate: {len(x)} examples and {len(y)} labels; expected as many of both, at least one."
            )


def examples(evaluate: Any) -> int | None:
    """How many examples `evaluate` has, where that is known without running through it."""
    return len(_first(evaluate[1])) if isinstance(evaluate, (tuple, list)) else None


def labels_of(evaluate: Any) -> Any:
    """The labels of `evaluate`, (x, y) of a model with one output; None where there is no such array."""
    if not isinstance(evaluate, (tuple, list)):
        return None
    labels = evaluate[1]
    return None if isinstance(labels, (Mapping, list, tuple)) else np.asarray(labels)


def warn_of(report: Rows | None) -> None:
    """A ResultWarning for every warning of the report."""
    for warning in report.warnings() if report is not None else ():
        warnings.warn(warning, ResultWarning, stacklevel=3)


def scored(file: Any, evaluate: Any, metric: str, runtime: str) -> dict[str, Any]:
    """The metric's value under its name (the mean over outputs, each also under its own) and, where answers are right or
    wrong and the examples have an order, "correct": one 0 or 1 a test example, for paired statistics."""
    x, y = evaluate if isinstance(evaluate, (tuple, list)) else (evaluate, None)
    score, outputs = profiling.evaluate(
        file, x, y, metric=metric, runtime=runtime, predictions=True
    )
    if isinstance(score, dict):
        return _scored_outputs(score, metric)
    row: dict[str, Any] = {metric: score}
    if (
        metric == "accuracy"
        and y is not None
        and (right := profiling.correct(np.asarray(_first(y)), outputs)).ndim == 1
    ):
        row["correct"] = "".join("01"[bool(hit)] for hit in right)
    return row


def _scored_outputs(scores: Mapping[str, Any], metric: str) -> dict[str, float]:
    """The metric's mean over the outputs that have it, and each output's number under its name.

    An output whose labels are quantities has another metric, which its column names.
    """
    columns: dict[str, float] = {}
    for name, score in scores.items():
        numbers = score if isinstance(score, Mapping) else {metric: score}
        columns |= {f"{name}_{measure}": value for measure, value in numbers.items()}
    fitting = [score for score in scores.values() if not isinstance(score, Mapping)]
    if not fitting:
        raise DataError(
            f'No output has labels that {metric} can score: pass metric="mae" or another metric.'
        )
    return {metric: fmean(fitting), **columns}


def measured(
    rows: Sequence[dict[str, Any]],
    files: Sequence[Any],
    *,
    threads: Sequence[int],
    runtime: str,
    names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """`rows` with the profile of each one's file (None: has none), all latencies interleaved.

    A file that the interpreter cannot run makes its row an error.
    """
    there = [i for i, file in enumerate(files) if file is not None]
    labels = [names[i] if names else rows[i]["recipe"] for i in there]
    found = (
        profiling.profile_many(
            [files[i] for i in there],
            threads=threads,
            runtime=runtime,
            names=labels,
            on_error="note",
        )
        if there
        else []
    )
    out = [dict(row) for row in rows]
    for i, profile in zip(there, found):
        out[i] |= columns(profile)
        if not profile.latency:
            out[i].setdefault("error", f"InterpreterError: {' '.join(profile.notes)}")
    return out


def profiled(
    rows: list[dict[str, Any]],
    files: list[Any],
    folder: Path | None,
    threads: Sequence[int],
    runtime: str,
) -> list[dict[str, Any]]:
    """`measured` rows; those kept in `folder` where they are of the very same files, thread counts, machine and versions."""
    hashes = [row["made"]["sha256"] if "made" in row else None for row in rows]
    key = fingerprint(hashes, list(threads), runtime, socket.gethostname(), versions())
    kept = folder / "profiles.json" if folder else None
    try:
        said = json.loads(kept.read_text()) if kept else {}
        if said.get("key") == key:
            return [{**row, **columns} for row, columns in zip(rows, said["columns"], strict=True)]
    except (OSError, ValueError, TypeError):
        pass
    timed = measured(rows, files, threads=threads, runtime=runtime)
    if kept:
        columns = [
            {k: v for k, v in after.items() if before.get(k) != v}
            for before, after in zip(rows, timed)
        ]
        with suppress(ArtifactError):  # measured again next time
            write_all({kept: json.dumps({"key": key, "columns": columns}) + "\n"}, overwrite=True)
    return timed


def _first(part: Any) -> Any:
    """The array itself, or the first of a model's several inputs or outputs."""
    if isinstance(part, Mapping):
        return next(iter(part.values()))
    return (
        part[0]
        if isinstance(part, (list, tuple)) and part and getattr(part[0], "ndim", 0)
        else part
    )


def columns(profile: Profile) -> dict[str, Any]:
    """A row's numbers from a profile: every column of `COLUMNS` that it holds, and the profile.

    The latency at the fewest threads has the plain name, the others say their threads.
    """
    row: dict[str, Any] = {}
    for described in COLUMNS:
        value = getattr(profile, described.name, None)
        if value is not None:
            row[described.name] = value
        if described is LATENCY:
            row |= _latency_by_threads(profile)
    return {**row, "profile": profile.to_dict()}


def _latency_by_threads(profile: Profile) -> dict[str, float]:
    """Median latency at every thread count but the fewest."""
    by_threads = sorted(profile.latency, key=lambda item: item.threads)
    return {f"{LATENCY.name}_threads{item.threads}": item.latency_ms_p50 for item in by_threads[1:]}
