"""The Matplotlib figures show the report's numbers."""

import itertools
from collections.abc import Iterator

import matplotlib

from tfcompress.report import Report

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from tfcompress.core import RecipeError
from tfcompress.report._axes import name_points
from tfcompress.report._labels import overlap


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    yield
    pyplot.close("all")


def test_scatter_has_every_recipe_at_its_mean_and_the_front(report: Report) -> None:
    ax = report.plot("size_bytes")
    labels = (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale())
    assert labels == ("size, bytes on disk", "accuracy, %", "log")
    named = {c.get_label(): c for c in ax.containers}
    for line in report.summary()[:-1]:
        point = named[line["recipe"]].get_children()[0]
        assert isinstance(point, Line2D)
        assert np.asarray(point.get_xydata()).tolist() == [[line["size_bytes"], line["accuracy"]]]
    front = next(line for line in ax.lines if line.get_label() == "Pareto front")
    assert len(np.asarray(front.get_xdata())) == len(
        report.pareto("size_bytes", "accuracy").recipes()
    )


def test_scatter_draws_on_given_axes_and_refuses_unknown_columns(report: Report) -> None:
    ax = pyplot.figure().add_subplot()
    assert report.plot("latency_ms_p50", "gzip_bytes", ax=ax) is ax
    with pytest.raises(RecipeError, match="No column 'bits'"):
        report.plot("bits")


def test_latency_by_threads(report: Report) -> None:
    lines = {line.get_label(): line for line in report.plot_latency().lines}
    assert list(np.asarray(lines["int8"].get_xdata())) == [1, 2]
    assert list(np.asarray(lines["int8"].get_ydata())) == [0.076, 0.038]


def test_ops_are_times_where_there_are_any(report: Report) -> None:
    ax = report.plot_ops("int8")
    widths = [bar.get_width() for bar in ax.patches if isinstance(bar, Rectangle)]
    assert widths == [9.0, 8.0] and "µs" in ax.get_xlabel()
    with pytest.raises(RecipeError, match="No operations"):
        report.plot_ops("int16x8")


def test_axes_have_the_columns_units_and_ticks(report: Report) -> None:
    ax = report.plot("size_bytes")
    ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    assert ax.yaxis.get_major_formatter()(0.95, 0) == "95 %"
    shown = [label.get_text() for label in ax.get_xticklabels() if label.get_text()]
    assert len(shown) >= 2 and all(text.endswith(("kB", "MB", "bytes")) for text in shown)


def test_names_cover_no_other_name_and_no_point() -> None:
    """Eight recipes within a point of each other, as int8 files of one network are."""
    ax = pyplot.figure(figsize=(7, 4.5), layout="constrained").add_subplot()
    rng = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in rng.normal(size=(8, 2)) * (0.3, 1.0)]
    ax.plot(*zip(*points), "o")
    ax.margins(0.3)
    name_points(ax, [(f"recipe{number}-int8", point) for number, point in enumerate(points)])
    boxes = [tuple(note.get_window_extent().extents) for note in ax.texts]
    boxes += [(x - 3, y - 3, x + 3, y + 3) for x, y in ax.transData.transform(points)]
    pairs = itertools.combinations(boxes, 2)
    assert len(ax.texts) == 8 and not [pair for pair in pairs if overlap(*pair)]


def test_the_style_changes_no_setting_of_the_users(report: Report) -> None:
    before = dict(matplotlib.rcParams)
    report.plot("size_bytes")
    assert dict(matplotlib.rcParams) == before
