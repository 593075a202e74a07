"""`python -m tfcompress.profiling FILE.tflite …`: needs nothing but NumPy and an interpreter.

With --data FILE.npz (arrays x and y, or x_test and y_test) also the score on those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress.core import DataError, TfcompressError
from tfcompress.core._types import Array
from tfcompress.profiling import evaluate, profile_many


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the profiles; the exit status is 0, or 1 after one line on what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        rows = _measure(options)
    except (TfcompressError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([row | {"profile": row["profile"].to_dict()} for row in rows], indent=2))
        return 0
    for row in rows:
        print(row["profile"])
        if "score" in row:
            text = row["error"] if row["score"] is None else _score_in_words(row["score"])
            print(f"  {row['metric']}  {text}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tfcompress.profiling",
        description="Size, latency, memory and operations of .tflite files.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE.tflite")
    add("--threads", default="1", type=_counts, help="thread counts, for example 1,2,4")
    add("--runtime", default="auto", help="auto, litert, tflite_runtime or tensorflow")
    add("--runs", default="auto", help="timed runs of each; auto: until the median is stable")
    add("--no-ops", action="store_true", help="no times of single operations")
    add("--data", help=".npz with x and y (or x_test and y_test) to score the files on")
    metrics = "accuracy, top5, mse, mae, auc, or a Keras metric's name"
    add("--metric", default="accuracy", help=metrics)
    keep_going = "note a file that does not run or fit the data, and go on"
    add("--keep-going", action="store_true", help=keep_going)
    add("--json", action="store_true", help="print JSON")
    return parser


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a file: its profile and, with data, its score."""
    data = _read(options.data) if options.data else None
    profiles = profile_many(
        options.files,
        threads=options.threads,
        runtime=options.runtime,
        runs=options.runs if options.runs == "auto" else int(options.runs),
        ops=not options.no_ops,
        on_error="note" if options.keep_going else "raise",
    )
    rows: list[dict[str, Any]] = [{"profile": profile} for profile in profiles]
    for file, row in zip(options.files, rows):
        if data is not None and row["profile"].init_ms is not None:
            row |= _scored(file, data, options)
    return rows


def _scored(file: str, data: tuple[Array, Array], options: argparse.Namespace) -> dict[str, Any]:
    """The file's score, or, with --keep-going, why it has none."""
    row: dict[str, Any] = {"metric": options.metric}
    try:
        row["score"] = evaluate(file, *data, metric=options.metric, runtime=options.runtime)
    except TfcompressError as error:
        if not options.keep_going:
            raise
        row |= {"score": None, "error": str(error)}
    return row


def _score_in_words(score: float | Mapping[str, Any]) -> str:
    """One number, or "name number" for each output."""
    if isinstance(score, Mapping):
        return "  ".join(f"{name} {_score_in_words(value)}" for name, value in score.items())
    return f"{score:.4f}"


def _read(path: str) -> tuple[Array, Array]:
    """The arrays of a `.npz`."""
    try:
        arrays = np.load(path)
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path} as .npz: {error}") from error
    for names in (("x", "y"), ("x_test", "y_test")):
        if all(name in arrays for name in names):
            return arrays[names[0]], arrays[names[1]]
    raise DataError(
        f"{path} has the arrays {list(arrays)}; x and y, or x_test and y_test, are expected."
    )


def _counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of thread counts such as 1,2,4"
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())
