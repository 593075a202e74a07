"""The page: what the template shows, in its order; Jinja2 escapes every word of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfcompress.core import COLUMNS, DOWNLOAD, LATENCY, SIZE, column
from tfcompress.report import _figures, _lines, _scale
from tfcompress.report._details import detail, facts
from tfcompress.report._layers import bits_by_layer, comparable, layer_bars
from tfcompress.report._notes import notes
from tfcompress.report._recommend import recommend
from tfcompress.report._sweeps import sweeps
from tfcompress.report._table import Table
from tfcompress.report._words import against_base, full, option_value, signed, spread, tick

APART = ("metric", "base", "running", "significance", "threshold")
"""What of `about` has a place of its own on the page."""
MEASURED_BY = (SIZE, DOWNLOAD, LATENCY)
"""Columns that the metric is drawn against."""

Line = Mapping[str, Any]
Figure = dict[str, Any]


class Rated(NamedTuple):
    """The base and the recommended file with their summary lines, and what each is called."""

    base: Line | None
    best: Line | None
    marks: dict[str, str]


def page(table: Table, folder: Path | None = None, links: Sequence[tuple[str, str]] = ()) -> str:
    """The report as one HTML page with its styles, script and figures inside it.

    Args:
        table: the report.
        folder: where the page will be, for links to the files beside it.
        links: word and address of the pages beside it, where a server has some.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("tfcompress.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("page.html").render(**context(table, folder), links=links)


def context(table: Table, folder: Path | None = None) -> dict[str, Any]:
    """Everything that the template needs, worded and laid out."""
    chosen = recommend(table, max_bytes=None, max_latency_ms=None, min_accuracy=None)
    lines = table.summary()
    good = {line["recipe"]: line for line in lines if "error" not in line}
    marks = {table.base: "base", chosen.recipe: "recommended"}
    named = {recipe: mark for recipe, mark in marks.items() if recipe}
    rated = Rated(good.get(table.base or ""), good.get(chosen.recipe or ""), named)
    names = _page_columns(table)
    figures = list(_scatters(table, named))
    fronts = _fronts(figures)
    return {
        "title": table.title,
        "metric": table.metric,
        "subtitle": _subtitle(table),
        "chosen": chosen,
        "notes": notes(table),
        "warnings": table.warnings(),
        "tiles": _tiles(table, rated, names),
        "heads": [_head(name) for name in names],
        "lines": [_table_line(table, line, rated, names, fronts) for line in lines],
        "tips": {recipe: _tip(line, names) for recipe, line in good.items()},
        "figures": figures,
        "spread": any(table.metric + "_std" in line for line in lines),
        "sweeps": list(_sweeps(table)),
        "threads": _figures.thread_dots(table.latency_by_threads(), tick),
        "dimension": _dimension(table),
        "bits": bits_by_layer(table),
        "bytes": _bytes(table, rated),
        "comparable": comparable(table),
        "details": [detail(table, recipe, folder) for recipe in table.recipes()],
        "csv": table.to_csv(),
        "running": _running(table),
        "facts": facts(_about(table)),
        "frame": _scale,
    }


def _page_columns(table: Table) -> list[str]:
    """The metric, then the columns that have a place on the page, as far as rows have them.

    What was measured on devices comes last.
    """
    names = [table.metric, *(described.name for described in COLUMNS if described.on_page)]
    have = table.columns()
    names += [name for name in have if "@" in name and column(name).on_page]
    return [name for name in dict.fromkeys(names) if name in have]


def _scatters(table: Table, marks: Mapping[str, str]) -> Iterator[Figure]:
    """The metric against size, download and latency."""
    for along in MEASURED_BY:
        figure = _figures.scatter(table, along.name, table.metric, tick, marks)
        if figure:
            title = f"{table.metric.capitalize()} against {along.head}"
            label = f"{along.head}, {along.unit}"
            yield {**figure, "title": title, "x_label": label, "y_label": table.metric}


def _fronts(figures: Sequence[Figure]) -> dict[str, list[str]]:
    """recipe → heads of the columns against which it is on the Pareto front."""
    fronts: dict[str, list[str]] = {}
    for figure in figures:
        for point in figure["points"]:
            if point["front"]:
                fronts.setdefault(point["recipe"], []).append(column(figure["x"]).head)
    return fronts


def _sweeps(table: Table) -> Iterator[Figure]:
    """Two figures for every number that recipes differ in alone: the metric and the sizes."""
    for option, series in sweeps(table).items():
        word = option.split(".")[1].replace("_", " ")

        def write_option(value: float, option: str = option) -> str:
            return option_value(option, value)

        drawn = {
            table.metric: {table.metric: ""},
            "size": {DOWNLOAD.name: ", download", SIZE.name: ", file"},
        }
        for quantity, columns in drawn.items():
            figure = _lines.sweep(table, series, columns, tick, write_option)
            if figure:
                title = f"{quantity.capitalize()} against {word}"
                yield {**figure, "title": title, "x_label": word, "y_label": quantity}


def _dimension(table: Table) -> Figure | None:
    significance = table.about.get("significance")
    if not significance:
        return None
    return _lines.dimension_profile(significance, table.about.get("threshold", 20.0))


def _bytes(table: Table, rated: Rated) -> list[Figure]:
    """Bytes by layer of the base's file and of the recommended one, on one scale."""
    lines = [line for line in (rated.base, rated.best) if line]
    layers = {line["recipe"]: table.layers(line["recipe"]) for line in lines}
    known = {recipe: held for recipe, held in layers.items() if held}
    most = max((layer["bytes"] for held in known.values() for layer in held), default=0)
    return [{"recipe": recipe, "layers": layer_bars(held, most)} for recipe, held in known.items()]


def _running(table: Table) -> dict[str, Any] | None:
    progress = table.about.get("running")
    return {**progress, "left": progress.get("left", "")} if progress else None


def _about(table: Table) -> dict[str, Any]:
    """What the rows have in common, each thing once: versions also name NumPy's."""
    about = {key: value for key, value in table.about.items() if key not in APART}
    versions = about.get("versions")
    if isinstance(about.get("machine"), Mapping) and isinstance(versions, Mapping):
        machine = about["machine"]
        about["machine"] = {key: machine[key] for key in machine if key not in versions}
    return about


def _head(name: str) -> dict[str, Any]:
    described = column(name)
    return {
        "name": described.head,
        "unit": described.unit,
        "lower": described.lower_is_better,
    }


def _tip(line: Line, names: Sequence[str]) -> list[str]:
    """What a point says: the recipe, and every column in full."""
    parts = [f"{column(name).head} {full(line, name)}" for name in names if name in line]
    return [line["recipe"], *parts]


def _subtitle(table: Table) -> list[str]:
    seeds = len({row.get("seed") for row in table.rows})
    recipes = len(table.recipes())
    parts = [f"{recipes} recipe" if recipes == 1 else f"{recipes} recipes"]
    if seeds > 1:
        parts.append(f"{seeds} seeds")
    if examples := table.about.get("test_examples"):
        parts.append(f"{examples:,} test examples")
    if created := table.about.get("created"):
        parts.append(str(created))
    return parts


def _tiles(table: Table, rated: Rated, names: Sequence[str]) -> list[dict[str, str]]:
    """The recommended file's numbers as headlines."""
    tiles: list[dict[str, str]] = []
    for name in names:
        if rated.best and name in rated.best:
            value = column(name).short(rated.best[name])
            note = against_base(table, rated.best, rated.base, name)
            tiles.append({"name": column(name).head, "value": value, "note": note})
    return tiles


def _table_line(
    table: Table,
    line: Line,
    rated: Rated,
    names: Sequence[str],
    fronts: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    recipe = line["recipe"]
    failed = ""
    if "failed" in line and line["seeds"]:
        failed = f"{line['failed']} of {line['failed'] + line['seeds']} seeds failed"
    return {
        "recipe": recipe,
        "mark": rated.marks.get(recipe, ""),
        "front": ", ".join(fronts.get(recipe, ())),
        "cells": [_cell(table, line, rated.base, name) for name in names],
        "failed": failed,
        "error": line.get("error", ""),
    }


def _cell(table: Table, line: Line, base: Line | None, name: str) -> dict[str, Any] | None:
    if name not in line:
        return None
    note = against_base(table, line, base, name)
    interval = ""
    if name == table.metric and note:
        difference = table.difference(line["recipe"])
        if difference:
            interval = f"[{signed(100 * difference.low)}, {signed(100 * difference.high)}]"
    return {
        "sort": line[name],
        "text": column(name).shown(line[name]),
        "spread": spread(line, name).strip(),
        "note": note,
        "interval": interval,
    }
