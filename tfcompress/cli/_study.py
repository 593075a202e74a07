"""What `study` does: carry out a study file, tell how far it is, print its tables, and write the results beside what was printed."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path

import typer

from tfcompress.cli._loading import load_tensorflow

COLUMNS = ("accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50")


def run(
    path: Path,
    out: Path | None,
    full: bool,
    seeds: int | None,
    models: list[str] | None,
    n_jobs: int,
    results: Path | None,
    as_json: bool,
) -> None:
    """Run the study file at `path`; exit code 1 where a cell failed."""
    from tfcompress._study import study_file
    from tfcompress._study._from_file import chosen
    from tfcompress._study._results import results as told
    from tfcompress._study._spec import read_spec
    from tfcompress.core import write_all

    spec = read_spec(
        path, full=full
    )  # what is wrong in the file is said before TensorFlow is loaded
    chosen(spec, models)
    load_tensorflow()
    start = time.perf_counter()

    def tell(what: str, done: int, total: int) -> None:
        typer.echo(f"[{time.perf_counter() - start:5.0f} s, {done}/{total}] {what}", err=True)

    command = shlex.join(["tfcompress", *sys.argv[1:]])
    progress = None if sys.stderr.isatty() else tell
    options = {
        "out": out,
        "full": full,
        "seeds": seeds,
        "models": models,
        "n_jobs": n_jobs,
        "progress": progress,
    }
    reports = study_file(path, command=command, **options)
    if results is not None:
        write_all({results: told(spec, reports, command)}, overwrite=True)
        typer.echo(f"wrote {results}", err=True)
    if as_json:
        typer.echo(
            json.dumps(
                {name: list(report.rows) for name, report in reports.items()},
                indent=2,
                sort_keys=True,
                default=str,
            )
        )
    else:
        for name, report in reports.items():
            typer.echo(
                f"{name}\n\n{report.to_markdown([column for column in COLUMNS if column in report.columns()] or None)}"
            )
            if report.recommend().recipe:
                typer.echo(f"{report.recommend()}\n")
    if any(row.get("error") for report in reports.values() for row in report.rows):
        raise typer.Exit(1)
