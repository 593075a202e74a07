"""What a visitor can run: the files of a study's folder, or files named one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcompress._study import compare
from tfcompress._study._formats import file_hash
from tfcompress.core import ArtifactError, DataError
from tfcompress.core._types import Data
from tfcompress.report import Report

KEY_DIGITS = 16
REPORT = "report.json"


@dataclass(frozen=True)
class Served:
    """One file: `key` stands for it in addresses, `name` for people; `sha256` is of its bytes."""

    key: str
    name: str
    path: Path
    sha256: str
    size_bytes: int


class Catalogue:
    """The files and the report they come from.

    Args:
        report: gives the report as it is now.
        files: by key.
        folder: where what visitors measure is kept.
    """

    def __init__(self, report: Source, files: Mapping[str, Served], folder: Path) -> None:
        self._report, self.files, self.folder = report, dict(files), folder

    def report(self) -> Report:
        """The report as it is now: a study that still runs writes it anew."""
        return self._report.read()

    def of(self, key: str) -> Served | None:
        """The file of that key; None where there is none."""
        return self.files.get(key)

    def by_hash(self) -> dict[str, Served]:
        """SHA-256 → file."""
        return {file.sha256: file for file in self.files.values()}


@dataclass(frozen=True)
class Source:
    """Where a report comes from: a folder that a study writes to, or one that was measured here."""

    folder: Path | None = None
    measured: Report | None = None

    def read(self) -> Report:
        """The report; ArtifactError where the folder has none."""
        if self.measured is not None:
            return self.measured
        assert self.folder is not None
        return Report.from_json(self.folder / REPORT)


def of_folder(folder: Path, out: Path | None = None) -> Catalogue:
    """The files of the study in `folder`; measurements are kept in `out` or `folder`/browser.

    Raises ArtifactError where `folder` has no report.json, or none of its files is there.
    """
    if not (folder / REPORT).exists():
        raise ArtifactError(
            f"{folder} has no {REPORT}; give the folder of a study (its command, given again, "
            "writes one without doing any cell anew), or .tflite files."
        )
    source = Source(folder=folder)
    rows = [row for row in source.read().rows if not row.get("error")]
    several = len({row.get("seed") for row in rows}) > 1
    files: list[Served] = []
    for row in rows:
        name = f"{row['recipe']}, seed {row['seed']}" if several else row["recipe"]
        file = _of_row(folder, name, row)
        if file is not None:
            files.append(file)
    if not files:
        raise ArtifactError(f"{folder} has a report, but none of the files that it names.")
    return Catalogue(source, _by_key(files), out or folder / "browser")


def of_files(
    paths: Sequence[Path],
    out: Path,
    *,
    evaluate: Data | None = None,
    metric: str = "accuracy",
    threads: Sequence[int] = (1,),
) -> Catalogue:
    """`.tflite` files, measured on this host first as `compare` does.

    Raises DataError without files, and ArtifactError where none of them runs.
    """
    if not paths:
        raise DataError("Nothing to serve: give a study's folder or .tflite files.")
    report = compare(
        [str(path) for path in paths],
        evaluate=evaluate,
        metric=metric,
        threads=threads,
        title="tfcompress serve",
    )
    files: list[Served] = []
    rows: list[dict[str, Any]] = []
    for path, row in zip(paths, report.rows):
        if row.get("error"):
            rows.append(dict(row))
            continue
        file = _served(row["recipe"], path)
        rows.append({**row, "made": {**row.get("made", {}), "sha256": file.sha256}})
        files.append(file)
    if not files:
        errors = "; ".join(str(row["error"]) for row in report.rows)
        raise ArtifactError(f"None of the files runs here: {errors}")
    measured = Report(rows, report.title, report.about)
    return Catalogue(Source(measured=measured), _by_key(files), out)


def _of_row(folder: Path, name: str, row: Mapping[str, Any]) -> Served | None:
    """The file that a row names, where it is there and the one that was measured."""
    made = row.get("made") or {}
    stem = str(made.get("file", ""))
    path = folder / Path(stem).name
    if not stem or not path.is_file():
        return None
    file = _served(name, path)
    return file if file.sha256 == made.get("sha256") else None


def _served(name: str, path: Path) -> Served:
    digest = file_hash(path)
    return Served(digest[:KEY_DIGITS], name, path.resolve(), digest, path.stat().st_size)


def _by_key(files: Sequence[Served]) -> dict[str, Served]:
    """Files of the same bytes are one: the first name stays."""
    kept: dict[str, Served] = {}
    for file in files:
        kept.setdefault(file.key, file)
    return kept
