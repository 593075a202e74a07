"""`study`: a study file carried out, its tables, and its results beside what was printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.cli._lines import step_lines

if TYPE_CHECKING:
    from tfcompress.report import Report

COLUMNS = ("accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50")

StudyFile = Annotated[
    Path,
    typer.Argument(help="A study file: models, data, recipes or a grid, seeds (docs/studies.md)."),
]
StudyOut = Annotated[
    Path | None,
    typer.Option(help="Folder for files and reports; default: studies/ and the file's name."),
]
Full = Annotated[bool, typer.Option("--full", help="Take the sizes of the file's [full] table.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="How many seeds, instead of the file's.")]
Models = Annotated[
    list[str] | None, typer.Option(help="Only this model of the file; may be given several times.")
]
Jobs = Annotated[int, typer.Option(help="Cells side by side; -1: one a core.")]
Results = Annotated[
    Path | None,
    typer.Option(help="Also write what was printed beside what is measured, as Markdown."),
]


def study(
    file: StudyFile,
    out: StudyOut = None,
    full: Full = False,
    seeds: Seeds = None,
    model: Models = None,
    n_jobs: Jobs = 1,
    results: Results = None,
    trust: _options.Trust = False,
    as_json: _options.Json = False,
) -> None:
    """Carry out a study file: recipes × seeds on one or more models.

    Stopped, it goes on where it was when the same command is given again.
    """
    from tfcompress._study import study_file
    from tfcompress._study._from_file import chosen
    from tfcompress._study._results import results as results_page
    from tfcompress._study._spec import read_spec

    spec = read_spec(file, full=full)
    chosen(spec, model)
    folder = out or Path("studies") / (f"{file.stem}-full" if full else file.stem)
    _output.require_folder(folder)
    _output.require_writable([results], overwrite=True)
    _inputs.load_tensorflow()
    command = shlex.join(["tfcompress", *sys.argv[1:]])
    kept = f"finished cells are kept in {folder}; the same command goes on from there"
    with _output.stopped_means(kept):
        reports = study_file(
            file,
            out=folder,
            full=full,
            seeds=seeds,
            models=model,
            n_jobs=n_jobs,
            progress=step_lines(),
            command=command,
            trusted=trust,
        )
    if results is not None:
        _output.write(results, results_page(spec, reports, command), overwrite=True)
    _show(reports, as_json=as_json)


def _show(reports: Mapping[str, Report], *, as_json: bool) -> None:
    """The reports as tables with their recommendations, or their rows as JSON.

    Exit code 1 where a cell failed.
    """
    for report in reports.values():
        _output.warn(report.warnings())
    if as_json:
        _output.print_json({name: list(report.rows) for name, report in reports.items()})
    else:
        for name, report in reports.items():
            _print(name, report)
    rows = [row for report in reports.values() for row in report.rows]
    if any(row.get("error") for row in rows):
        raise typer.Exit(1)


def _print(name: str, report: Report) -> None:
    columns = [column for column in COLUMNS if column in report.columns()]
    typer.echo(f"{name}\n\n{report.to_markdown(columns or None)}")
    choice = report.recommend()
    if choice.recipe:
        typer.echo(f"{choice}\n")
