"""compare(): finished files side by side; needs an interpreter and NumPy, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcompress._backend.interpreter._interpreter import check_file
from tfcompress._study._about import about
from tfcompress._study._contents import layers
from tfcompress._study._measure import check_evaluate, labels_of, measured, scored, warn_of
from tfcompress.core import Artifact, ArtifactError, RecipeError, TfcompressError
from tfcompress.core._verdict import with_warnings
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
    known = [_artifact(file) for file in files]
    labels = list(names) if names is not None else _labels(files, known)
    if not files or len(labels) != len(files) or len(set(labels)) < len(labels):
        raise RecipeError(
            f"compare() needs files and one name of its own for each; got {len(files)} files, names {labels}."
        )
    if base is not None and base not in labels:
        raise RecipeError(f"base={base!r} is none of the files; there are: {', '.join(labels)}.")
    if evaluate is not None:
        check_evaluate(evaluate)
    rows: list[dict[str, Any]] = []
    for file, label, artifact in zip(files, labels, known):
        row: dict[str, Any] = {
            "recipe": label,
            "seed": artifact.about.get("seed") if artifact else None,
        }
        if artifact:
            row |= {key: artifact.to_dict()[key] for key in ("skipped", "checks")}
        row["made"] = {"file": "in memory" if isinstance(file, Artifact) else str(file)}
        row |= _tried(file)
        if "error" not in row:
            row["layers"] = (
                layers(artifact.data, artifact.model)
                if artifact
                else layers(Path(str(file)).read_bytes())
            )
        rows.append(row)
    rows = measured(
        rows,
        [None if "error" in row else file for row, file in zip(rows, files)],
        threads=threads,
        runtime=runtime,
    )
    for row, file in zip(rows, files):
        if evaluate is not None and "error" not in row:
            try:
                row |= scored(file, evaluate, metric, runtime)
            except (TfcompressError, ValueError, RuntimeError) as error:
                row["error"] = f"{type(error).__name__}: {error}"
    first = [metric] if evaluate is not None else []
    rows = [
        {key: row[key] for key in (*("recipe", "seed"), *first, *row) if key in row} for row in rows
    ]
    rows = with_warnings(rows, metric, base or labels[0], labels_of(evaluate))
    report = Report(
        rows,
        title,
        about(metric, base or labels[0], evaluate, threads=list(threads), runtime=runtime),
    )
    warn_of(report)
    return report


def _tried(file: Any) -> dict[str, str]:
    try:
        check_file(file.data if isinstance(file, Artifact) else file)
    except (TfcompressError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def _artifact(file: Any) -> Artifact | None:
    """The artifact that `file` is or was saved with; None for any other file."""
    if isinstance(file, Artifact):
        return file
    try:
        return Artifact.load(file)
    except (ArtifactError, RecipeError):
        return None


def _labels(files: list[Any], known: list[Artifact | None]) -> list[str]:
    """The recipe's name where it is known and its only one, else the file's stem, with its folder or a number if that is taken."""
    recipes = [artifact.name if artifact else "" for artifact in known]
    stems = [
        recipe if isinstance(file, Artifact) else Path(file).stem
        for file, recipe in zip(files, recipes)
    ]
    found = [
        recipe if recipe and recipes.count(recipe) == 1 else stem
        for recipe, stem in zip(recipes, stems)
    ]
    twice = {name for name in found if found.count(name) > 1}
    for i, file in enumerate(files):
        if found[i] in twice and not isinstance(file, Artifact):
            found[i] = f"{Path(file).parent.name}/{found[i]}"
    return [
        name if name not in found[:i] else f"{name} ({found[:i].count(name) + 1})"
        for i, name in enumerate(found)
    ]
