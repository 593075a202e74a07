"""Sweeps: recipes that differ in one number alone, and the figures of lines and layers."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import pytest
from matplotlib import pyplot

from tfcompress._study._contents import options
from tfcompress.core import RecipeError
from tfcompress.recipes import recipe
from tfcompress.report import Report
from tfcompress.report._layers import bits_by_layer, layer_bars
from tfcompress.report._lines import dimension_profile, sweep
from tfcompress.report._sweeps import sweeps
from tfcompress.report._words import option_value, tick

NAMES = [
    *(
        "float32",
        "int8",
        "prune20-int8",
        "prune40-int8",
        "prune80-int8",
        "prune40-float32",
        "prune80-float32",
        "cluster4-int8",
    ),
    *(
        "cluster16-int8",
        "cluster64-int8",
        "prune80-cluster4-int8",
        "prune80-cluster16-int8",
        "prune80-cluster64-int8",
        "qat-int8",
    ),
]


def drawn(figure: dict[str, Any] | None) -> dict[str, Any]:
    """The figure that must be there."""
    assert figure is not None
    return figure


def of_layers(layers: dict[str, list[dict[str, Any]]]) -> Report:
    """A report of recipes that have nothing but layers."""
    return Report([{"recipe": name, "seed": 0, "layers": held} for name, held in layers.items()])


def row(name: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    number = len(name) + seed
    return {
        **{
            "recipe": name,
            "seed": seed,
            "accuracy": 1 - number / 100,
            "val_accuracy": 0.9,
            "size_bytes": 1000,
            "gzip_bytes": 10 * number,
        },
        **{"options": options(recipe(name)), **more},
    }


@pytest.fixture
def report() -> Report:
    return Report(
        [row(name, seed) for name in NAMES for seed in (0, 1)],
        "sweeps",
        {"metric": "accuracy", "base": "float32"},
    )


def test_a_sweep_is_what_differs_in_one_number_alone(report: Report) -> None:
    found = report.sweeps()
    assert found == {
        "Prune.sparsity": {
            "prune…-int8": {0.2: "prune20-int8", 0.4: "prune40-int8", 0.8: "prune80-int8"}
        },
        "Cluster.clusters": {
            "cluster…-int8": {4: "cluster4-int8", 16: "cluster16-int8", 64: "cluster64-int8"},
            "prune80-cluster…-int8": {n: f"prune80-cluster{n}-int8" for n in (4, 16, 64)},
        },
    }
    assert [one.reference for one in sweeps(report)["Cluster.clusters"]] == ["int8", "prune80-int8"]
    assert Report([row("int8"), {"recipe": "a", "seed": 0, "error": "x"}]).sweeps() == {}


def test_lines_pass_through_the_means_and_the_level_is_the_reference(report: Report) -> None:
    lines = {line["recipe"]: line for line in report.summary()}
    series = sweeps(report)["Cluster.clusters"]
    figure = drawn(
        sweep(report, series, {"accuracy": "", "val_accuracy": ", validation"}, tick, str)
    )
    assert [line["name"] for line in figure["lines"]] == [
        one.name + add for one in series for add in ("", ", validation")
    ]
    assert [line["dash"] for line in figure["lines"]] == [False, True] * 2
    assert [word for _, word, _ in figure["x_ticks"]] == ["4", "16", "64"]
    assert figure["levels"] == ["int8", "prune80-int8"]
    first = figure["lines"][0]
    for point, name in zip(first["points"], series[0].recipes.values()):
        assert (
            point["recipe"] == name
            and f"{100 * lines[name]['accuracy']:.4g} %" in point["text"]
            and "±" in point["text"]
        )
        assert point["bar"][1] < point["y"] < point["bar"][0]
    up = [point["y"] for point in first["points"]]
    assert up == sorted(up) and first["level"] < up[0], (
        "accuracy falls with the length of the name here, and SVG grows downwards"
    )
    assert sweep(report, series, {"macs": ""}, tick, str) is None


def test_matplotlib_draws_the_same(report: Report) -> None:
    ax = report.plot_sweep("Prune.sparsity", ["size_bytes", "gzip_bytes"])
    labels = ax.get_legend_handles_labels()[1]
    assert {"prune…-int8, size", "prune…-int8, download", "int8, download"} <= set(labels)
    assert report.plot_sweep("Cluster.clusters").get_xscale() == "log"
    with pytest.raises(
        RecipeError,
        match=r"No three recipes differ in 'Prune.steps' alone; "
        r"there are: Prune.sparsity, Cluster.clusters",
    ):
        report.plot_sweep("Prune.steps")
    pyplot.close("all")


def test_dimension_by_layer_marks_what_is_significant() -> None:
    said = {
        "by": "TwoNN",
        "scores": {"a": 3.0, "b": 30.0, "c": 0.5},
        "details": {"dimension": {"a": 10.0, "b": 40.0, "c": 39.5, "x": 1.0}},
    }
    figure = drawn(dimension_profile(said, 20.0))
    assert [(point["layer"], point["on"]) for point in figure["points"]] == [
        ("a", False),
        ("b", True),
        ("c", False),
    ]
    assert figure["points"][1]["y"] < figure["points"][2]["y"] < figure["points"][0]["y"]
    assert (
        dimension_profile({"scores": {"a": 1.0}, "details": {"dimension": {"a": 1.0}}}, 20.0)
        is None
    )


def test_bits_are_shown_where_they_differ_between_layers() -> None:
    same = [
        {"name": name, "bits": 8.0, "bytes": 10, "encoding": "int8", "op": "CONV_2D"}
        for name in ("a", "b")
    ]
    mixed = [{**same[0], "bits": 32.0}, {**same[1], "bits": 1.0}]
    found = drawn(bits_by_layer(of_layers({"int8": same, "mixed": mixed})))
    assert found["recipes"] == ["mixed"]
    assert [(one["layer"], one["bits"][0]["text"]) for one in found["rows"]] == [
        ("a", "32"),
        ("b", "1"),
    ]
    assert bits_by_layer(of_layers({"int8": same})) is None
    assert [bar["share"] for bar in layer_bars([{**same[0], "bytes": 5}, same[1]])] == [50.0, 100.0]


def test_shares_are_percent() -> None:
    assert (
        option_value("Prune.sparsity", 0.8) == "80 %"
        and option_value("Cluster.clusters", 16) == "16"
    )
    assert option_value("PruneFilters.target_macs", 0.5) == "50 %"


def test_the_page_has_them_all(report: Report, tmp_path: Path) -> None:
    layers = [
        {"name": n, "op": "CONV_2D", "encoding": "float", "bits": b, "bytes": 40}
        for n, b in (("conv1", 32.0), ("conv2", 2.0))
    ]
    rows = [{**one, "layers": layers} for one in report.rows]
    said = {
        "by": "TwoNN",
        "scores": {"conv1": 3.0, "conv2": 30.0},
        "details": {"dimension": {"conv1": 10.0, "conv2": 40.0}},
    }
    running = {"jobs": 9, "jobs_done": 3, "cells": 8, "cells_done": 2, "left": "about 3 min left"}
    about = {**report.about, "significance": said, "running": running}
    page = Report(rows, "t", about).to_html(tmp_path / "r.html").read_text()
    for words in (
        *(
            "Accuracy against sparsity",
            "Size against clusters",
            "Intrinsic dimension by layer",
            "Bits of a weight by layer",
        ),
        *(
            "Where the bytes are in float32",
            "Bytes by layer",
            "2 of 8 cells are done, about 3 min left",
            'http-equiv="refresh"',
        ),
    ):
        assert words in page, words
    done = Report(rows, "t", report.about).to_html(tmp_path / "s.html").read_text()
    assert "refresh" not in done and "This study is running" not in done


def test_latencies_within_the_noise_are_equal() -> None:
    def timed(name: str, ms: float, accuracy: float, uncertainty: float = 0.0) -> dict[str, Any]:
        profile = {
            "latency": [{"threads": 1, "latency_ms_p50": ms, "uncertainty_fraction": uncertainty}]
        }
        return {
            "recipe": name,
            "seed": 0,
            "latency_ms_p50": ms,
            "accuracy": accuracy,
            "size_bytes": 10,
            "profile": profile,
        }

    near = [timed("fast", 1.00, 0.90), timed("good", 1.02, 0.95)]
    assert Report(near).pareto("latency_ms_p50", "accuracy").recipes() == ["good"]
    assert Report([near[0], timed("good", 1.10, 0.95)]).pareto(
        "latency_ms_p50", "accuracy"
    ).recipes() == ["fast", "good"]
    noisy = Report([timed("fast", 1.00, 0.90, 0.2), timed("good", 1.10, 0.95)])
    assert noisy.noise("fast") == 0.2 and noisy.noise("good") == 0.03
    assert noisy.pareto("latency_ms_p50", "accuracy").recipes() == ["good"]
    assert (
        "equally fast"
        in Report(noisy.rows, about={"base": "fast"}).recommend(min_accuracy=0.94).reason
    )
