"""`cost`, `profile` and `compare`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_convert_profile_compare(run: Run, saved: Path, tmp_path: Path) -> None:
    for target in ("float32", "int8"):
        words = ("convert", saved, f"--target {target} --data digits --json --out")
        code, out, err = run(*words, tmp_path / target)
        assert code == 0, err
        facts = json.loads(out)
        assert facts["accuracy"] > 0.8
        assert (tmp_path / f"{target}.tflite").stat().st_size == facts["size_bytes"]
    files = [tmp_path / "float32.tflite", tmp_path / "int8.tflite"]
    sizes = [file.stat().st_size for file in files]
    code, out, err = run("profile", *files, "--json")
    assert code == 0, err
    assert [item["size_bytes"] for item in json.loads(out)] == sizes
    _compare(run, files, sizes, tmp_path / "page.html")


def _compare(run: Run, files: list[Path], sizes: list[int], page: Path) -> None:
    """Rows, page, differences and recommendation of `compare` of a float32 and an int8 file."""
    code, out, err = run("compare", *files, "--data digits --json --html", page)
    assert code == 0, err
    rows = json.loads(out)
    assert all(row["accuracy"] > 0.8 for row in rows)
    assert [row["recommended"] for row in rows].count(True) == 1
    assert "difference" not in rows[0] and -0.2 < rows[1]["difference"]["mean"] < 0.2
    assert "<html" in page.read_text()
    words = ("compare", *files, "--data digits --max-bytes")
    code, out, err = run(*words, f"{sizes[1]}")
    assert code == 0, err
    assert "int8 against float32: " in out and "Recommended: int8 " in out
    assert "No file has" in run(*words, "1kB")[1]


def test_cost_is_the_models(run: Run, saved: Path) -> None:
    from tfcompress import analysis
    from tfcompress._compress import load_model

    code, out, err = run("cost", saved, "--json")
    assert code == 0, err
    facts, cost = json.loads(out), analysis.cost(load_model(saved))
    assert (facts["params"], facts["macs"], facts["unknown"]) == (cost.params, cost.macs, [])
    assert [layer["name"] for layer in facts["layers"]] == [layer.name for layer in cost.layers]
    assert f"{cost.macs:,}" in run("cost", saved)[1]


def test_truncated_file_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "half.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\x00" * 20)
    code, _, err = run("profile", tmp_path / "half.tflite")
    assert code == 1
    assert "half.tflite" in err


def test_a_file_on_devices(run: Run, saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    pytest.importorskip("ethosu.vela")
    for target in ("int8io", "float16"):
        code, _, err = run(
            "convert", saved, f"--target {target} --data digits --out", tmp_path / target
        )
        assert code == 0, err
    files = [tmp_path / "int8io.tflite", tmp_path / "float16.tflite"]
    devices = "--device micro --device ethos-u55-128"
    code, out, err = run("profile", files[0], devices, "--json")
    assert code == 0, err
    micro, npu = json.loads(out)
    assert micro["arena_bytes"] > 0 and npu["estimated_cycles"] > 0
    code, out, err = run("profile", files[1], devices)
    assert code == 1 and "weights stored as float16" in out
    code, out, err = run("compare", *files, devices, "--json --html", tmp_path / "page.html")
    assert code == 0, err
    rows = json.loads(out)
    assert rows[0]["arena_bytes@micro"] == micro["arena_bytes"]
    assert rows[0]["estimated_flash_bytes@ethos-u55-128"] == npu["estimated_flash_bytes"]
    assert "arena_bytes@micro" not in rows[1]
    assert any("micro cannot run it" in warning for warning in rows[1]["warnings"])
    page = (tmp_path / "page.html").read_text()
    assert "arena, micro" in page and "micro cannot run it" in page
    code, _, err = run("profile", files[0], "--device ethos-u5")
    assert code == 1 and "ethos-u55" in err


def test_the_kit_of_a_file(run: Run, saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    code, _, err = run("convert", saved, "--target int8io --data digits --out", tmp_path / "net")
    assert code == 0, err
    code, _, err = run("micro", tmp_path / "net.tflite", "--out", tmp_path / "kit")
    assert code == 0 and "model_operators.h" in err
    code, _, err = run("micro", tmp_path / "net.tflite", "--out", tmp_path / "kit")
    assert code == 1 and "--overwrite" in err
