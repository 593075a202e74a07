"""Geometry of the page's figures: scales, ticks, the staircase of the front, labels."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress.core import column
from tfcompress.report import Report
from tfcompress.report._figures import scatter, thread_dots
from tfcompress.report._labels import CHARACTER, overlap, staircase
from tfcompress.report._scale import HEIGHT, LOG_FROM, WIDTH, Scale
from tfcompress.report._words import against_base, tick

numbers = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=10)


def drawn(figure: dict[str, Any] | None) -> dict[str, Any]:
    """The figure that must be there."""
    assert figure is not None
    return figure


@given(numbers, st.booleans(), st.booleans())
def test_scale_keeps_order_and_bounds_and_its_ticks_are_round(
    values: list[float], log: bool, zero: bool
) -> None:
    scale = Scale(values, 10, 400, log=log, zero=zero)
    at = [scale(value) for value in sorted(values)]
    assert at == sorted(at)
    assert all(10 <= a <= 400 for a in at)
    for value in scale.ticks:
        assert 10 - 1e-6 <= scale(value) <= 400 + 1e-6
        digits = f"{abs(value):.6e}".split("e")[0].rstrip("0").rstrip(".").replace(".", "")
        assert len(digits) <= 4 or scale.high / scale.low < 1.2
    assert scale.log == (log and max(values) / min(values) >= LOG_FROM)


def test_a_scale_of_one_value_has_room() -> None:
    scale = Scale([0.95, 0.95], 0, 100)
    assert scale.low < 0.95 < scale.high and scale(0.95) == pytest.approx(50)
    assert Scale([0.0], 0, 100).ticks


def test_logarithmic_ticks_are_1_2_5() -> None:
    assert Scale([150, 900], 0, 1, log=True).ticks == [200, 500, 1000]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=9))
def test_front_is_a_staircase_of_what_a_bound_allows(pairs: list[tuple[Any, Any]]) -> None:
    rows = [
        {"recipe": str(i), "seed": 0, "size_bytes": a, "accuracy": b / 10}
        for i, (a, b) in enumerate(pairs)
    ]
    figure = drawn(scatter(Report(rows), "size_bytes", "accuracy", tick, {}))
    on = sorted((p["x"], p["y"]) for p in figure["points"] if p["front"])
    if len(set(on)) == 1:
        assert not re.search("[HV]", figure["front"]) or len(on) > 1
        return
    path = re.findall(r"([MHV])([\d.]+)(?: ([\d.]+))?", figure["front"])
    x, y = float(path[0][1]), float(path[0][2])
    visited, levels = [(x, y)], [y]
    for kind, value, _ in path[1:]:
        x, y = (float(value), y) if kind == "H" else (x, float(value))
        levels.append(y)
        visited.append((x, y))
    assert set(on) <= set(visited)
    assert levels == sorted(levels, reverse=True)  # further right never worse: y grows downwards


def test_points_have_their_error_bars_and_stay_inside(report: Report) -> None:
    figure = drawn(scatter(report, "latency_ms_p50", "accuracy", tick, {}))
    for point in figure["points"]:
        assert 0 <= point["x"] <= WIDTH and 0 <= point["y"] <= HEIGHT
        low, high = point["up"]
        assert high <= point["y"] <= low
    assert not any(point["recipe"] == "int16x8" for point in figure["points"])


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=15))
def test_labels_cover_no_point_and_no_other_label(pairs: list[tuple[Any, Any]]) -> None:
    rows = [
        {"recipe": f"recipe-{i}", "seed": 0, "size_bytes": a, "accuracy": b / 40}
        for i, (a, b) in enumerate(pairs)
    ]
    figure = drawn(scatter(Report(rows), "size_bytes", "accuracy", tick, {"recipe-0": "base"}))
    boxes = []
    for point in figure["points"]:
        if point["label"]:
            width = CHARACTER * len(point["recipe"])
            left = (
                point["label"]["x"]
                - {"start": 0, "middle": width / 2, "end": width}[point["label"]["anchor"]]
            )
            boxes.append(
                (
                    left + 0.2,
                    point["label"]["y"] - 10.8,
                    left + width - 0.2,
                    point["label"]["y"] + 3.8,
                )
            )
    for i, box in enumerate(boxes):
        assert box[0] >= 0 and box[2] <= WIDTH
        assert not any(overlap(box, other) for other in boxes[:i])
        for p in figure["points"]:
            assert not (box[0] < p["x"] < box[2] and box[1] < p["y"] < box[3])


def test_no_figure_of_fewer_than_two_points_or_a_missing_column(report: Report) -> None:
    assert scatter(Report(report.rows[:1]), "size_bytes", "accuracy", tick, {}) is None
    assert scatter(report, "size_bytes", "bits", tick, {}) is None
    assert thread_dots({}, tick) is None


def test_thread_dots_put_every_recipe_on_its_own_line(report: Report) -> None:
    figure = drawn(thread_dots(report.latency_by_threads(), tick))
    assert [row["recipe"] for row in figure["rows"]] == report.recipes()[:-1]
    assert figure["threads"] == [1, 2]
    for row in figure["rows"]:
        assert row["dots"][0]["x"] > row["dots"][1]["x"]  # two threads take half the time here
    assert len({row["y"] for row in figure["rows"]}) == len(figure["rows"])


def test_latencies_that_one_file_squashes_are_logarithmic() -> None:
    even = drawn(thread_dots({"a": {1: 1.0}, "b": {1: 0.5}}, tick))
    squashed = drawn(thread_dots({"a": {1: 0.02}, "b": {1: 0.0134}, "slow": {1: 3.0}}, tick))
    assert not even["log"] and squashed["log"]
    fast, faster, slow = (row["dots"][0]["x"] for row in squashed["rows"])
    assert fast - faster > 0.05 * (slow - fast)
    assert squashed["x_ticks"][0][2] == "start", "a tick at the edge stays inside"


def test_no_line_of_the_front_runs_through_a_label(report: Report) -> None:
    figure = drawn(scatter(report, "size_bytes", "accuracy", tick, {}))
    corners = [(p["x"], p["y"]) for p in figure["points"] if p["front"]]
    lines = staircase(sorted(corners), more_x_is_better=False)
    for point in figure["points"]:
        if point["label"]:
            width = CHARACTER * len(point["recipe"])
            shift = {"start": 0, "middle": width / 2, "end": width}[point["label"]["anchor"]]
            left, base = point["label"]["x"] - shift, point["label"]["y"]
            box = (left + 0.2, base - 10, left + width - 0.2, base + 2)
            assert not any(overlap(box, line) for line in lines)


def test_words() -> None:
    size = column("size_bytes")
    assert [size.short(v) for v in (87, 98_496, 2_197_660)] == ["87 bytes", "98.5 kB", "2.198 MB"]
    assert column("accuracy").short(0.97123) == "97.12 %"
    assert column("peak_memory_bytes").short(4.5 * 2**20) == "4.5 MiB"
    assert tick(0.95, "accuracy") == "95 %" and tick(0.0005, "latency_ms_p50") == "0.0005"
    base, line = (
        {"recipe": "a", "latency_ms_p50": 1.0, "size_bytes": 100},
        {"recipe": "b", "latency_ms_p50": 0.98, "size_bytes": 400},
    )
    assert against_base(Report([]), line, base, "latency_ms_p50") == "equally fast"
    assert against_base(Report([]), line, base, "size_bytes") == "4× larger"
    assert (
        against_base(Report([]), {**line, "latency_ms_p50": 0.4}, base, "latency_ms_p50")
        == "2.5× faster"
    )
    assert against_base(Report([]), base, base, "size_bytes") == ""
    assert math.isclose(float(tick(1234.5678, "loss")), 1235)
