"""`study`: a file carried out, gone on with, and told beside what was printed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

FILE = """
title = "Small"
significance = "twonn"
[data]
name = "digits"
train = 200
test = 100
[train]
epochs = 1
[recipes]
names = ["float32", "int8"]
[models.net]
zoo = "quantnet"
printed = { float32 = { accuracy = 97.5, size_bytes = 1000 } }
"""


def test_a_study_file_is_carried_out_and_its_results_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(FILE)
    results = tmp_path / "docs" / "small.md"
    words = ("study", tmp_path / "small.toml", "--seeds 2 --model net --out", tmp_path / "out")
    words = (*words, "--results", results)
    code, out, err = run(*words)
    assert code == 0, err
    assert "| int8 | " in out and "left)" in err and "wrote" in err
    text = results.read_text()
    for part in ("# Small", "| float32 | ", "97.50", f"tfcompress study {tmp_path}"):
        assert part in text
    written = {file.name for file in (tmp_path / "out" / "net").iterdir()}
    assert {"report.html", "report.md", "report.csv", "study.json", "shared"} <= written
    page = (tmp_path / "out" / "net" / "report.html").read_text()
    assert "tfcompress study" in page and "Intrinsic dimension by layer" in page
    code, out, _ = run(*words, "--json")
    rows = [(row["recipe"], row["seed"]) for row in json.loads(out)["net"]]
    assert code == 0
    assert rows == [("float32", 0), ("int8", 0), ("float32", 1), ("int8", 1)]
    (tmp_path / "small.toml").write_text(FILE.replace("train = 200", "train = 210"))
    code, _, err = run(*words)
    assert code == 1 and "belongs to another study" in err
    assert len(err.strip().splitlines()[-1]) < 400


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("int8", "intt8", "intt8"),
        ("quantnet", "quantnat", "quantnet"),
        ("[train]", "[trian]", "did you mean train"),
        ("digits", "a.npz", "a.npz"),
    ],
)
def test_bad_files_are_one_line_and_a_code(
    run: Run, tmp_path: Path, old: str, new: str, says: str
) -> None:
    file, out_folder = tmp_path / "bad.toml", tmp_path / "out"
    file.write_text(FILE.replace(old, new))
    code, out, err = run("study", file, "--out", out_folder)
    assert code == 1 and says in err and out == ""
    assert len([line for line in err.splitlines() if not line.startswith("Loading")]) == 1
    assert run("study", tmp_path / "nothing.toml")[0] == 1
    file.write_text(FILE)
    code, _, err = run("study", file, "--model other")
    assert code == 1 and "no model 'other'; there are: net" in err
