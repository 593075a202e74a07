"""Profiles of real files, files that cannot be profiled, and that NumPy alone is needed."""

import gzip
import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfcompress._backend import isolate
from tfcompress.core import Artifact, InterpreterError, Profile, Recipe, Target
from tfcompress.core._types import ArrayLike, Model
from tfcompress.profiling import _memory, _profile, profile, profile_many
from tfcompress.profiling.__main__ import main

x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the division that crashes does so on x86 only",
)


@pytest.fixture(scope="module")
def measured(files: SimpleNamespace) -> Profile:
    return profile(files.fixed, threads=(1, 2), seconds=0.5)


def test_sizes_counts_and_times(files: SimpleNamespace, measured: Profile) -> None:
    data = files.fixed.read_bytes()
    assert (measured.name, measured.size_bytes) == ("fixed", len(data))
    assert measured.gzip_bytes == len(gzip.compress(data, 9, mtime=0))
    assert measured.sha256 == hashlib.sha256(data).hexdigest()
    assert (measured.weights, measured.macs) == (files.parameters, sum(files.macs.values()))
    assert measured.runtime.startswith("litert ")
    assert measured.init_ms and measured.first_ms
    assert measured.init_ms > 0 and measured.first_ms > 0
    assert [row.threads for row in measured.latency] == [1, 2]
    for row in measured.latency:
        assert row.warmup_runs >= 3 and row.runs >= 5
        assert (
            0
            < row.latency_ms_min
            <= row.latency_ms_p50
            <= row.latency_ms_p90
            <= row.latency_ms_p99
            <= row.latency_ms_max
        )
    assert measured.inputs == ({"name": "image", "shape": [1, 16, 16, 3], "dtype": "float32"},)
    assert measured.environment["usable_cores"] >= 1 and measured.environment["cpu"]


def test_operations_have_times_and_macs(files: SimpleNamespace, measured: Profile) -> None:
    assert measured.ops_source == "litert"
    assert {op.kind: op.macs for op in measured.ops if op.macs} == files.macs
    times = [op.time_us_p50 for op in measured.ops if op.time_us_p50 is not None and op.kernel]
    assert len(times) == len(measured.ops) and measured.latency_ms_p50 is not None
    assert 0 < sum(times) / 1e3 < 5 * measured.latency_ms_p50


def test_memory_is_the_files_not_the_runtimes(measured: Profile) -> None:
    assert measured.peak_memory_bytes is not None and measured.anon_memory_bytes is not None
    assert 0 < measured.peak_memory_bytes < 4 * 2**20
    assert measured.anon_memory_bytes <= measured.peak_memory_bytes


def test_memory_grows_with_the_weights(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    from tfcompress._backend.quiet import quiet

    model = keras.Sequential(
        [keras.layers.Input((1024,)), keras.layers.Dense(2048), keras.layers.Dense(16)]
    )
    with quiet():
        (tmp_path / "wide.tflite").write_bytes(
            tf.lite.TFLiteConverter.from_keras_model(model).convert()
        )
    found = profile(tmp_path / "wide.tflite", runs=3, ops=False)
    assert found.weights is not None and found.peak_memory_bytes is not None
    weights = found.weights * 4
    assert weights * 0.95 < found.peak_memory_bytes < weights * 3


def test_no_proc_no_memory(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_memory, "STATUS", tmp_path / "missing")
    monkeypatch.setattr(_memory, "CLEAR", tmp_path / "missing" / "too")
    assert _memory.status() == {} and not _memory.forget_peak()
    ask = _profile.Asker.__call__

    def without_proc(self, job: str, what: str, arguments: Any, **options: Any) -> Any:
        if job == "memory":
            return {"peak": None, "anon": None, "exact": False}
        return ask(self, job, what, arguments, **options)

    monkeypatch.setattr(_profile.Asker, "__call__", without_proc)
    found = profile(files.fixed, runs=3, ops=False)
    assert found.peak_memory_bytes is None and any("/proc" in note for note in found.notes)


def test_several_files_bytes_and_artifacts(files: SimpleNamespace) -> None:
    artifact = Artifact(files.int8.read_bytes(), Recipe([], _target()))
    found = profile_many(
        [files.dynamic, files.hybrid.read_bytes(), artifact],
        names=["a", "b", "c"],
        runs=20,
        ops=False,
    )
    assert [item.name for item in found] == ["a", "b", "c"]
    assert all(
        isinstance(item, Profile) and item.latency[0].runs == 20 and item.ops_source == "macs"
        for item in found
    )
    assert {item.macs for item in found} == {sum(files.macs.values())}
    assert found[2].inputs[0]["dtype"] == "int8" and found[2].inputs[0]["scale"] > 0
    assert profile(artifact, runs=3, ops=False).name == artifact.name
    assert json.loads(json.dumps(found[0].to_dict()))["name"] == "a"
    assert "94,176" in str(found[0])


def test_without_delegates_operations_have_no_times(files: SimpleNamespace) -> None:
    plain = profile(files.fixed, delegates=False, runs=3)
    assert plain.ops_source == "macs"
    assert not any("XNNPACK" in note for note in plain.notes)


@x86
def test_a_crash_is_an_error_with_file_runtime_and_signal(files: SimpleNamespace) -> None:
    with pytest.raises(
        InterpreterError,
        match=r"crashing\.tflite crashes litert \S+: SIGFPE \(signal 8\) "
        r"while running for the first time",
    ):
        profile(files.crashing)


@x86
def test_the_others_are_measured_when_one_crashes(files: SimpleNamespace) -> None:
    bad, cut, good = profile_many(
        [files.crashing, files.truncated, files.fixed], on_error="note", runs=3, ops=False
    )
    assert (
        bad.latency == ()
        and "SIGFPE" in bad.notes[0]
        and bad.size_bytes == files.crashing.stat().st_size
    )
    assert cut.latency == () and "truncated.tflite does not load" in cut.notes[0]
    assert good.latency[0].runs == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("truncated", "truncated.tflite does not load in litert"),
        ("text", "text.tflite is not a .tflite file"),
        ("missing", "Cannot read"),
    ],
)
def test_bad_files_are_named(files: SimpleNamespace, name: str, says: str) -> None:
    with pytest.raises(InterpreterError, match=says):
        profile(files.folder / f"{name}.tflite", runs=3)


def test_bytes_that_are_cut_short_are_called_by_their_name(files: SimpleNamespace) -> None:
    with pytest.raises(InterpreterError, match=r"^model does not load in litert"):
        profile(files.truncated.read_bytes(), runs=3)


def test_a_file_that_takes_too_long_is_an_error(files: SimpleNamespace) -> None:
    with pytest.raises(InterpreterError, match=r"did not finish within 0\.01 s"):
        profile(files.fixed, runs=3, timeout=0.01)


@pytest.mark.parametrize(
    "options", [{"threads": ()}, {"threads": (0,)}, {"runs": 0}, {"on_error": "ignore"}]
)
def test_bad_options(files: SimpleNamespace, options: Any) -> None:
    with pytest.raises(ValueError, match="counts start at 1"):
        profile_many([files.fixed], **options)


@pytest.mark.parametrize("threads", [0, 2])
def test_one_number_is_no_sequence_of_thread_counts(files: SimpleNamespace, threads: int) -> None:
    with pytest.raises(ValueError, match=rf"threads={threads}: expected a sequence of counts"):
        profile(files.fixed, threads=threads)  # pyright: ignore[reportArgumentType]


def test_wrong_kind_of_file() -> None:
    with pytest.raises(InterpreterError, match="ndarray came"):
        profile(np.zeros(3))  # pyright: ignore[reportArgumentType]


def test_no_settled_median_is_noted() -> None:
    from tfcompress.core import Latency

    row = Latency(64, 9, 3, 1, 1, 1, 1, 0, 1, 1, 0, 0, uncertainty_fraction=0.07)
    notes = _profile._timing_notes(row, settled=False, precision=0.02)
    assert "± 7.0%" in notes[0] and "64 threads on" in notes[1]
    assert _profile._timing_notes(row, settled=True, precision=0.02) == notes[1:]


def test_missing_operation_times_fall_back_to_macs(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = isolate.in_child

    def no_ops(module: str, job: str, *arguments: Any, **options: Any) -> Any:
        if job == "ops":
            raise InterpreterError("No libLiteRt.so")
        return real(module, job, *arguments, **options)

    monkeypatch.setattr(_profile, "in_child", no_ops)
    found = profile(files.fixed, runs=3)
    assert found.ops_source == "macs" and all(op.time_us_p50 is None for op in found.ops)
    assert any("no times of single operations: No libLiteRt.so" in note for note in found.notes)


def test_nothing_but_numpy_and_an_interpreter(
    files: SimpleNamespace, python: Callable[..., Any]
) -> None:
    code = """
from tfcompress.profiling import profile
found = profile(sys.argv[1], runs=5)
heavy = ("tensorflow", "keras", "tf_keras", "rich", "scipy")
heavy += ("ai_edge_litert", "ai_edge_litert.interpreter")
print(found.ops_source, found.latency[0].runs, [name for name in heavy if sys.modules.get(name)])
"""
    done = python(code, files.int8)
    assert done.stdout.split(maxsplit=2)[:2] == ["litert", "5"]
    assert done.stdout.strip().endswith("[]")
    assert done.stderr == ""


def test_module_form(files: SimpleNamespace, python: Callable[..., Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_test=files.x, y_test=np.zeros(40, int))
    code = "from tfcompress.profiling.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    done = python(
        code,
        files.fixed,
        "--threads",
        "1,2",
        "--runs",
        5,
        "--no-ops",
        "--data",
        tmp_path / "d.npz",
        "--json",
    )
    (row,) = json.loads(done.stdout)
    assert [item["threads"] for item in row["profile"]["latency"]] == [1, 2]
    assert row["metric"] == "accuracy" and 0 <= row["score"] <= 1
    assert "error: " in python(code, files.text, status=1).stderr


def test_module_form_in_words(
    files: SimpleNamespace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        main([str(files.fixed), str(files.truncated), "--runs", "3", "--no-ops", "--keep-going"])
        == 0
    )
    said = capsys.readouterr().out
    assert "MACs 94,176" in said and "note: " in said
    (tmp_path / "d.npz").write_bytes(b"nothing")
    assert main([str(files.fixed), "--data", str(tmp_path / "d.npz")]) == 1
    np.savez(tmp_path / "e.npz", images=files.x)
    np.savez(tmp_path / "f.npz", x=files.x[:, :8], y=np.zeros(40, int))
    assert (
        main(
            [
                str(files.fixed),
                "--runs",
                "3",
                "--no-ops",
                "--keep-going",
                "--data",
                str(tmp_path / "f.npz"),
            ]
        )
        == 0
    )
    assert "[1, 16, 16, 3]" in capsys.readouterr().out
    assert (
        main([str(files.fixed), "--runs", "3", "--no-ops", "--data", str(tmp_path / "e.npz")]) == 1
    )
    assert "['images']" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(files.fixed), "--threads", "one"])


@pytest.mark.slow
def test_tensorflows_interpreter_says_the_same(files: SimpleNamespace) -> None:
    found = profile(files.fixed, runtime="tensorflow", runs=5)
    assert found.runtime.startswith("tensorflow ") and found.ops_source == "macs"
    assert (found.macs, found.weights) == (sum(files.macs.values()), files.parameters)


def _target() -> Target:
    from tfcompress.core import Target

    class Any(Target):
        def convert(self, model: Model, samples: ArrayLike = None) -> bytes:
            return b""

    return Any()
