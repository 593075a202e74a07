"""`cost`, `profile`, `compare`, `micro`: what a model costs, and what files do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output

if TYPE_CHECKING:
    from tfcompress.core import Profile
    from tfcompress.report import Difference, Report

ProfiledFiles = Annotated[
    list[Path], typer.Argument(help=".tflite files; several are measured interleaved.")
]
MicroFile = Annotated[Path, typer.Argument(help="A .tflite file.")]
Margin = Annotated[
    float, typer.Option(min=0.0, help="Of the arena, above what was measured; 0.2 is 20 %.")
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
    batches: _options.Batches = "",
    runtime: _options.Runtime = "auto",
    device: _options.Devices = None,
    as_json: _options.Json = False,
) -> None:
    """Size, latency by threads, memory and time per operation of .tflite files, on any device."""
    from tfcompress.profiling import profile_many

    counts = _inputs.thread_counts(threads)
    if device:
        _print_profiles(_profiles_on(files, device), as_json)
        return
    profiles = profile_many(
        [str(file) for file in files],
        threads=counts,
        batches=_inputs.counts_or_none(batches, "--batches"),
        runtime=runtime,
    )
    _print_profiles(profiles, as_json)


def _profiles_on(files: Sequence[Path], names: Sequence[str]) -> list[Profile]:
    """A profile of every file on every device of these names."""
    from tfcompress.devices import by_name
    from tfcompress.profiling import profile

    on = [by_name(name) for name in names]
    return [one for file in files for one in profile(str(file), on=on)]


def _print_profiles(profiles: Sequence[Profile], as_json: bool) -> None:
    """All of them; the exit status is 1 where a device refuses a file."""
    if as_json:
        _output.print_json([item.to_dict() for item in profiles])
    else:
        typer.echo("\n\n".join(str(item) for item in profiles))
    if any(item.refusal for item in profiles):
        raise typer.Exit(1)


def micro(
    file: MicroFile,
    out: _options.Out = Path("kit"),
    margin: Margin = 0.2,
    overwrite: _options.Overwrite = False,
) -> None:
    """What a firmware needs of a .tflite: C array, operators, arena, quantization, test vector."""
    from tfcompress.devices import write_kit

    _output.require_folder(out)
    for path in write_kit(str(file), out, margin=margin, overwrite=overwrite):
        typer.echo(f"wrote {path}", err=True)


def compare(
    files: ComparedFiles,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    metric: _options.Metric = "accuracy",
    max_bytes: _options.MaxBytes = "",
    threads: _options.Threads = "1",
    batches: _options.Batches = "",
    runtime: _options.Runtime = "auto",
    device: _options.Devices = None,
    html: _options.Html = None,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Compare .tflite files: accuracy on test data, size, latency, and which one to take."""
    from tfcompress._study import compare as measure
    from tfcompress.devices import by_name

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
        batches=_inputs.counts_or_none(batches, "--batches"),
        runtime=runtime,
        on=[by_name(name) for name in device or ()],
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
