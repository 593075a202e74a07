"""Cells side by side: processes of joblib and of Dask give what one process gives.

A worker that dies costs its cell alone.
"""

import hashlib
import os
import threading
from typing import Any

import joblib
import pytest
import work

import tfcompress as tfc
from tfcompress import study
from tfcompress._study._child import in_own_process
from tfcompress._study._pool import pack, run_all, workers
from tfcompress.core import DataError

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* points below float32:tfcompress.core.ResultWarning"
)  # work.py trains so briefly that its files are poor


def test_two_processes_give_the_numbers_of_one(one_process, tmp_path):
    report = study(work.build, work.RECIPES, **work.options(seeds=1, out=tmp_path, n_jobs=2))
    assert work.facts(report) == work.facts(one_process[1])
    assert "error" not in report.rows[0] and len(report.rows) == len(work.RECIPES)
    assert not list(tmp_path.rglob("*.pkl"))


def test_two_dask_workers_give_the_numbers_of_one_process(one_process, tmp_path):
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with local, distributed.Client(local), joblib.parallel_config(backend="dask"):
        assert workers(1) == 2
        report = study(work.build, work.RECIPES, **work.options(seeds=1, out=tmp_path))
    assert work.facts(report) == work.facts(one_process[1])


def test_a_shared_prefix_is_trained_once_and_changes_no_number(one_process):
    out, report = one_process
    assert [file.name.split("-seed")[0] for file in sorted(out.glob("shared/*.keras"))] == [
        "base",
        "prune50",
    ]
    started = {row["recipe"]: row["made"].get("started_from", "")[:7] for row in report.rows}
    assert started == {name: "prune50" * name.startswith("prune50") for name in work.RECIPES}
    options = work.options()
    base = tfc.load_model(next(out.glob("shared/base-*.keras")))
    for row in report.rows[2:]:
        alone = tfc.compress(
            base,
            row["recipe"],
            fit=options["fit"],
            samples=options["samples"],
            seed=0,
            progress=False,
        )
        assert hashlib.sha256(alone.data).hexdigest() == row["made"]["sha256"]
        kept = tfc.Artifact.load(out / row["made"]["file"])
        assert (kept.recipe, kept.checks, kept.skipped) == (
            alone.recipe,
            alone.checks,
            alone.skipped,
        )


def _job(what, number):
    if number == what["dies"]:
        os._exit(3)
    if number == what["raises"]:
        raise ZeroDivisionError("no")
    return number * 10, os.getpid()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_worker_that_dies_costs_its_job_alone(backend, tmp_path):
    packed = pack({"dies": 2, "raises": 4}, tmp_path / "what.pkl")
    with joblib.parallel_config(backend=backend):
        found: dict[int, Any] = dict(run_all(_job, packed, range(6), 2))
    assert sorted(found) == list(range(6))
    assert [found[n][0] for n in (0, 1, 3, 5)] == [0, 10, 30, 50]
    assert (
        isinstance(found[2], Exception)
        and "ZeroDivisionError" in f"{type(found[4]).__name__}{found[4]}"
    )
    assert os.getpid() not in [found[n][1] for n in (0, 1, 3, 5)]


def test_a_child_serves_many_jobs_and_is_replaced_when_it_dies(tmp_path):
    packed = str(pack({"dies": 7, "raises": 8}, tmp_path / "what.pkl"))
    first, second = (in_own_process(_job, packed, n)[1] for n in (1, 2))
    assert first == second != os.getpid()
    with pytest.raises(RuntimeError, match="died"):
        in_own_process(_job, packed, 7)
    third = in_own_process(_job, packed, 3)[1]
    assert third != first
    with pytest.raises(RuntimeError, match="ZeroDivisionError: no"):
        in_own_process(_job, packed, 8)
    assert in_own_process(_job, packed, 3)[1] == third


def test_the_process_of_a_thread_ends_with_the_thread(tmp_path):
    packed = str(pack({"dies": 7, "raises": 8}, tmp_path / "what.pkl"))
    numbers: list[int] = []
    thread = threading.Thread(target=lambda: numbers.append(in_own_process(_job, packed, 1)[1]))
    thread.start()
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(numbers[0], 0)


def test_what_cannot_be_pickled_is_refused_before_anything_runs(tmp_path):
    lock = threading.Lock()
    with pytest.raises(DataError, match="as pickles, which fails here"):
        study(
            work.build,
            ["float32"],
            **work.options(out=tmp_path, n_jobs=2, fit=lambda model, callbacks: lock.acquire()),
        )
    assert not list(tmp_path.glob("*.tflite"))
