"""The Matplotlib figures show the report's numbers."""

import matplotlib

matplotlib.use("Agg")

import pytest
from matplotlib import pyplot

from tfcompress.core import RecipeError


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def test_scatter_has_every_recipe_at_its_mean_and_the_front(report):
    ax = report.plot("size_bytes")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("size_bytes", "accuracy", "log")
    named = {c.get_label(): c for c in ax.containers}
    for line in report.summary()[:-1]:
        point = named[line["recipe"]].lines[0]
        assert (point.get_xdata()[0], point.get_ydata()[0]) == (
            line["size_bytes"],
            line["accuracy"],
        )
    front = next(line for line in ax.lines if line.get_label() == "Pareto front")
    assert len(front.get_xdata()) == len(report.pareto("size_bytes", "accuracy").recipes())


def test_scatter_draws_on_given_axes_and_refuses_unknown_columns(report):
    ax = pyplot.figure().add_subplot()
    assert report.plot("latency_ms_p50", "gzip_bytes", ax=ax) is ax
    with pytest.raises(RecipeError, match="No column 'bits'"):
        report.plot("bits")


def test_latency_by_threads(report):
    lines = {line.get_label(): line for line in report.plot_latency().lines}
    assert list(lines["int8"].get_xdata()) == [1, 2]
    assert list(lines["int8"].get_ydata()) == [0.076, 0.038]


def test_ops_are_times_where_there_are_any(report):
    ax = report.plot_ops("int8")
    assert [bar.get_width() for bar in ax.patches] == [9.0, 8.0] and "µs" in ax.get_xlabel()
    with pytest.raises(RecipeError, match="No operations"):
        report.plot_ops("int16x8")
