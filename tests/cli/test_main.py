"""The command itself: errors in one line before any work, help, version, Ctrl-C, the backend."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tfcompress.cli import main

Run = Callable[..., tuple[int, str, str]]


def _words(text: str, saved: Path) -> list[str | Path]:
    """The words of a line, SAVED standing for the model's file."""
    return [saved if word == "SAVED" else word for word in text.split()]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compress SAVED --recipe nothing.json", "nothing.json"),
        ("compress SAVED --recipe macs50-int8 --teacher self", "--data"),
        ("compress SAVED --recipe macs50-int8 --data digits --teacher no.keras", "at no.keras"),
        ("sensitivity SAVED", "--data"),
        ("sensitivity SAVED --data digits --by stage", "block"),
        ("cost nothing.keras", "nothing.keras"),
        ("convert nothing.keras", "nothing.keras"),
        ("profile nothing.tflite", "nothing.tflite"),
        ("compress SAVED --recipe prun80-int8", "prune80-int8"),
        ("convert SAVED --target int8", "samples"),
        ("convert SAVED --target int8 --data nothing", "nothing"),
        ("convert SAVED --target int8", "--data"),
        ("compress SAVED --recipe int8-prune80", "write prune80-int8"),
        ("compress SAVED --recipe prune80", "--no-training"),
        ("compress SAVED --recipe qat-int8 --data digits --no-training", "qat"),
        ("compress SAVED --recipe prune80 --data digits --epochs 0", "--epochs of 1 or more"),
        ("convert SAVED --data digits --scale zero", "--scale"),
        ("profile SAVED --threads 0", "--threads 0: expected"),
        ("profile SAVED --threads 1,two", "--threads 1,two: expected"),
        ("compare SAVED --max-bytes small", "--max-bytes"),
        ("significance SAVED --data digits --by mle", "twonn, pca"),
        ("significance SAVED --data digits --view rows", "flatten or channels"),
    ],
)
def test_errors_are_one_line_and_a_code(run: Run, saved: Path, line: str, message: str) -> None:
    code, out, err = run(*_words(line, saved))
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("convert SAVED --out", "taken/net"),
        ("compress SAVED --recipe float32 --out", "taken/deep/net"),
        ("significance SAVED --data digits --plot", "taken/plot.png"),
        ("significance SAVED --data digits --plot", "taken"),
        ("sensitivity SAVED --data digits --recipe", "taken"),
        ("compare SAVED --html", "taken"),
        ("compare SAVED --html", "taken/page.html"),
        ("demo --out", "taken"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, place: str
) -> None:
    (tmp_path / "taken").write_text("a file where a folder, or nothing, should be")
    monkeypatch.setattr("tfcompress.cli._inputs.load_tensorflow", lambda: pytest.fail("too late"))
    monkeypatch.setattr("tfcompress._study.compare", lambda *_, **__: pytest.fail("too late"))
    code, out, err = run(*_words(line, saved), tmp_path / place)
    assert code == 1 and out == ""
    assert str(tmp_path / "taken") in err and len(err.strip().splitlines()) == 1


def test_a_folder_without_permission_is_said_before_any_work(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    code, _, err = run("convert", saved, "--out", tmp_path / "net")
    assert code == 1 and "cannot be written to" in err


def test_a_demo_folder_of_another_seed_is_refused_before_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"seed": 0, "epochs": 15}')
    code, _, err = run("demo --seed 1 --out", tmp_path)
    assert code == 1 and "the demo of --seed 0, --epochs 15" in err
    assert len(err.strip().splitlines()) == 1


def test_version_and_short_help(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version") == (0, f"tfcompress {version('tfcompress')}\n", "")
    for words in ("-h", "compress -h", "study --help"):
        code, out, _ = run(words)
        assert code == 0 and "Usage: tfcompress" in out


@pytest.mark.parametrize("width", [60, 100])
def test_help_cuts_nothing_on_a_narrow_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for word in ("compress", "compare", "study"):
        out = run(word, "--help")[1]
        assert "…" not in out and max(len(line) for line in out.splitlines()) <= width


def test_help_and_recipes_show_every_word_of_the_table(run: Run) -> None:
    import json

    from tfcompress.recipes import WORDS

    help_text = "".join(run("compress --help")[1].split())
    listed = run("recipes")[1]
    table = json.loads(run("recipes --json")[1])
    for word in WORDS:
        assert word.spelling.replace(" ", "") in help_text and word.spelling in listed
        assert word.example in listed
    assert [entry["word"] for entry in table] == [word.spelling for word in WORDS]


def test_an_unexpected_error_is_one_line_and_verbose_shows_where(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("no such thing\nat all")

    monkeypatch.setattr("tfcompress.profiling.profile_many", fail)
    code, out, err = run("profile net.tflite")
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1
    assert "unexpected KeyError" in err and "--verbose" in err
    monkeypatch.setattr(sys, "argv", ["tfcompress", "profile", "net.tflite", "--verbose"])
    with pytest.raises(KeyError):
        main()


def test_a_python_warning_is_one_line_without_its_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(*_: object, **__: object) -> list[object]:
        warnings.warn("calibrated on\nfew samples", stacklevel=1)
        return []

    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr("tfcompress.profiling.profile_many", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        monkeypatch.setattr(warnings, "showwarning", _printed)
        err = run("profile net.tflite")[2]
    assert err == "WARNING: calibrated on few samples\n"


def _printed(message: Warning, category: type[Warning], place: str, line: int, *_: object) -> None:
    """Print as Python does outside of pytest, which collects warnings."""
    print(warnings.formatwarning(message, category, place, line), end="", file=sys.stderr)


def test_ctrl_c_says_what_was_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tfcompress.cli._demo._study", stop)
    monkeypatch.setattr("tfcompress.cli._inputs.load_tensorflow", lambda: None)
    code, _, err = run("demo --out", tmp_path / "demo")
    assert code == 130
    assert "tfcompress: stopped; finished files are kept in " in err


def test_the_command_takes_the_tensorflow_backend_itself(saved: Path, tmp_path: Path) -> None:
    """With a backend that is not installed, the command works as without one."""
    done = subprocess.run(
        [sys.executable, "-m", "tfcompress.cli", "convert", saved, "--out", tmp_path / "net"],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "net.tflite").exists() and "Traceback" not in done.stderr


def test_sizes_in_words() -> None:
    from tfcompress.cli._inputs import byte_count

    assert byte_count("") is None
    sizes = [byte_count(text) for text in ("50000", "50kB", "1.5MB", "2 KiB")]
    assert sizes == [50000, 50000, 1.5e6, 2048]
