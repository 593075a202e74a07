"""The Matplotlib figures show the report's numbers."""

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


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    yield
    pyplot.close("all")


def test_scatter_has_every_recipe_at_its_mean_and_the_front(report: Report) -> None:
    ax = report.plot("size_bytes")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("size_bytes", "accuracy", "log")
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
