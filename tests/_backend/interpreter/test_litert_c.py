"""Times of single operations from inside LiteRT; those that cannot be are refused."""

import pytest

from tfcompress._backend.interpreter import _litert_c as litert_c
from tfcompress._backend.interpreter._litert_c import library, time_ops
from tfcompress._backend.isolate import in_child
from tfcompress.core import InterpreterError
from tfcompress.profiling._memory import SMALLEST
from tfcompress.profiling._profile import CHILD


class Profiled:
    """Stands for the compiled model: gives the events of each run in turn."""

    def __init__(self, runs, wall):
        self.runs, self.wall = iter(runs), wall

    def __call__(self, path, threads):
        return self

    def run(self):
        pass

    def profiled_run(self):
        return next(self.runs), self.wall


def event(kind, tag, place, taken):
    return litert_c._Event(tag=tag, type=kind, metadata1=place, elapsed_us=taken)


def test_real_operations_of_a_real_file(tmp_path):
    (tmp_path / "net.tflite").write_bytes(SMALLEST)
    arguments = {"path": str(tmp_path / "net.tflite"), "threads": 1, "seconds": 0.1}
    found = in_child(CHILD, "ops", arguments, what="net", runtime="litert", timeout=60)
    assert [name for name, _, _ in found if name.startswith("Fully Connected")]
    assert all(taken >= 0 for _, _, taken in found)


def test_a_file_that_litert_refuses_is_an_error(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(SMALLEST[:100])
    arguments = {"path": str(tmp_path / "bad.tflite"), "threads": 1, "seconds": 0.1}
    with pytest.raises(
        InterpreterError, match=r"LiteRT's LiteRtCreate\w+ failed with status|crashes"
    ):
        in_child(CHILD, "ops", arguments, what="bad", runtime="litert", timeout=60)


def test_medians_by_operation(monkeypatch):
    runs = [
        [event(8, b"Convolution (NHWC, F32)", 0, taken), event(2, b"SOFTMAX", 7, 2)]
        for taken in (5, 9, 5, 100, 5) * 2
    ]
    monkeypatch.setattr(litert_c, "_Profiled", Profiled(runs, wall=20.0))
    first, second = time_ops("net.tflite", seconds=0.0)
    assert (first.kernel, first.op, first.time_us_p50) == ("Convolution (NHWC, F32)", None, 5.0)
    assert (second.kernel, second.op, second.time_us_p50) == ("SOFTMAX", 7, 2.0)


def test_times_that_cannot_be_are_refused(monkeypatch):
    monkeypatch.setattr(
        litert_c, "_Profiled", Profiled([[event(2, b"ADD", 0, 10**9)]] * 10, wall=20.0)
    )
    with pytest.raises(InterpreterError, match="of a run of 20 µs"):
        time_ops("net.tflite", seconds=0.0)


def test_changing_lists_of_operations_are_refused(monkeypatch):
    runs = [[event(2, b"ADD", place % 2, 1)] for place in range(10)]
    monkeypatch.setattr(litert_c, "_Profiled", Profiled(runs, wall=20.0))
    with pytest.raises(InterpreterError, match="2 different lists"):
        time_ops("net.tflite", seconds=0.0)


def test_no_library_says_what_to_install(monkeypatch):
    installed = library()
    assert installed is not None and installed.name == "libLiteRt.so"
    monkeypatch.setattr(litert_c, "library", lambda: None)
    with pytest.raises(InterpreterError, match="pip install -U ai-edge-litert"):
        time_ops("net.tflite")
