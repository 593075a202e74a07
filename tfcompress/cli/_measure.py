"""`cost`, `profile` and `compare`: what a model costs and what files do, measured alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output

if TYPE_CHECKING:
    from tfcompress.report import Difference, Report

ProfiledFiles = Annotated[
    list[Path], typer.Argument(help=".tflite files; several are measured interleaved.")
]
ComparedFiles = Annotated[list[Path], typer.Argument(help=".tflite files; the first is the base.")]


def cost(
    model: _options.ModelFile, trust: _options.Trust = False, as_json: _options.Json = False
) -> None:
    """Parameters, multiply-accumulates and activation memory of a model, by layer and in total."""
    from tfcompress import analysis

    total = analysis.cost(_inputs.read_model(model, trust=trust))
    if as_json:
        _output.print_json({**dataclasses.asdict(total), "unknown": total.unknown})
    else:
        typer.echo(str(total))


def profile(
    files: ProfiledFiles,
    threads: _options.Threads = "1",
    runtime: _options.Runtime = "auto",
    as_json: _options.Json = False,
) -> None:
    """Size, latency by threads, memory and time per operation of .tflite files."""
    from tfcompress.profiling import profile_many

    counts = _inputs.thread_counts(threads)
    profiles = profile_many([str(file) for file in files], threads=counts, runtime=runtime)
    if as_json:
        _output.print_json([item.to_dict() for item in profiles])
    else:
        typer.echo("\n\n".join(str(item) for item in profiles))


def compare(
    files: ComparedFiles,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    metric: _options.Metric = "accuracy",
    max_bytes: _options.MaxBytes = "",
    threads: _options.Threads = "1",
    runtime: _options.Runtime = "auto",
    html: _options.Html = None,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Compare .tflite files: accuracy on test data, size, latency, and which one to take."""
    from tfcompress._study import compare as measure

    counts, limit = _inputs.thread_counts(threads), _inputs.byte_count(max_bytes)
    _output.require_writable([html], overwrite=overwrite)
    evaluate = None
    if data:
        _inputs.require_data(data, "compare measures accuracy on test data")
        evaluate, _ = _inputs.test_data_for_file(data, files[0], scale)
    report = measure(
        [str(file) for file in files],
        evaluate=evaluate,
        metric=metric,
        threads=counts,
        runtime=runtime,
    )
    _output.warn(report.warnings())
    if as_json:
        _output.print_json(_rows(report, limit))
    else:
        typer.echo(_comparison(report, limit))
    if html is not None:
        report.to_html(html, overwrite=overwrite)
    if any(row.get("error") for row in report.rows):
        raise typer.Exit(1)


def _comparison(report: Report, max_bytes: float | None) -> str:
    """The table, the difference of every file to the base, and the file to take."""
    lines = [report.to_markdown()]
    for recipe, difference in _differences(report).items():
        lines.append(f"{recipe} against {report.base}: {difference}")
    choice = report.recommend(max_bytes=max_bytes)
    lines.append(f"Recommended: {choice.reason}" if choice.recipe else choice.reason)
    return "\n".join(lines)


def _differences(report: Report) -> dict[str, Difference]:
    """Recipe → its accuracy minus the base's on the same test images, where that is known."""
    others = [recipe for recipe in report.recipes() if recipe != report.base]
    differences = {recipe: report.difference(recipe) for recipe in others}
    return {recipe: known for recipe, known in differences.items() if known is not None}


def _rows(report: Report, max_bytes: float | None) -> list[dict[str, object]]:
    """The report's rows, each with its difference to the base and whether it is recommended."""
    differences = _differences(report)
    chosen = report.recommend(max_bytes=max_bytes).recipe
    rows: list[dict[str, object]] = []
    for row in report.rows:
        name = row["recipe"]
        more: dict[str, object] = {"recommended": name == chosen}
        if name in differences:
            more["difference"] = dataclasses.asdict(differences[name])
        rows.append({**row, **more})
    return rows
