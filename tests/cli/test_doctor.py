"""`doctor`: this machine's row of the version matrix, and what does not fit."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_doctor_prints_this_machines_row(run: Run) -> None:
    code, out, _ = run("doctor --json")
    facts = json.loads(out)
    assert {"python", "tensorflow", "keras", "tf_keras", "ai-edge-litert", "problems"} <= set(facts)
    assert code == bool(facts["problems"])
    assert "tensorflow" in run("doctor")[1]


def test_doctor_names_what_does_not_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfcompress.cli import _doctor

    versions = {
        "tensorflow": "2.15.0",
        "keras": "3.0.0",
        "tf_keras": "2.17.0",
        "numpy": "2.1.0",
        "tflite-runtime": "2.14.0",
    }
    monkeypatch.setattr(_doctor, "installed", versions.get)
    code, out, _ = run("doctor")
    assert code == 1
    for words in (
        "use 2.17 to 2.21",
        "tf-keras~=2.15.0",
        "numpy<2",
        "tensorflow-model-optimization is not installed",
    ):
        assert words in out


def test_doctor_looks_at_the_environment_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    code, out, _ = run("doctor")
    assert code == 1 and "KERAS_BACKEND=torch" in out


def test_doctor_loads_no_tensorflow() -> None:
    code = (
        "import sys; from tfcompress.cli import main; sys.argv = ['tfcompress', 'doctor']\n"
        "try: main()\nexcept SystemExit: pass\nprint('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("False")
