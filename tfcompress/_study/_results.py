"""A study file's results as Markdown: what was printed beside what is measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfcompress._backend.progress import duration
from tfcompress._study._spec import COLUMNS
from tfcompress.core import LATENCY, RecipeError, column
from tfcompress.report import Report

PRINTED = ("accuracy", "base", "size", "size_bytes", "latency_ms")
NAMED_VERSIONS = ("tensorflow", "keras", "ai-edge-litert")
MINUS = "−"

Line = Mapping[str, Any]
"""A recipe's means over seeds, or the numbers that a report printed of it."""


def results(spec: Mapping[str, Any], reports: Mapping[str, Report], command: str) -> str:
    """The page of a study file: title, notes, how it was made, and a table for each model.

    Args:
        spec: the study file. `printed` in it: recipe → accuracy (%), base (the accuracy it is
            held against, if another than the base's), size_bytes or size (as words), latency_ms
            (one number a thread count).
        reports: model → its report.
        command: what makes the page.

    Raises:
        RecipeError: for a printed recipe that the model's study does not have.
    """
    lines = [
        f"# {spec.get('title', 'A study')}",
        "",
        "Made by the command, not by hand:",
        "",
        f"```bash\n{command}\n```",
        "",
        _how_it_was_made(spec, reports),
        "",
        *spec.get("notes", "").strip().splitlines(),
    ]
    for name, report in reports.items():
        lines += _model_section(spec, name, report)
    return "\n".join(lines) + "\n"


def _how_it_was_made(spec: Mapping[str, Any], reports: Mapping[str, Report]) -> str:
    """One paragraph: date, machine, versions, duration, and what the columns mean."""
    first = next(iter(reports.values())).about
    machine, versions = first.get("machine", {}), first.get("versions", {})
    kept = ", ".join(f"{name} {versions[name]}" for name in NAMED_VERSIONS if name in versions)
    rows = [row for report in reports.values() for row in report.rows]
    seconds = sum(row.get("made", {}).get("seconds", 0) for row in rows)
    text = (
        f"{first['created'][:10]}; {machine.get('cpu', 'CPU')}, {machine.get('cores', '?')} cores; "
        f"{kept}. {len(rows)} cells took {duration(seconds)} beside their bases and what they "
        "share. Accuracy: mean ± standard deviation over seeds, of the `.tflite` on the test "
        "images. Change: points against the base on the same images, with its 95 % interval. "
        "Size and download: the file's bytes, plain and gzipped, and how many times smaller than "
        "the base's."
    )
    if spec.get("columns"):
        text += " All further columns: of the file, and their share of the base's."
    return text


def _model_section(spec: Mapping[str, Any], name: str, report: Report) -> list[str]:
    """A model's head, sizes, tables and failed cells."""
    printed = printed_of(spec, name, report)
    table = _table(report, printed, spec.get("columns", ()))
    lines = ["", f"## {name}", "", _sizes(spec, name, report), "", *table]
    if any(len(points) > 1 for points in report.latency_by_threads().values()):
        in_brackets = any("latency_ms" in numbers for numbers in printed.values())
        head = "Latency in ms (median) by threads"
        if in_brackets:
            head += " (printed in brackets)"
        lines += ["", head, "", *_latency(report, printed)]
    failed = [row for row in report.rows if row.get("error")]
    if failed:
        lines.append("")
    for row in failed:
        lines.append(f"- {row['recipe']}, seed {row['seed']}: {row['error'].splitlines()[0]}")
    return lines


def printed_of(spec: Mapping[str, Any], name: str, report: Report) -> dict[str, dict[str, Any]]:
    """What was printed for that model, by recipe; RecipeError for what the study does not have."""
    printed = spec["models"][name].get("printed", spec.get("printed", {}))
    for recipe, numbers in printed.items():
        if recipe not in report.recipes() or not set(numbers) <= set(PRINTED):
            raise RecipeError(
                f"printed {recipe!r} = {numbers} of {name}: expected {', '.join(PRINTED)} of one "
                f"of its recipes: {', '.join(report.recipes())}."
            )
    return printed


def _sizes(spec: Mapping[str, Any], name: str, report: Report) -> str:
    """One line: the network, images, epochs and seeds."""
    model = spec["models"][name]
    data = {**spec.get("data", {}), **model.get("data", {})}
    train = {**spec.get("train", {}), **model.get("train", {})}
    fit = {**spec.get("fit", {}), **model.get("fit", {})}
    options = "".join(f", {key} {value}" for key, value in model.get("options", {}).items())
    network = f"`{model.get('zoo', model.get('file'))}`{options}"
    if "distill" in train:
        network += f", distilled from {train['distill']['teacher']}"
    count = f"{data['train']:,}" if "train" in data else "all"
    images = f"{count} training images of {data['name']}"
    tests = f"{report.about.get('test_examples', 0):,} test images"
    epochs = (
        f"up to {train.get('epochs', 10)} epochs for the base, "
        f"{fit.get('epochs', 3)} for each technique"
    )
    seeds = _counted(len({row["seed"] for row in report.rows}), "seed")
    return f"{network}; {images}, {tests}; {epochs}; {seeds}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table(report: Report, printed: Mapping[str, Line], more: Sequence[str]) -> list[str]:
    metric = report.metric
    heads = ["recipe", f"{metric} here", "change here", "size here", "download here"]
    heads += [COLUMNS[name] for name in more]
    if printed:
        heads += [f"{metric} printed", "change printed", "size printed"]
    table = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    lines = {line["recipe"]: line for line in report.summary()}
    base = lines.get(report.base or "", {})
    for name, line in lines.items():
        if "error" in line:
            table.append(f"| {name} | failed |" + " |" * (len(heads) - 2))
            continue
        cells = [name, *_measured_cells(report, line, base)]
        cells += [_share(line, base, column_name) for column_name in more]
        if printed:
            reference = None if name == report.base else printed.get(report.base or "", {})
            cells += _printed_cells(printed.get(name, {}), reference)
        table.append("| " + " | ".join(cells) + " |")
    return table


def _measured_cells(report: Report, line: Line, base: Line) -> list[str]:
    """Metric, change against the base, size and download of one recipe."""
    factor = 100 if "accuracy" in report.metric else 1
    difference = report.difference(line["recipe"]) if line["recipe"] != report.base else None
    change = ""
    if difference:
        mean, low, high = (
            _signed(100 * value) for value in (difference.mean, difference.low, difference.high)
        )
        change = f"{mean} [{low}, {high}]"
    sizes = [_bytes(line, base, name) for name in ("size_bytes", "gzip_bytes")]
    return [_number(line, report.metric, factor), change, *sizes]


def _printed_cells(numbers: Line, base: Line | None) -> list[str]:
    """Accuracy, change and size as they were printed; `base` is None for the base itself."""
    accuracy, change = "", ""
    if "accuracy" in numbers:
        accuracy = f"{numbers['accuracy']:.2f}"
        before = None if base is None else numbers.get("base", base.get("accuracy"))
        change = "" if before is None else _signed(numbers["accuracy"] - before)
    size = numbers.get("size", "")
    if "size_bytes" in numbers:
        size = size or f"{numbers['size_bytes']:,}"
        if base and "size_bytes" in base:
            size += f", {base['size_bytes'] / numbers['size_bytes']:.2f}×"
    return [accuracy, change, size]


def _latency(report: Report, printed: Mapping[str, Line]) -> list[str]:
    by_threads = report.latency_by_threads()
    counts = sorted({count for points in by_threads.values() for count in points})
    heads = " | ".join(_counted(count, "thread") for count in counts)
    table = [f"| recipe | {heads} |", "|---|" + "--:|" * len(counts)]
    for name, points in by_threads.items():
        numbers = printed.get(name, {}).get("latency_ms", ())
        cells = []
        for index, count in enumerate(counts):
            cell = f"{points[count]:.3f}" if count in points else ""
            if cell and index < len(numbers):
                cell += f" ({numbers[index]:g})"
            cells.append(cell)
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    return table


def _number(line: Mapping[str, Any], column: str, factor: float) -> str:
    if column not in line:
        return ""
    spread = f" ± {factor * line[column + '_std']:.2f}" if column + "_std" in line else ""
    return f"{factor * line[column]:.2f}{spread}"


def _bytes(line: Mapping[str, Any], base: Mapping[str, Any], column: str) -> str:
    if column not in line:
        return ""
    text = f"{line[column]:,.0f}"
    return text + (
        f", {base[column] / line[column]:.2f}×" if base.get(column) and base is not line else ""
    )


def _share(line: Mapping[str, Any], base: Mapping[str, Any], name: str) -> str:
    """A column's number, and its share of the base's."""
    value, base_value = column(name).value(line), column(name).value(base)
    if value is None:
        return ""
    text = f"{value:.3f}" if name == LATENCY.name else f"{value:,.0f}"
    if base_value and base["recipe"] != line["recipe"]:
        return f"{text}, {value / base_value:.0%}"
    return text


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)
