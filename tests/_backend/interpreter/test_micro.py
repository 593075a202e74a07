"""TensorFlow Lite for Microcontrollers as a runtime: outputs, arena, and files that it refuses."""

import random
from importlib import resources
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from tfcompress._backend.interpreter import _runtimes as runtimes
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._micro import Arena
from tfcompress._backend.interpreter._micro_run import measure_arena, run_micro
from tfcompress._backend.interpreter._runtimes import choose
from tfcompress.core import InterpreterError

pytest.importorskip("tflite_micro")


@pytest.fixture(scope="module")
def sine() -> bytes:
    """The wheel's own float32 file, sin(x) for one number."""
    return (resources.files("tflite_micro") / "python/tflite_micro/sine_float.tflite").read_bytes()


@pytest.fixture(scope="module")
def resnet(shared: Path) -> Path:
    """MLPerf Tiny's ResNet-8 in int8."""
    return shared / "models" / "mlperf_tiny_resnet8_int8.tflite"


def test_outputs_are_litert_s(sine: bytes) -> None:
    x = np.linspace(0, 6, 7, dtype=np.float32)[:, None]
    (came,) = run_micro(sine, [x]).outputs
    np.testing.assert_allclose(came, open_interpreter(sine).predict([x])[0], atol=1e-6)
    np.testing.assert_allclose(came, np.sin(x), atol=0.06)


def test_an_int8_file_takes_and_gives_real_numbers(resnet: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3))
    host = open_interpreter(resnet, delegates=False).predict([x])[0]
    came = run_micro(resnet, [x]).outputs[0]
    assert np.abs(came - host).max() <= 2 / 256


def test_arena_is_the_smallest_in_which_the_file_runs(resnet: Path) -> None:
    arena = measure_arena(resnet)
    assert arena.total_bytes == 55_984
    assert arena.head_bytes + arena.tail_bytes == arena.total_bytes
    assert measure_arena(resnet, arena_bytes=55_984) == arena
    with pytest.raises(InterpreterError, match=r"Requested: .* missing: 8"):
        measure_arena(resnet, arena_bytes=55_983)


def test_parts_are_what_the_interpreter_prints() -> None:
    printed = """
[RecordingMicroAllocator] Arena allocation total 300 bytes
[RecordingMicroAllocator] Arena allocation head 200 bytes
[RecordingMicroAllocator] Arena allocation tail 100 bytes
[RecordingMicroAllocator] 'Persistent buffer data' used 96 bytes with alignment overhead (requested
"""
    assert Arena.parse(printed) == Arena(300, 200, 100, (("Persistent buffer data", 96),))


def test_a_file_that_crashes_costs_a_child_process(sine: bytes) -> None:
    damaged = bytearray(sine)
    rng = random.Random(0)
    for _ in range(3):
        damaged[rng.randrange(8, len(damaged))] = rng.randrange(256)
    with pytest.raises(InterpreterError, match=r"^net crashes .*Microcontrollers .*SIGSEGV"):
        measure_arena(bytes(damaged), what="net")


def test_a_damaged_or_empty_file_is_named(sine: bytes) -> None:
    with pytest.raises(InterpreterError, match="damaged"):
        measure_arena(sine[: len(sine) // 2])
    with pytest.raises(InterpreterError, match=r"not a .tflite file: 0 bytes"):
        measure_arena(b"")


def test_without_the_wheel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(runtimes, "version", missing)
    with pytest.raises(InterpreterError, match=r"pip install 'tfcompress\[micro\]'"):
        choose("micro")


def test_auto_is_never_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_micro(distribution: str) -> str:
        if distribution != "tflite-micro":
            raise PackageNotFoundError(distribution)
        return "1"

    monkeypatch.setattr(runtimes, "version", only_micro)
    with pytest.raises(InterpreterError, match="No interpreter"):
        choose("auto")


def test_shapes_are_fixed(sine: bytes) -> None:
    opened = open_interpreter(sine, runtime="micro")
    assert opened.batch == 1
    with pytest.raises(RuntimeError, match=r"fixed on a microcontroller: \[1, 1\], not \[2, 1\]"):
        opened.resize([(2, 1)])
