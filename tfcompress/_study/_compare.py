"""compare(): finished files side by side; needs an interpreter and NumPy, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcompress._backend.interpreter import check_file
from tfcompress._study._about import about
from tfcompress._study._measure import check_evaluate, measured, scored
from tfcompress.core import Artifact, RecipeError, TfcompressError
from tfcompress.report import Report


def compare(
    files: Sequence[Any],
    *,
    evaluate: tuple[Any, Any] | None = None,
    metric: str = "accuracy",
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    names: Sequence[str] | None = None,
    base: str | None = None,
    title: str = "tfcompress compare",
) -> Report:
    """Measure several `.tflite` (paths or Artifacts) alike and report them side by side.

    `evaluate`: x [n, ...], y [n, ...] of a test set, else no accuracy; `metric`: a Keras metric's name. `threads`: thread counts to
    measure latency at, interleaved over all files. `names`: one a file, else file or recipe names; `base`: the name that the others
    are held against, else the first. A file that cannot be read or run becomes a row with its error, and the rest completes.

    Raises RecipeError (no file, names that do not fit or repeat, unknown `base`) and DataError (test data).
    """
    files = list(files)
    labels = list(names) if names is not None else _labels(files)
    if not files or len(labels) != len(files) or len(set(labels)) < len(labels):
        raise RecipeError(f"compare() needs files and one name of its own for each; got {len(files)} files, names {labels}.")
    if base is not None and base not in labels:
        raise RecipeError(f"base={base!r} is none of the files; there are: {', '.join(labels)}.")
    if evaluate is not None:
        check_evaluate(evaluate)
    rows: list[dict[str, Any]] = []
    for file, label in zip(files, labels):
        row: dict[str, Any] = {"recipe": label, "seed": file.about.get("seed") if isinstance(file, Artifact) else None}
        if isinstance(file, Artifact):
            row |= {"skipped": file.to_dict()["skipped"], "checks": file.to_dict()["checks"]}
        row["made"] = {"file": label if isinstance(file, Artifact) else str(file)}
        rows.append(row | _tried(file))
    rows = measured(rows, [None if "error" in row else file for row, file in zip(rows, files)], threads=threads, runtime=runtime)
    for row, file in zip(rows, files):
        if evaluate is not None and "error" not in row:
            try:
                row |= scored(file, evaluate, metric, runtime)
            except (TfcompressError, ValueError, RuntimeError) as error:
                row["error"] = f"{type(error).__name__}: {error}"
    first = [metric] if evaluate is not None else []
    rows = [{key: row[key] for key in (*("recipe", "seed"), *first, *row) if key in row} for row in rows]
    return Report(rows, title, about(metric, base or labels[0], evaluate, threads=list(threads), runtime=runtime))


def _tried(file: Any) -> dict[str, str]:
    try:
        check_file(file.data if isinstance(file, Artifact) else file)
    except (TfcompressError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def _labels(files: list[Any]) -> list[str]:
    """Recipe names and file stems; where two are the same, the folder too, and then a number."""
    found = [file.name if isinstance(file, Artifact) else Path(file).stem for file in files]
    for i, file in enumerate(files):
        if found.count(found[i]) > 1 and not isinstance(file, Artifact):
            found[i] = f"{Path(file).parent.name}/{Path(file).stem}"
    return [name if name not in found[:i] else f"{name} ({found[:i].count(name) + 1})" for i, name in enumerate(found)]
