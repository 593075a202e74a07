"""`debug`: the table, the JSON and the picture of errors by layer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import tfcompress as tfc

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def int8_file(saved: Path, digits: tuple, tmp_path: Path) -> Path:
    artifact = tfc.convert(tfc.load_model(saved), "int8", samples=digits[0][:100])
    return artifact.save(tmp_path / "net")[0]


def test_debug_prints_draws_and_gives_json(
    run: Run, saved: Path, int8_file: Path, tmp_path: Path
) -> None:
    words = ("debug", int8_file, "--model", saved, "--data digits --images 20")
    code, out, err = run(*words, "--plot", tmp_path / "errors.png")
    assert code == 0, err
    assert "effect %" in out and "conv1" in out
    assert (tmp_path / "errors.png").read_bytes()[:4] == b"\x89PNG"
    code, out, err = run(*words, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["inputs"] == 20 and facts["layers"][0]["layer"] == "conv1"


def test_debug_says_what_is_missing(run: Run, saved: Path, tmp_path: Path) -> None:
    code, _, err = run("debug", tmp_path / "none.tflite", "--model", saved, "--data digits")
    assert code == 1 and "none.tflite" in err
