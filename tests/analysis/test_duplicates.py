"""What leaving out copies of rows holds in memory beside the points."""

import tracemalloc

import numpy as np
import pytest

from tfcompress.analysis import PCADimension
from tfcompress.analysis.dimension import _duplicates, _room
from tfcompress.analysis.dimension._duplicates import take, unique_rows


def peak_bytes(run, *arguments):
    tracemalloc.start()
    try:
        run(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_looking_for_copies_copies_no_more_than_a_chunk():
    """511 columns are few enough that all of them are hashed at first sight."""
    points = np.random.default_rng(0).normal(size=(8000, 511)).astype("float32")
    assert peak_bytes(unique_rows, points) < 0.5 * points.nbytes


def test_distinct_rows_beyond_the_budget_lie_on_disk(monkeypatch):
    points = np.random.default_rng(0).normal(size=(600, 700)).astype("float32")
    keep = np.arange(1, 600)
    for dtype in ("float32", "float64"):
        given = points.astype(dtype)
        on_disk = take(given, keep, budget_bytes=1000)
        assert isinstance(on_disk, np.memmap) and on_disk.dtype == dtype
        np.testing.assert_array_equal(on_disk, given[1:])
        assert not isinstance(take(given, keep), np.memmap)
    monkeypatch.setattr(_duplicates, "room", lambda *a, **k: rooms.append(k) or _room.room(*a, **k))
    rooms = []
    twice = np.concatenate([points, points[:2]])
    PCADimension().measure(twice, budget_bytes=1 << 20)
    assert [room["on_disk"] for room in rooms] == [True]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [3, 40, 700])
def test_rows_that_agree_in_the_columns_looked_at_first_are_told_apart(dtype, columns):
    """Mostly zeros, as dead neurons are: only one column in a thousand differs."""
    rng = np.random.default_rng(0)
    points = np.zeros((400, columns), dtype)
    points[np.arange(400), rng.integers(0, columns, 400)] = rng.integers(1, 4, 400)
    points[::7] *= -0.0
    expected = np.sort(np.unique(points + 0.0, axis=0, return_index=True)[1])
    np.testing.assert_array_equal(unique_rows(points), expected)


def test_an_analysis_holds_two_gigabytes_unless_told_otherwise():
    assert _room.BUDGET_BYTES == 2 * 1024**3


def test_rows_with_one_hash_are_compared(monkeypatch):
    points = np.random.default_rng(0).integers(0, 3, (60, 4)).astype("float32")
    expected = unique_rows(points)
    monkeypatch.setattr(
        _duplicates, "_hashes", lambda columns, rows: np.zeros(len(rows), np.uint64)
    )
    np.testing.assert_array_equal(unique_rows(points), expected)
