"""A study file's results as Markdown: what was printed beside what is measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfcompress._backend.progress import duration
from tfcompress._study._spec import COLUMNS
from tfcompress.core import LATENCY, RecipeError, column
from tfcompress.report import Report

PRINTED = ("accuracy", "base", "size", "size_bytes", "latency_ms")
MINUS = "−"


def results(spec: Mapping[str, Any], reports: Mapping[str, Report], command: str) -> str:
    """Title, the file's `notes`, how it was made, and for each model a table of printed and measured numbers, each against its base.

    `printed` in the file: recipe → accuracy (%), base (the accuracy it is held against, if another than the base's), size_bytes or
    size (as words), latency_ms (one number a thread count).
    Raises RecipeError for a printed recipe that the model's study does not have.
    """
    first = next(iter(reports.values())).about
    machine, versions = first.get("machine", {}), first.get("versions", {})
    kept = ", ".join(
        f"{name} {versions[name]}"
        for name in ("tensorflow", "keras", "ai-edge-litert")
        if name in versions
    )
    seconds = sum(
        row.get("made", {}).get("seconds", 0) for report in reports.values() for row in report.rows
    )
    cells = sum(len(report) for report in reports.values())
    lines = [
        f"# {spec.get('title', 'A study')}",
        "",
        "Made by the command, not by hand:",
        "",
        f"```bash\n{command}\n```",
        "",
        f"{first['created'][:10]}; {machine.get('cpu', 'CPU')}, {machine.get('cores', '?')} cores; {kept}. "
        f"{cells} cells took {duration(seconds)} beside their bases and what they share. Accuracy: mean ± standard deviation over seeds, "
        "of the `.tflite` on the test images. Change: points against the base on the same images, with its 95 % interval. "
        "Size and download: the file's bytes, plain and gzipped, and how many times smaller than the base's."
        + (
            " All further columns: of the file, and their share of the base's."
            if spec.get("columns")
            else ""
        ),
        "",
        *(spec["notes"].strip().splitlines() if spec.get("notes") else ()),
    ]
    for name, report in reports.items():
        printed = printed_of(spec, name, report)
        lines += [
            "",
            f"## {name}",
            "",
            _sizes_told(spec, name, report),
            "",
            *_table(report, printed, spec.get("columns", ())),
        ]
        if any(len(points) > 1 for points in report.latency_by_threads().values()):
            lines += [
                "",
                "Latency in ms (median) by threads" + _printed_told(printed),
                "",
                *_latency(report, printed),
            ]
        failed = [row for row in report.rows if row.get("error")]
        if failed:
            lines += [
                "",
                *(
                    f"- {row['recipe']}, seed {row['seed']}: {row['error'].splitlines()[0]}"
                    for row in failed
                ),
            ]
    return "\n".join(lines) + "\n"


def printed_of(spec: Mapping[str, Any], name: str, report: Report) -> dict[str, dict[str, Any]]:
    """What the report printed for that model, by recipe; RecipeError for what the study does not have."""
    printed = spec["models"][name].get("printed", spec.get("printed", {}))
    for recipe, numbers in printed.items():
        if recipe not in report.recipes() or not set(numbers) <= set(PRINTED):
            have = ", ".join(report.recipes())
            raise RecipeError(
                f"printed {recipe!r} = {numbers} of {name}: expected {', '.join(PRINTED)} of one of its recipes: {have}."
            )
    return printed


def _sizes_told(spec: Mapping[str, Any], name: str, report: Report) -> str:
    model = spec["models"][name]
    data = {**spec.get("data", {}), **model.get("data", {})}
    what = f"`{model.get('zoo', model.get('file'))}`" + "".join(
        f", {key} {value}" for key, value in model.get("options", {}).items()
    )
    train = {**spec.get("train", {}), **model.get("train", {})}
    seeds = len({row["seed"] for row in report.rows})
    images = (
        f"{data['train']:,} training images of {data['name']}"
        if "train" in data
        else f"all training images of {data['name']}"
    )
    taught = f", distilled from {train['distill']['teacher']}" if "distill" in train else ""
    tests = f"{report.about.get('test_examples', 0):,} test images"
    fit = {**spec.get("fit", {}), **model.get("fit", {})}
    epochs = f"up to {train.get('epochs', 10)} epochs for the base, {fit.get('epochs', 3)} for each technique"
    return f"{what}{taught}; {images}, {tests}; {epochs}; {seeds} seed{'s' * (seeds > 1)}."


def _table(report: Report, printed: Mapping[str, Any], more: Sequence[str]) -> list[str]:
    metric, lines = report.metric, {line["recipe"]: line for line in report.summary()}
    base, old = lines.get(report.base or "", {}), printed.get(report.base or "", {})
    share = 100 if "accuracy" in metric else 1
    heads = [
        "recipe",
        f"{metric} here",
        "change here",
        "size here",
        "download here",
        *(COLUMNS[column] for column in more),
    ]
    heads += [f"{metric} printed", "change printed", "size printed"] if printed else []
    out = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    for name, line in lines.items():
        if "error" in line:
            out.append(f"| {name} | failed |" + " |" * (len(heads) - 2))
            continue
        difference = report.difference(name) if name != report.base else None
        cells = [name, _number(line, metric, share)]
        cells.append(
            f"{_signed(100 * difference.mean)} [{_signed(100 * difference.low)}, {_signed(100 * difference.high)}]"
            if difference
            else ""
        )
        cells += [_bytes(line, base, column) for column in ("size_bytes", "gzip_bytes")]
        cells += [_share(line, base, name) for name in more]
        if printed:
            said = printed.get(name, {})
            cells.append(f"{said['accuracy']:.2f}" if "accuracy" in said else "")
            before = said.get("base", old.get("accuracy"))
            both = "accuracy" in said and before is not None and name != report.base
            cells.append(_signed(said["accuracy"] - before) if both else "")
            size = said.get("size") or (f"{said['size_bytes']:,}" if "size_bytes" in said else "")
            if "size_bytes" in said and "size_bytes" in old and name != report.base:
                size += f", {old['size_bytes'] / said['size_bytes']:.2f}×"
            cells.append(size)
        out.append("| " + " | ".join(cells) + " |")
    return out


def _latency(report: Report, printed: Mapping[str, Any]) -> list[str]:
    by_threads = report.latency_by_threads()
    counts = sorted({n for points in by_threads.values() for n in points})
    out = [
        "| recipe | " + " | ".join(f"{n} thread{'s' * (n > 1)}" for n in counts) + " |",
        "|---|" + "--:|" * len(counts),
    ]
    for name, points in by_threads.items():
        said = printed.get(name, {}).get("latency_ms", ())
        cells = [
            f"{points[n]:.3f}" + (f" ({said[i]:g})" if i < len(said) else "") if n in points else ""
            for i, n in enumerate(counts)
        ]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return out


def _printed_told(printed: Mapping[str, Any]) -> str:
    return (
        " (printed in brackets)" if any("latency_ms" in said for said in printed.values()) else ""
    )


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
