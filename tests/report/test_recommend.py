"""The recommendation: what it picks, and that its sentence says the truth."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress.report import Report

ROWS = {
    "float32": (0.95, 2000, 1.0),
    "int8": (0.948, 500, 0.4),
    "dynamic": (0.945, 502, 0.3),
    "cluster": (0.946, 501, 0.305),
    "tiny": (0.80, 100, 0.2),
}


def make(spec: Any = ROWS, about: dict[str, Any] | None = None) -> Report:
    keys = ("accuracy", "size_bytes", "latency_ms_p50")
    return Report(
        [{"recipe": name, "seed": 0, **dict(zip(keys, values))} for name, values in spec.items()],
        "t",
        about or {},
    )


def test_without_bounds_the_smallest_that_keeps_99_percent_then_the_fastest_of_them() -> None:
    found = make().recommend()
    # Within 1 % as small: int8, cluster, dynamic; within 3 % as fast: cluster, dynamic; the better
    # of these: cluster.
    assert found.recipe == "cluster"
    assert (
        "smallest of the 4 files with accuracy at least 0.9405 (99 % of what float32 has), "
        "with 2 others as small but no faster" in found.reason
    )
    assert (
        "501 bytes, 3.99× smaller; accuracy 0.9460, -0.0040; 0.305 ms, 3.28× faster."
        in found.reason
    )


def test_a_bound_on_size_alone_gives_the_most_accurate_that_fits() -> None:
    assert make().recommend(max_bytes=600).recipe == "int8"
    assert make().recommend(max_latency_ms=0.31).recipe == "cluster"


def test_a_bound_on_accuracy_gives_the_smallest_that_fits() -> None:
    assert make().recommend(min_accuracy=0.5).recipe == "tiny"
    assert make().recommend(min_accuracy=0.949).recipe == "float32"


def test_what_nothing_fits_names_the_nearest() -> None:
    found = make().recommend(max_bytes=90)
    assert found.recipe is None
    assert found.reason == "No file has at most 90 bytes; tiny comes nearest with 100 bytes."


def test_accuracies_within_one_standard_error_are_equal() -> None:
    rows = [
        {"recipe": "big", "seed": i, "accuracy": a, "size_bytes": 900}
        for i, a in enumerate([0.90, 0.92, 0.94, 0.96])
    ]
    rows += [{"recipe": "small", "seed": i, "accuracy": 0.92, "size_bytes": 300} for i in range(4)]
    assert Report(rows).recommend(max_bytes=1000).recipe == "small"  # 0.93 ± 0.026/√4
    rows[4:] = [{**row, "accuracy": 0.91} for row in rows[4:]]
    assert Report(rows).recommend(max_bytes=1000).recipe == "big"


def test_a_loss_counts_the_other_way_round() -> None:
    rows = [
        {"recipe": n, "seed": 0, "loss": loss, "size_bytes": size}
        for n, loss, size in [("a", 1.0, 900), ("b", 1.005, 500), ("c", 2.0, 100)]
    ]
    assert Report(rows, about={"metric": "loss"}).recommend().recipe == "b"


def test_failed_recipes_and_empty_reports_are_never_recommended() -> None:
    assert Report([{"recipe": "a", "seed": 0, "error": "x"}]).recommend().recipe is None
    assert Report([]).recommend().recipe is None


def test_without_a_metric_the_smallest() -> None:
    rows = [
        {"recipe": "a", "seed": None, "size_bytes": 900},
        {"recipe": "b", "seed": None, "size_bytes": 100},
    ]
    found = Report(rows).recommend()
    assert (found.recipe, found.reason) == (
        "b",
        "b is the smallest of the 2 files: 100 bytes, 9× smaller.",
    )
    assert Report(rows).recommend(min_accuracy=0.9).recipe is None


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.tuples(st.floats(0.1, 1), st.integers(1, 10**7), st.floats(0.001, 100)),
        min_size=1,
        max_size=8,
    ),
    st.one_of(st.none(), st.integers(1, 10**7)),
    st.one_of(st.none(), st.floats(0.001, 100)),
    st.one_of(st.none(), st.floats(0.1, 1)),
)
def test_a_recommendation_always_meets_its_bounds_and_is_missed_only_when_nothing_does(
    spec: dict[str, tuple[float, int, float]],
    size: float | None,
    ms: float | None,
    accuracy: float | None,
) -> None:
    fits = {
        n
        for n, (a, b, t) in spec.items()
        if (size is None or b <= size)
        and (ms is None or t <= ms)
        and (accuracy is None or a >= accuracy)
    }
    found = make(spec).recommend(max_bytes=size, max_latency_ms=ms, min_accuracy=accuracy)
    if size is ms is accuracy is None:
        assert found.recipe is not None
        assert spec[found.recipe][0] >= 0.99 * spec[next(iter(spec))][0] - 1e-12
    else:
        assert found.recipe in fits if fits else found.recipe is None


def test_difference_enters_the_reason_where_answers_are_known(report: Report) -> None:
    found = report.recommend()
    assert found.recipe == "dynamic"
    assert "not distinguishable from zero (95 % interval" in found.reason
    with pytest.raises(ValueError, match=r"No recipe 'int4'.*float32"):
        report.line("int4")


DEMO = {
    # accuracy, size, download, latency in ms
    "float32": (0.9750, 98_496, 90_000, 0.020),
    "dynamic": (0.9722, 32_368, 24_000, 0.010),
    "cluster16-qat-int8": (0.9833, 32_240, 12_000, 0.013),
}


def tied(spec: Any, **more: Any) -> Report:
    keys = ("accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50")
    rows = [{"recipe": name, "seed": 0, **dict(zip(keys, values))} for name, values in spec.items()]
    return Report([{**row, **more.get(row["recipe"], {})} for row in rows])


def test_of_the_same_size_the_more_accurate_beats_the_faster() -> None:
    found = tied(DEMO).recommend()
    assert found.recipe == "cluster16-qat-int8"
    assert "with 1 other as small but less accurate" in found.reason


def test_where_the_examples_cannot_tell_the_accuracies_apart_the_smaller_download_wins() -> None:
    answers = {
        name: {"correct": "0" * wrong + "1" * (360 - wrong)}
        for name, wrong in (("float32", 9), ("dynamic", 10), ("cluster16-qat-int8", 6))
    }
    found = tied(DEMO, **answers).recommend()
    assert found.recipe == "cluster16-qat-int8"
    assert "with 1 other as small but larger to download" in found.reason


def test_of_the_same_size_accuracy_and_download_the_faster_wins() -> None:
    even = {**DEMO, "cluster16-qat-int8": (0.9740, 32_240, 23_900, 0.013)}
    found = tied(even).recommend(min_accuracy=0.9)
    assert found.recipe == "dynamic"
    assert "with 1 other as small but slower" in found.reason
