"""`python -m tfcompress.profiling FILE.tflite …`: the profile without anything but NumPy and an interpreter.

With --data FILE.npz (arrays x and y, or x_test and y_test) also the score on those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfcompress.core import DataError, TfcompressError
from tfcompress.profiling import evaluate, profile_many


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, print the profiles, return the exit status: 0, or 1 after one line on what went wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tfcompress.profiling",
        description="Size, latency, memory and operations of .tflite files.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE.tflite")
    parser.add_argument(
        "--threads", default="1", type=_counts, help="thread counts, for example 1,2,4"
    )
    parser.add_argument(
        "--runtime", default="auto", help="auto, litert, tflite_runtime or tensorflow"
    )
    parser.add_argument(
        "--runs", default="auto", help="timed runs of each; auto: until the median is stable"
    )
    parser.add_argument("--no-ops", action="store_true", help="no times of single operations")
    parser.add_argument(
        "--data", help=".npz with x and y (or x_test and y_test) to score the files on"
    )
    parser.add_argument(
        "--metric",
        default="accuracy",
        help="accuracy, top5, mse, mae, auc, or a Keras metric's name",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="note a file that does not run or fit the data, and go on",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
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
            print(
                f"  {row['metric']}  {row['error'] if row['score'] is None else format(row['score'], '.4f')}"
            )
    return 0


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    data = _read(options.data) if options.data else None
    profiles = profile_many(
        options.files,
        threads=options.threads,
        runtime=options.runtime,
        runs=options.runs if options.runs == "auto" else int(options.runs),
        ops=not options.no_ops,
        on_error="note" if options.keep_going else "raise",
    )
    rows: list[dict[str, Any]] = [{"profile": found} for found in profiles]
    for file, row in zip(options.files, rows):
        if data is not None and row["profile"].init_ms is not None:
            try:
                row |= {
                    "metric": options.metric,
                    "score": evaluate(file, *data, metric=options.metric, runtime=options.runtime),
                }
            except TfcompressError as error:
                if not options.keep_going:
                    raise
                row |= {"metric": options.metric, "score": None, "error": str(error)}
    return rows


def _read(path: str) -> tuple[np.ndarray, np.ndarray]:
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
