"""The command: each subcommand as a shell or a script calls it, and its errors in one line."""

import json
import subprocess
import sys

import pytest

from tfcompress.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(*words)` → (exit code, stdout, stderr) of `tfcompress words`."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["tfcompress", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return call


@pytest.fixture(scope="module")
def saved(small_cnn, digits, tmp_path_factory):
    """A trained model's .keras file."""
    path = tmp_path_factory.mktemp("cli") / "net.keras"
    model = small_cnn("keras")
    model.fit(digits[0], digits[1], epochs=4, verbose=0)
    model.save(path)
    return path


def test_doctor_prints_this_machines_row(run):
    code, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert {"python", "tensorflow", "keras", "tf_keras", "ai-edge-litert", "problems"} <= set(found)
    assert code == bool(found["problems"])
    assert "tensorflow" in run("doctor")[1]


def test_doctor_names_what_does_not_fit(run, monkeypatch):
    from tfcompress.cli import _doctor

    versions = {"tensorflow": "2.15.0", "keras": "3.0.0", "tf_keras": "2.17.0", "numpy": "2.1.0", "tflite-runtime": "2.14.0"}
    monkeypatch.setattr(_doctor, "_version", versions.get)
    code, out, _ = run("doctor")
    assert code == 1
    for words in ("use 2.17 to 2.21", "tf-keras~=2.15.0", "numpy<2", "tensorflow-model-optimization is not installed"):
        assert words in out


def test_convert_profile_compare(run, saved, tmp_path):
    for target in ("float32", "int8"):
        code, out, err = run("convert", saved, "--target", target, "--data", "digits", "--out", tmp_path / target, "--json")
        assert code == 0, err
        said = json.loads(out)
        assert said["accuracy"] > 0.8
        assert (tmp_path / f"{target}.tflite").stat().st_size == said["size_bytes"]
    files = [tmp_path / "float32.tflite", tmp_path / "int8.tflite"]
    code, out, err = run("profile", *files, "--json")
    assert code == 0, err
    assert [item["size_bytes"] for item in json.loads(out)] == [file.stat().st_size for file in files]
    code, out, err = run("compare", *files, "--data", "digits", "--html", tmp_path / "page.html", "--json")
    assert code == 0, err
    assert all(row["accuracy"] > 0.8 for row in json.loads(out))
    assert "<html" in (tmp_path / "page.html").read_text()


def test_compress_trains_and_saves(run, saved, tmp_path):
    words = ("compress", saved, "--recipe", "prune50-int8", "--data", "digits", "--epochs", "1", "--out", tmp_path / "net")
    code, out, err = run(*words)
    assert code == 0, err
    assert "accuracy" in out
    assert {file.name for file in tmp_path.iterdir()} == {"net.tflite", "net.json", "net.keras"}
    code, _, err = run(*words)
    assert code == 1
    assert "overwrite" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("convert", "nothing.keras"), "nothing.keras"),
        (("profile", "nothing.tflite"), "nothing.tflite"),
        (("compress", "SAVED", "--recipe", "prun80-int8"), "prune80-int8"),
        (("convert", "SAVED", "--target", "int8"), "samples"),
        (("convert", "SAVED", "--target", "int8", "--data", "nothing"), "nothing"),
    ],
)
def test_errors_are_one_line_and_a_code(run, saved, words, message):
    code, out, err = run(*[saved if word == "SAVED" else word for word in words])
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_truncated_file_is_named(run, tmp_path):
    (tmp_path / "half.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\x00" * 20)
    code, _, err = run("profile", tmp_path / "half.tflite")
    assert code == 1
    assert "half.tflite" in err


def test_doctor_loads_no_tensorflow():
    code = (
        "import sys; from tfcompress.cli import main; sys.argv = ['tfcompress', 'doctor']\n"
        "try: main()\nexcept SystemExit: pass\nprint('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("False")
