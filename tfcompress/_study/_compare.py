"""compare(): finished files side by side; needs an interpreter and NumPy, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfcompress._backend.interpreter._interpreter import check_file
from tfcompress._study._about import about
from tfcompress._study._contents import layers
from tfcompress._study._formats import Row
from tfcompress._study._measure import (
    File,
    check_evaluate,
    labels_of,
    measured,
    on_devices,
    require_devices,
    scored,
    warn_of,
)
from tfcompress.core import Artifact, ArtifactError, Device, RecipeError, TfcompressError
from tfcompress.core._types import Data
from tfcompress.core._verdict import with_warnings
from tfcompress.report import Report


def compare(
    files: Sequence[File],
    *,
    evaluate: Data | None = None,
    metric: str = "accuracy",
    threads: Sequence[int] = (1,),
    batches: Sequence[int] = (),
    runtime: str = "auto",
    names: Sequence[str] | None = None,
    base: str | None = None,
    on: Sequence[Device] = (),
    title: str = "tfcompress compare",
) -> Report:
    """Measure several `.tflite` alike and report them side by side.

    A file that cannot be read or run becomes a row with its error, and the rest completes.

    Args:
        files: paths or Artifacts.
        evaluate: x [n, ...], y [n, ...] of a test set, or a data set of batches; without it there
            is no accuracy.
        metric: a Keras metric's name.
        threads: thread counts to measure latency at, interleaved over all files.
        batches: batch sizes to measure samples a second at; none unless asked for.
        runtime: the interpreter that runs the files.
        names: one a file; without them, recipe or file names.
        base: the name that the others are held against; without it, the first.
        on: devices of `tfcompress.devices`, measured beside this host: their columns say which. A
            file that one cannot run has a warning that says why.
        title: the report's.

    Raises:
        RecipeError: no file, names that do not fit or repeat, an unknown `base`.
        DataError: test data that do not fit.
        InterpreterError: what measures a device is not installed.
    """
    require_devices(on)
    files = list(files)
    artifacts = [_artifact(file) for file in files]
    labels = list(names) if names is not None else _labels(files, artifacts)
    base = _checked_base(files, labels, base)
    if evaluate is not None:
        check_evaluate(evaluate)
    rows = [_row(file, label, one) for file, label, one in zip(files, labels, artifacts)]
    sound = [None if "error" in row else file for row, file in zip(rows, files)]
    rows = measured(rows, sound, threads=threads, runtime=runtime, batches=batches)
    if evaluate is not None:
        rows = [_scored(row, file, evaluate, metric, runtime) for row, file in zip(rows, files)]
    rows = on_devices(rows, sound, on)
    rows = with_warnings(rows, metric, base, labels_of(evaluate))
    facts = about(metric, base, evaluate, threads=list(threads), runtime=runtime)
    report = Report(rows, title, facts)
    warn_of(report)
    return report


def _checked_base(files: Sequence[File], labels: Sequence[str], base: str | None) -> str:
    """The base's name; RecipeError where names or base do not fit the files."""
    if not files or len(labels) != len(files) or len(set(labels)) < len(labels):
        raise RecipeError(
            f"compare() needs files and one name of its own for each; got {len(files)} files, "
            f"names {labels}."
        )
    if base is not None and base not in labels:
        raise RecipeError(f"base={base!r} is none of the files; there are: {', '.join(labels)}.")
    return base or labels[0]


def _row(file: File, label: str, artifact: Artifact | None) -> Row:
    """What is known of a file before anything is measured."""
    row: Row = {"recipe": label, "seed": None}
    if artifact is not None:
        content = artifact.to_dict()
        row["seed"] = artifact.about.get("seed")
        row |= {"skipped": content["skipped"], "checks": content["checks"]}
        if artifact.about.get("training"):
            row["training"] = artifact.about["training"]
    row["made"] = {"file": "in memory" if isinstance(file, Artifact) else str(file)}
    try:
        check_file(file.data if isinstance(file, Artifact) else file)
        row["layers"] = _layers(file, artifact)
    except (TfcompressError, OSError) as error:
        row["error"] = f"{type(error).__name__}: {error}"
    return row


def _layers(file: File, artifact: Artifact | None) -> list[Row]:
    if artifact is not None:
        return layers(artifact.data, artifact.model)
    return layers(Path(str(file)).read_bytes())


def _scored(row: Row, file: File, evaluate: Data, metric: str, runtime: str) -> Row:
    """A row with its metric in front of the other columns, or the error of measuring it."""
    if "error" in row:
        return row
    try:
        scores = scored(file, evaluate, metric, runtime)
    except (TfcompressError, ValueError, RuntimeError) as error:
        return {**row, "error": f"{type(error).__name__}: {error}"}
    first = {name: {**row, **scores}[name] for name in ("recipe", "seed", metric)}
    return {**first, **row, **scores}


def _artifact(file: File) -> Artifact | None:
    """The artifact that `file` is or was saved with; None for any other file."""
    if isinstance(file, Artifact):
        return file
    try:
        return Artifact.load(file)
    except ArtifactError:
        return None


def _labels(files: Sequence[File], artifacts: Sequence[Artifact | None]) -> list[str]:
    """A name for every file.

    It is the recipe's name where that is known and the only one, else the file's stem, with its
    folder or a number if that is taken.
    """
    recipes = [artifact.name if artifact else "" for artifact in artifacts]
    labels = []
    for file, recipe in zip(files, recipes):
        own = recipe and recipes.count(recipe) == 1
        labels.append(recipe if own or isinstance(file, Artifact) else Path(file).stem)
    taken = {label for label in labels if labels.count(label) > 1}
    for index, file in enumerate(files):
        if labels[index] in taken and not isinstance(file, Artifact):
            labels[index] = f"{Path(file).parent.name}/{labels[index]}"
    return [_numbered(label, labels[:index]) for index, label in enumerate(labels)]


def _numbered(label: str, before: Sequence[str]) -> str:
    return f"{label} ({before.count(label) + 1})" if label in before else label
