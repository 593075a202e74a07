"""Columns: one entry says everything that tables, figures and the recommendation need."""

import pytest

from tfcompress.core import COLUMNS, Column, Profile, Rows, column


def test_every_measured_column_is_in_the_profile() -> None:
    profile = Profile("a", 1, 1, "", "litert")
    for described in COLUMNS:
        if described.derive is None and described.name != "seeds":
            assert hasattr(profile, described.name), described.name


@pytest.mark.parametrize(
    ("name", "value", "text", "shown", "short", "tick"),
    [
        ("accuracy", 0.97123, "0.9712", "97.12", "97.12 %", "97.12 %"),
        ("size_bytes", 98_496, "98,496", "98,496", "98.5 kB", "98.5 kB"),
        ("gzip_bytes", 87, "87", "87", "87 bytes", "87 bytes"),
        ("latency_ms_p50", 0.0016, "0.00160", "0.00160", "0.00160 ms", "0.0016"),
        ("peak_memory_bytes", 4.5 * 2**20, "4,718,592", "4.5", "4.5 MiB", "4.5 MiB"),
        ("macs", 1234.6, "1,235", "1,235", "1,235", "1235"),
        ("loss", 1234.56, "1,234.6", "1,234.6", "1,234.6", "1235"),
    ],
)
def test_a_number_in_its_four_forms(
    name: str, value: float, text: str, shown: str, short: str, tick: str
) -> None:
    described = column(name)
    forms = (described.text(value), described.shown(value), described.short(value))
    assert forms == (text, shown, short)
    assert described.tick(value) == tick


def test_a_column_that_nobody_described_says_its_direction_by_its_name() -> None:
    assert column("val_loss").lower_is_better and column("decode_ms").noisy
    assert not column("f1").lower_is_better
    assert column("top5_accuracy").unit == "%"
    assert Rows.lower_is_better("peak_memory_bytes") and not Rows.lower_is_better("accuracy")


def test_latency_at_more_threads_is_written_like_latency() -> None:
    two = column("latency_ms_p50_threads2")
    assert (two.head, two.noisy, two.on_page) == ("latency, 2 threads", True, False)
    assert two.text(0.5) == column("latency_ms_p50").text(0.5)


def test_a_derived_column_comes_from_the_others() -> None:
    rate = column("images_per_second")
    assert rate.value({"latency_ms_p50": 0.5}) == 2000 and rate.value({}) is None
    assert Column("a", "a").value({"a": 3.0}) == 3.0
