"""Samples a second in batches: measured, and said where a file takes none."""

from types import SimpleNamespace

import pytest

import tfcompress as tfc
from tfcompress.core import Profile, Throughput


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfcompress.profiling._profile.THROUGHPUT_SECONDS", 0.2)


def test_every_batch_and_thread_count_is_measured(files: SimpleNamespace) -> None:
    profile = tfc.profile(files.dynamic, threads=(1, 2), batches=(1, 8), runs=5, ops=False)
    cells = [(row.batch, row.threads) for row in profile.throughput]
    assert cells == [(1, 1), (8, 1), (1, 2), (8, 2)]
    for row in profile.throughput:
        assert row.images_per_second > 0
        assert 0 < row.processor_cores <= row.threads + 0.3
        assert row.memory_bytes is None or row.memory_bytes > 1_000_000
    best = max(profile.throughput, key=lambda row: row.images_per_second)
    assert profile.throughput_per_second == best.images_per_second
    assert profile.processor_cores == best.processor_cores
    assert "batch 8" in str(profile)


def test_a_file_that_takes_no_batches_says_so(files: SimpleNamespace) -> None:
    profile = tfc.profile(files.fixed, batches=(1, 3), runs=5, ops=False)
    batches = [row.batch for row in profile.throughput]
    assert batches == [1] or batches == [1, 3]
    if batches == [1]:
        assert any("not in batches of 3" in note for note in profile.notes)


def test_it_is_columns_of_a_comparison(files: SimpleNamespace) -> None:
    report = tfc.compare([files.dynamic], batches=(4,))
    row = report.rows[0]
    assert row["throughput_per_second"] == row["profile"]["throughput"][0]["images_per_second"]
    assert row["processor_cores"] > 0
    assert "throughput_per_second" not in tfc.compare([files.dynamic]).columns()


def test_the_fastest_row_counts() -> None:
    rows = (Throughput(1, 1, 10.0, 1.0, 5), Throughput(8, 2, 30.0, 1.9, 7))
    profile = Profile("net", 1, 1, "", "", throughput=rows)
    assert profile.throughput_per_second == 30.0
    assert profile.running_memory_bytes == 7
    assert Profile("net", 1, 1, "", "").throughput_per_second is None


@pytest.mark.parametrize("batches", [(0,), (1, -1), 8])
def test_batches_are_counts(files: SimpleNamespace, batches: object) -> None:
    with pytest.raises(ValueError, match="batches="):
        tfc.profile(files.dynamic, batches=batches)  # pyright: ignore[reportArgumentType, reportCallIssue]
