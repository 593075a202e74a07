"""The page: what the template shows, in its order; Jinja2 escapes every word of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfcompress.report import _figures, _lines
from tfcompress.report._recommend import LATENCY, SIZE
from tfcompress.report._sweeps import sweeps
from tfcompress.report._words import (
    HEADS,
    MEMORY,
    against_base,
    full,
    option_value,
    say,
    short,
    signed,
    tick,
    unit,
)

if TYPE_CHECKING:
    from tfcompress.report._report import Report

OPS_SHOWN = 10
TIMED_FROM_US = (
    10  # the clock's step is 1 µs: below ten of them the shares of the time mean nothing
)
COUNTED = (("checks", "check"), ("skipped", "left alone"))
DOWNLOAD = "gzip_bytes"
APART = ("metric", "base", "running", "significance", "threshold")
PROFILE_FACTS = ("runtime", "weights", "macs", "init_ms", "first_ms", "peak_memory_bytes", "sha256")


def page(report: Report) -> str:
    """The report as one HTML page with its styles, script and figures inside it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("tfcompress.report", ".")
    pages = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("page.html").render(context(report))


def context(report: Report) -> dict[str, Any]:
    """Everything that the template needs, worded and laid out."""
    metric, chosen, lines = report.metric, report.recommend(), report.summary()
    good = {line["recipe"]: line for line in lines if "error" not in line}
    base, best = good.get(report.base), good.get(chosen.recipe)
    marks = {
        name: mark for name, mark in ((report.base, "base"), (chosen.recipe, "recommended")) if name
    }
    columns = [
        column for column in (metric, SIZE, DOWNLOAD, LATENCY, MEMORY) if column in report.columns()
    ]
    tips = {
        name: [name, *(f"{_head(c)} {full(line, c)}" for c in columns if c in line)]
        for name, line in good.items()
    }
    figures = []
    for x in (SIZE, DOWNLOAD, LATENCY):
        if figure := _figures.scatter(report, x, metric, tick, marks):
            words = {
                "title": f"{metric.capitalize()} against {_head(x)}",
                "x_label": f"{_head(x)}, {unit(x)}",
                "y_label": metric,
            }
            figures.append({**figure, **words})
    front = {point["recipe"] for figure in figures for point in figure["points"] if point["front"]}
    return {
        "title": report.title,
        "subtitle": _subtitle(report),
        "chosen": chosen,
        "tiles": [_tile(report, best, base, c) for c in columns if c in best] if best else [],
        "heads": [
            {"name": _head(c), "unit": unit(c), "lower": report.lower_is_better(c)} for c in columns
        ],
        "lines": [_table_line(report, line, base, columns, marks, front) for line in lines],
        "tips": tips,
        "figures": figures,
        "spread": any(metric + "_std" in line for line in lines),
        "sweeps": list(_sweeps(report)),
        "threads": _figures.thread_dots(report.latency_by_threads(), tick),
        "dimension": _dimension(report),
        "bits": _lines.bits_by_layer(
            {name: report.layers(name) for name in report.recipes() if report.layers(name)}
        ),
        "bytes": _bytes(report, base, best),
        "details": [_detail(report, recipe) for recipe in report.recipes()],
        "running": _running(report),
        "warnings": report.warnings(),
        "facts": _facts({key: value for key, value in report.about.items() if key not in APART}),
        "frame": _figures,
    }


def _sweeps(report: Report) -> Iterator[dict[str, Any]]:
    """Two figures for every number that recipes differ in alone: the metric and the sizes against it."""
    for option, series in sweeps(report).items():
        word = option.split(".")[1].replace("_", " ")
        for what, columns in (
            (report.metric, {report.metric: ""}),
            ("size", {DOWNLOAD: ", download", SIZE: ", file"}),
        ):

            def value(x: float, option: str = option) -> str:
                return option_value(option, x)

            if figure := _lines.sweep(report, series, columns, tick, value):
                yield {
                    **figure,
                    "title": f"{what.capitalize()} against {word}",
                    "x_label": word,
                    "y_label": what,
                }


def _dimension(report: Report) -> dict[str, Any] | None:
    said = report.about.get("significance")
    return _lines.dimension_profile(said, report.about.get("threshold", 20.0)) if said else None


def _bytes(
    report: Report, base: Mapping[str, Any] | None, best: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Bytes by layer of the base's file and of the recommended one, on one scale."""
    names = list(
        dict.fromkeys(
            line["recipe"] for line in (base, best) if line and report.layers(line["recipe"])
        )
    )
    most = max((layer["bytes"] for name in names for layer in report.layers(name)), default=0)
    return [
        {"recipe": name, "layers": _lines.layer_bars(report.layers(name), "bytes", _in_bytes, most)}
        for name in names
    ]


def _in_bytes(value: float) -> str:
    return short(value, SIZE)


def _running(report: Report) -> dict[str, Any] | None:
    said = report.about.get("running")
    return {**said, "left": said.get("left", "")} if said else None


def _head(column: str) -> str:
    return HEADS.get(column, column.replace("_", " "))


def _subtitle(report: Report) -> list[str]:
    seeds = len({row.get("seed") for row in report.rows})
    said = [f"{len(report.recipes())} recipes", f"{seeds} seeds" if seeds > 1 else ""]
    if examples := report.about.get("test_examples"):
        said.append(f"{examples:,} test examples")
    return [item for item in (*said, str(report.about.get("created", ""))) if item]


def _tile(
    report: Report, best: Mapping[str, Any], base: Mapping[str, Any] | None, column: str
) -> dict[str, str]:
    return {
        "name": _head(column),
        "value": short(best[column], column),
        "note": against_base(report, best, base, column),
    }


def _table_line(
    report: Report,
    line: Mapping[str, Any],
    base: Any,
    columns: list[str],
    marks: Mapping,
    front: set[str],
) -> dict[str, Any]:
    name = line["recipe"]
    cells = []
    for column in columns:
        if column not in line:
            cells.append(None)
            continue
        spread = (
            f"± {say(line[column + '_std'], column, line[column])}"
            if line.get(column + "_std")
            else ""
        )
        note = against_base(report, line, base, column)
        interval = ""
        if column == report.metric and note and (difference := report.difference(name)):
            interval = f"[{signed(100 * difference.low)}, {signed(100 * difference.high)}]"
        cells.append(
            {
                "sort": line[column],
                "text": say(line[column], column),
                "spread": spread,
                "note": note,
                "interval": interval,
            }
        )
    failed = (
        f"{line['failed']} of {line['failed'] + line['seeds']} seeds failed"
        if "failed" in line and line["seeds"]
        else ""
    )
    return {
        "recipe": name,
        "mark": marks.get(name, ""),
        "front": name in front,
        "cells": cells,
        "failed": failed,
        "error": line.get("error", ""),
    }


def _detail(report: Report, recipe: str) -> dict[str, Any]:
    rows = [row for row in report.rows if row["recipe"] == recipe]
    shown = next((row for row in rows if not row.get("error")), rows[0])
    profile = report.profile(recipe)
    made = dict(shown.get("made") or {})
    facts = {key: profile[key] for key in PROFILE_FACTS if profile.get(key) not in (None, "")}
    return {
        "recipe": recipe,
        "counts": " · ".join(
            _count(len(shown.get(key) or ()), word) for key, word in COUNTED if shown.get(key)
        ),
        "errors": [
            f"seed {row.get('seed')}: {row['error']}" if len(rows) > 1 else row["error"]
            for row in rows
            if row.get("error")
        ],
        "call": made.pop("call", ""),
        "facts": _facts({**made, **facts}),
        "checks": shown.get("checks") or [],
        "skipped": shown.get("skipped") or [],
        "layers": _lines.layer_bars(report.layers(recipe), "bytes", _in_bytes),
        **_ops(profile.get("ops") or ()),
        "notes": list(profile.get("notes") or ()),
    }


def _ops(ops: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The operations that cost most: by time where it was measured, else by multiply-accumulates."""
    timed = max((op["time_us_p50"] or 0 for op in ops), default=0) >= TIMED_FROM_US
    costs = [((op["time_us_p50"] if timed else op["macs"]) or 0, op) for op in ops]
    costs = sorted(((cost, op) for cost, op in costs if cost > 0), key=lambda pair: -pair[0])
    bars = [
        {
            "name": op["kind"] if op["index"] < 0 else f"{op['index']} {op['kind']}",
            "text": f"{cost:,.1f} µs" if timed else f"{cost:,} MACs",
            "share": round(100 * cost / costs[0][0], 1),
        }
        for cost, op in costs[:OPS_SHOWN]
    ]
    title = "Where the time goes" if timed else "Where the multiplications are"
    return {"ops": bars, "more_ops": len(costs) - len(bars), "ops_title": title}


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 and not word.endswith('alone') else ''}"


def _facts(found: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested data as (name, words) pairs, in its order."""
    out: list[tuple[str, str]] = []
    for key, value in found.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            out += _facts(value, f"{name}: ")
        elif isinstance(value, (list, tuple)):
            out.append((name, ", ".join(map(str, value))))
        elif isinstance(value, float):
            out.append((name, f"{value:.4g}"))
        else:
            out.append(
                (name, f"{value:,}" if isinstance(value, int) and value >= 10000 else str(value))
            )
    return out
