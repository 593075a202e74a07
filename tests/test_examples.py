"""The short examples run as a user runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_first_compression():
    lines = [line.split() for line in run(EXAMPLES / "first_compression.py").splitlines()]
    accuracy = {line[0]: float(line[2]) for line in lines}
    sizes = {line[0]: int(line[3].replace(",", "")) for line in lines}
    assert list(accuracy) == ["float32", "int8", "prune80-int8"] and min(accuracy.values()) > 0.85
    assert sizes["int8"] < 0.35 * sizes["float32"]


@pytest.mark.slow
def test_own_training_loop():
    said = run(EXAMPLES / "own_training_loop.py")
    assert "share of zeros" in said and float(said.split()[-1]) > 0.85


@pytest.mark.slow
def test_pretrained_resnet8_keeps_its_accuracy_as_int8(shared):
    models = shared / "models"
    said = run(
        EXAMPLES / "resnet8_int8.py",
        models / "mlperf_tiny_resnet8_cifar10.h5",
        *("--data", shared / "data"),
        *("--calibration", models / "mlperf_tiny_resnet8_calibration_idxs.npy"),
        *("--reference", models / "mlperf_tiny_resnet8_int8.tflite"),
    )
    rows = {
        cells[1].strip(): (float(cells[2]), int(cells[3].replace(",", "")))
        for cells in (r.split("|") for r in said.splitlines()[2:])
    }
    assert rows["float32"][0] == 87.19 and rows["mlperf_tiny_resnet8_int8.tflite"][0] == 86.97
    for name in ("int8, training images", "int8, given images"):
        assert rows[name][0] >= 86.9 and rows[name][1] <= 98_496 * 1.05
