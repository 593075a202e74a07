"""`tfcompress study`: a file carried out, gone on with, and told beside what was printed."""

import json
import sys

import pytest

from tfcompress.cli import main

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


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(*words)` → (exit code, stdout, stderr) of `tfcompress study words`."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["tfcompress", "study", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return call


def test_a_study_file_is_carried_out_and_its_results_written(run, tmp_path):
    (tmp_path / "small.toml").write_text(FILE)
    words = (
        tmp_path / "small.toml",
        "--out",
        tmp_path / "out",
        "--seeds",
        "2",
        "--model",
        "net",
        "--results",
        tmp_path / "docs" / "small.md",
    )
    code, out, err = run(*words)
    assert code == 0, err
    assert "| int8 | " in out and "left)" in err and "wrote" in err
    text = (tmp_path / "docs" / "small.md").read_text()
    assert (
        "# Small" in text
        and "| float32 | " in text
        and "97.50" in text
        and f"tfcompress study {tmp_path}" in text
    )
    assert {"report.html", "report.md", "report.csv", "study.json", "shared"} <= {
        file.name for file in (tmp_path / "out" / "net").iterdir()
    }
    page = (tmp_path / "out" / "net" / "report.html").read_text()
    assert "tfcompress study" in page and "Intrinsic dimension by layer" in page
    code, out, _ = run(*words, "--json")
    rows = json.loads(out)["net"]
    assert code == 0 and [(row["recipe"], row["seed"]) for row in rows] == [
        (name, seed) for seed in (0, 1) for name in ("float32", "int8")
    ]
    (tmp_path / "small.toml").write_text(FILE.replace("train = 200", "train = 210"))
    code, _, err = run(*words)
    assert (
        code == 1 and "belongs to another study" in err and len(err.strip().splitlines()[-1]) < 400
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("int8", "intt8", "intt8"),
        ("quantnet", "quantnat", "quantnet"),
        ("[train]", "[trian]", "did you mean train"),
        ("digits", "a.npz", "a.npz"),
    ],
)
def test_bad_files_are_one_line_and_a_code(run, tmp_path, old, new, says):
    (tmp_path / "bad.toml").write_text(FILE.replace(old, new))
    code, out, err = run(tmp_path / "bad.toml", "--out", tmp_path / "out")
    assert code == 1 and says in err and out == ""
    assert len([line for line in err.splitlines() if not line.startswith("Loading")]) == 1
    assert run(tmp_path / "nothing.toml")[0] == 1
    (tmp_path / "bad.toml").write_text(FILE)
    code, _, err = run(tmp_path / "bad.toml", "--model", "other")
    assert code == 1 and "no model 'other'; there are: net" in err
