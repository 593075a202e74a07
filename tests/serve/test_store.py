"""Measurements of visitors: validated, stored whole, and columns of the report."""

import json
import threading

import pytest

from tfcompress.core._schema import FormatError
from tfcompress.serve._store import Measurement, Store, check_timing, with_measurements


@pytest.mark.parametrize(
    "change",
    [
        {"latency_ms_p50": float("nan")},
        {"latency_ms_p50": float("inf")},
        {"latency_ms_p50": -1.0},
        {"latency_ms_p50": "0.5"},
        {"latency_ms_p50": 0.7},
        {"device": ""},
        {"device": "<script>"},
        {"device": "a\nb"},
        {"device": "x" * 61},
        {"accelerator": "cloud"},
        {"threads": 0},
        {"blocks": 10**9},
        {"more": 1},
    ],
)
def test_what_is_no_timing_is_refused(timing, change):
    check_timing(timing)
    with pytest.raises(FormatError):
        check_timing({**timing, **change})


def test_all_that_come_at_once_are_kept(timing, tmp_path):
    store = Store(tmp_path / "browser")

    def post(number):
        posted = check_timing({**timing, "device": f"device {number}"})
        store.add(Measurement("0" * 64, posted, 0.0))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {measurement.timing.device for measurement in store.all()}
    assert kept == {f"device {number}" for number in range(24)}


def test_what_is_half_a_file_is_passed_over(timing, tmp_path):
    store = Store(tmp_path)
    file = store.add(Measurement("0" * 64, check_timing(timing), 0.0))
    (tmp_path / "1.json").write_text(file.read_text()[:40])
    (tmp_path / "2.json").write_text("[]")
    assert len(store.all()) == 1


def test_the_newest_of_a_device_is_a_column_of_its_file(timing, site):
    file = next(iter(site.catalogue.files.values()))
    report = site.catalogue.report()
    old = Measurement(file.sha256, check_timing(timing), 0.0, score=0.8)
    new = Measurement(file.sha256, check_timing({**timing, "latency_ms_p50": 0.25}), 0.0, score=0.9)
    shown = with_measurements(report, [old, new])
    assert shown.rows[0]["latency_ms_p50@browser: Pixel 8"] == 0.25
    assert shown.rows[0]["accuracy@browser: Pixel 8"] == 0.9
    assert "latency_ms_p50@browser: Pixel 8" not in shown.rows[1]
    assert "latency_ms_p50@browser: Pixel 8" not in report.rows[0]
    assert json.loads(shown.to_json())["rows"][0]["cold_ms@browser: Pixel 8"] == 30.0
