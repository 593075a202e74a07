"""The command: each subcommand as a shell or a script calls it, and its errors in one line."""

import json
import os
import subprocess
import sys

import numpy as np
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

    versions = {
        "tensorflow": "2.15.0",
        "keras": "3.0.0",
        "tf_keras": "2.17.0",
        "numpy": "2.1.0",
        "tflite-runtime": "2.14.0",
    }
    monkeypatch.setattr(_doctor, "_version", versions.get)
    code, out, _ = run("doctor")
    assert code == 1
    for words in (
        "use 2.17 to 2.21",
        "tf-keras~=2.15.0",
        "numpy<2",
        "tensorflow-model-optimization is not installed",
    ):
        assert words in out


def test_convert_profile_compare(run, saved, tmp_path):
    for target in ("float32", "int8"):
        code, out, err = run(
            "convert",
            saved,
            "--target",
            target,
            "--data",
            "digits",
            "--out",
            tmp_path / target,
            "--json",
        )
        assert code == 0, err
        said = json.loads(out)
        assert said["accuracy"] > 0.8
        assert (tmp_path / f"{target}.tflite").stat().st_size == said["size_bytes"]
    files = [tmp_path / "float32.tflite", tmp_path / "int8.tflite"]
    code, out, err = run("profile", *files, "--json")
    assert code == 0, err
    assert [item["size_bytes"] for item in json.loads(out)] == [
        file.stat().st_size for file in files
    ]
    code, out, err = run(
        "compare", *files, "--data", "digits", "--html", tmp_path / "page.html", "--json"
    )
    assert code == 0, err
    rows = json.loads(out)
    assert all(row["accuracy"] > 0.8 for row in rows)
    assert [row["recommended"] for row in rows].count(True) == 1
    assert "difference" not in rows[0] and -0.2 < rows[1]["difference"]["mean"] < 0.2
    assert "<html" in (tmp_path / "page.html").read_text()
    limit = f"{rows[1]['size_bytes']}"
    code, out, err = run("compare", *files, "--data", "digits", "--max-bytes", limit)
    assert code == 0, err
    assert "int8 against float32: " in out and "Recommended: int8 " in out
    assert "No file has" in run("compare", *files, "--data", "digits", "--max-bytes", "1kB")[1]


@pytest.fixture(scope="module")
def own_data(digits, tmp_path_factory):
    """The digits as a user's .npz and as a folder of one folder of images a class."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    x, y, x_test, y_test = digits
    np.savez(
        folder / "mine.npz",
        x_train=x[:300],
        y_train=y[:300],
        x_test=x_test[:60],
        y_test=y_test[:60],
    )
    for number, (image, label) in enumerate(zip(x[:300], y[:300])):
        (folder / "images" / f"digit{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[..., 0] * 255).astype("uint8")).save(
            folder / "images" / f"digit{label}" / f"{number}.png"
        )
    return folder


@pytest.mark.parametrize(
    ("form", "data"), [("h5", "mine.npz"), ("saved", "mine.npz"), ("keras", "images")]
)
def test_models_and_data_in_every_form(run, saved, own_data, tmp_path, form, data):
    import tf_keras

    from tfcompress import load_model
    from tfcompress._backend.bridge import to_tf_keras

    path = saved
    if form != "keras":
        path = tmp_path / {"h5": "net.h5", "saved": "net"}[form]
        tf_keras.models.save_model(to_tf_keras(load_model(saved)), path)
    code, out, err = run(
        "convert",
        path,
        "--target",
        "int8",
        "--data",
        own_data / data,
        "--out",
        tmp_path / "small",
        "--json",
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["accuracy"] > 0.75
    assert abs(said["accuracy"] - said["accuracy_before"]) < 0.1


def test_significance_ranks_layers_and_draws_them(run, saved, tmp_path):
    words = ("significance", saved, "--data", "digits", "--images", "300", "--threshold", "2")
    code, out, err = run(*words, "--plot", tmp_path / "id.png", "--json")
    assert code == 0, err
    said = json.loads(out)
    assert set(said["scores"]) == {"conv1", "conv2", "dense1", "dense2"} == set(said["bits"])
    assert said["bits"]["conv1"] == said["bits"]["dense2"] == 32
    assert (tmp_path / "id.png").read_bytes()[:4] == b"\x89PNG"
    code, out, _ = run(*words, "--by", "pca", "--view", "channels")
    assert code == 0
    assert "conv2" in out
    said = json.loads(run(*words, "--by", "pca", "--json")[1])
    assert said["by"].endswith("channels, rise")  # what "pca" means in a recipe's name too
    code, _, err = run("significance", saved)
    assert code == 1
    assert "--data" in err


def test_compress_trains_and_saves(run, saved, tmp_path, monkeypatch):
    words = (
        "compress",
        saved,
        "--recipe",
        "prune50-int8",
        "--data",
        "digits",
        "--epochs",
        "1",
        "--out",
        tmp_path / "net",
    )
    code, out, err = run(*words)
    assert code == 0, err
    assert "accuracy" in out
    assert {file.name for file in tmp_path.iterdir()} == {"net.tflite", "net.json", "net.keras"}
    monkeypatch.setattr("tfcompress._compress.compress", None)  # refused before any training
    code, _, err = run(*words)
    assert code == 1
    assert "overwrite" in err
    assert len(err.strip().splitlines()) == 1


def test_cost_is_the_models(run, saved):
    from tfcompress import analysis, load_model

    code, out, err = run("cost", saved, "--json")
    assert code == 0, err
    said, found = json.loads(out), analysis.cost(load_model(saved))
    assert (said["params"], said["macs"], said["unknown"]) == (found.params, found.macs, [])
    assert [layer["name"] for layer in said["layers"]] == [layer.name for layer in found.layers]
    assert f"{found.macs:,}" in run("cost", saved)[1]


def test_sensitivity_suggests_a_recipe_that_compress_carries_out_with_a_teacher(
    run, saved, tmp_path, monkeypatch
):
    from tfcompress.training import Distill

    taught = []

    class Seen(Distill):
        def __call__(self, model, callbacks=()):
            taught.append(
                (
                    self.teacher.count_params() > model.count_params(),
                    self.temperature,
                    self.alpha,
                    self.attention,
                )
            )
            super().__call__(model, callbacks)

    monkeypatch.setattr("tfcompress.training.Distill", Seen)
    words = ("sensitivity", saved, "--data", "digits", "--images", "100", "--max-drop", "0.05")
    code, out, err = run(
        *words, "--plot", tmp_path / "curves.png", "--recipe", tmp_path / "thin.json", "--json"
    )
    assert code == 0, err
    said = json.loads(out)
    assert (
        set(said["curves"]) == {"conv1", "conv2", "dense1"} >= set(said["suggested"])
        and said["suggested"]
        and said["n"] == 100
    )
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    code, out, err = run(*words, "--recipe", tmp_path / "thin.json")
    assert (code, "already there" in err, out) == (1, True, "")  # known before any work
    net = (
        "compress",
        saved,
        "--recipe",
        tmp_path / "thin.json",
        "--data",
        "digits",
        "--epochs",
        "4",
        "--out",
        tmp_path / "net",
    )
    code, out, err = run(
        *net, "--teacher", "self", "--temperature", "3", "--alpha", "0.8", "--attention", "--json"
    )
    assert code == 0, err
    assert taught == [(True, 3.0, 0.8, "auto")]
    made = json.loads(out)
    assert made["recipe"]["techniques"][0]["ratio"] == said["suggested"]
    assert made["checks"][0]["value"] < 1
    assert made["accuracy"] > 0.7


def test_a_negative_drop_is_refused_before_anything_is_measured(run, saved, tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr("tfcompress.analysis.filter_sensitivity", lambda *given, **_: measured.append(given))
    words = (
        "sensitivity",
        saved,
        "--data",
        "digits",
        "--images",
        "50",
        "--max-drop",
        "-0.5",
        "--recipe",
        tmp_path / "thin.json",
    )
    code, _, err = run(*words)
    assert code == 1 and "max_drop" in err and measured == []
    assert not (tmp_path / "thin.json").exists()


def test_no_recipe_is_written_where_nothing_is_suggested(run, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("tfcompress.analysis.suggest_ratios", lambda curves, max_drop: {})
    code, out, err = run(
        "sensitivity",
        saved,
        "--data",
        "digits",
        "--images",
        "50",
        "--recipe",
        tmp_path / "thin.json",
    )
    assert code == 1 and "--max-drop" in err and "conv2" in out
    assert not (tmp_path / "thin.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compress", "SAVED", "--recipe", "nothing.json"), "nothing.json"),
        (("compress", "SAVED", "--recipe", "macs50-int8", "--teacher", "self"), "--data"),
        (
            (
                "compress",
                "SAVED",
                "--recipe",
                "macs50-int8",
                "--data",
                "digits",
                "--teacher",
                "no.keras",
            ),
            "no.keras",
        ),
        (("sensitivity", "SAVED"), "--data"),
        (("sensitivity", "SAVED", "--data", "digits", "--by", "stage"), "block"),
        (("cost", "nothing.keras"), "nothing.keras"),
        (("convert", "nothing.keras"), "nothing.keras"),
        (("profile", "nothing.tflite"), "nothing.tflite"),
        (("compress", "SAVED", "--recipe", "prun80-int8"), "prune80-int8"),
        (("convert", "SAVED", "--target", "int8"), "samples"),
        (("convert", "SAVED", "--target", "int8", "--data", "nothing"), "nothing"),
        (("convert", "SAVED", "--target", "int8"), "--data"),
        (("compress", "SAVED", "--recipe", "int8-prune80"), "write prune80-int8"),
        (("compress", "SAVED", "--recipe", "prune80"), "--no-training"),
        (("compress", "SAVED", "--recipe", "qat-int8", "--data", "digits", "--no-training"), "qat"),
        (
            ("compress", "SAVED", "--recipe", "prune80", "--data", "digits", "--epochs", "0"),
            "--epochs of 1 or more",
        ),
        (("convert", "SAVED", "--data", "digits", "--scale", "zero"), "--scale"),
        (("profile", "SAVED", "--threads", "0"), "--threads 0: expected"),
        (("compare", "SAVED", "--max-bytes", "small"), "--max-bytes"),
        (("significance", "SAVED", "--data", "digits", "--by", "mle"), "twonn, pca"),
    ],
)
def test_errors_are_one_line_and_a_code(run, saved, words, message):
    code, out, err = run(*[saved if word == "SAVED" else word for word in words])
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("convert", "SAVED", "--out"), "taken/net"),
        (("compress", "SAVED", "--recipe", "float32", "--out"), "taken/deep/net"),
        (("significance", "SAVED", "--data", "digits", "--plot"), "taken/plot.png"),
        (("significance", "SAVED", "--data", "digits", "--plot"), "taken"),
        (("sensitivity", "SAVED", "--data", "digits", "--recipe"), "taken"),
        (("compare", "SAVED", "--html"), "taken"),
        (("compare", "SAVED", "--html"), "taken/page.html"),
        (("demo", "--out"), "taken"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(
    run, saved, tmp_path, monkeypatch, words, place
):
    (tmp_path / "taken").write_text("a file where a folder, or nothing, should be")
    monkeypatch.setattr("tfcompress.cli._inputs.load_tensorflow", lambda: pytest.fail("too late"))
    monkeypatch.setattr("tfcompress._study.compare", lambda *_, **__: pytest.fail("too late"))
    words = [saved if word == "SAVED" else word for word in words]
    code, out, err = run(*words, tmp_path / place)
    assert code == 1 and out == ""
    assert str(tmp_path / "taken") in err and len(err.strip().splitlines()) == 1


def test_a_folder_without_permission_is_said_before_any_work(run, saved, tmp_path, monkeypatch):
    from tfcompress.cli import _output

    monkeypatch.setattr(_output.os, "access", lambda path, mode: not mode & os.W_OK)
    code, _, err = run("convert", saved, "--out", tmp_path / "net")
    assert code == 1 and "cannot be written to" in err


def test_a_demo_folder_of_another_seed_is_refused_before_training(run, tmp_path):
    (tmp_path / "demo.json").write_text('{"seed": 0, "epochs": 15}')
    code, _, err = run("demo", "--seed", "1", "--out", tmp_path)
    assert code == 1 and "the demo of --seed 0, --epochs 15" in err
    assert len(err.strip().splitlines()) == 1


def test_untrained_on_request_is_said_everywhere(run, saved, tmp_path):
    words = ("compress", saved, "--recipe", "prune80", "--no-training", "--out", tmp_path / "net")
    code, out, err = run(*words)
    assert code == 0, err
    assert "WARNING: prune80 was not trained" in err and "WARNING  prune80 was not" in out
    code, out, _ = run(*words, "--json", "--overwrite")
    assert "prune80 was not trained" in json.loads(out)["warnings"][0]
    about = json.loads((tmp_path / "net.json").read_text())["about"]
    assert "prune80 was not trained" in about["warnings"][0]


def test_version_and_short_help(run):
    from importlib.metadata import version

    assert run("--version") == (0, f"tfcompress {version('tfcompress')}\n", "")
    for words in (("-h",), ("compress", "-h"), ("study", "--help")):
        code, out, _ = run(*words)
        assert code == 0 and "Usage: tfcompress" in out


@pytest.mark.parametrize("width", [60, 100])
def test_help_cuts_nothing_on_a_narrow_terminal(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for word in ("compress", "compare", "study"):
        out = run(word, "--help")[1]
        assert "…" not in out and max(len(line) for line in out.splitlines()) <= width


def test_help_and_recipes_show_every_word_of_the_table(run):
    from tfcompress.recipes import WORDS

    help_text = "".join(run("compress", "--help")[1].split())
    listed = run("recipes")[1]
    table = json.loads(run("recipes", "--json")[1])
    for word in WORDS:
        assert word.spelling.replace(" ", "") in help_text and word.spelling in listed
        assert word.example in listed
    assert [entry["word"] for entry in table] == [word.spelling for word in WORDS]


def test_an_unexpected_error_is_one_line_and_verbose_shows_where(run, monkeypatch):
    def fail(*_, **__):
        raise KeyError("no such thing\nat all")

    monkeypatch.setattr("tfcompress.profiling.profile_many", fail)
    code, out, err = run("profile", "net.tflite")
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1
    assert "unexpected KeyError" in err and "--verbose" in err
    monkeypatch.setattr(sys, "argv", ["tfcompress", "profile", "net.tflite", "--verbose"])
    with pytest.raises(KeyError):
        main()


def test_ctrl_c_says_what_was_kept(run, monkeypatch, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfcompress.cli._demo._study", stop)
    monkeypatch.setattr("tfcompress.cli._inputs.load_tensorflow", lambda: None)
    code, _, err = run("demo", "--out", tmp_path / "demo")
    assert code == 130
    assert "tfcompress: stopped; finished files are kept in " in err


def test_the_command_takes_the_tensorflow_backend_itself(saved, tmp_path):
    """With a backend that is not installed, the command works as without one."""
    words = ["convert", str(saved), "--out", str(tmp_path / "net")]
    done = subprocess.run(
        [sys.executable, "-m", "tfcompress.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "net.tflite").exists() and "Traceback" not in done.stderr


def test_sizes_in_words():
    from tfcompress.cli._inputs import byte_count

    assert byte_count("") is None
    sizes = [byte_count(text) for text in ("50000", "50kB", "1.5MB", "2 KiB")]
    assert sizes == [50000, 50000, 1.5e6, 2048]


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


def test_a_model_that_is_not_compiled_is_trained_all_the_same(run, small_cnn, tmp_path):
    small_cnn("keras", compiled=False).save(tmp_path / "net.keras")
    words = (
        "compress",
        tmp_path / "net.keras",
        "--recipe",
        "prune50",
        "--data",
        "digits",
        "--epochs",
        "1",
        "--out",
        tmp_path / "small",
    )
    code, out, err = run(*words)
    assert code == 0, err
    assert "accuracy" in out


def test_code_in_a_models_file_runs_with_trust_only(run, tmp_path):
    import tf_keras

    layers = tf_keras.layers
    stack = [layers.Input((4,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)]
    tf_keras.models.save_model(tf_keras.Sequential(stack), tmp_path / "net.h5", save_format="h5")
    code, out, err = run("cost", tmp_path / "net.h5")
    assert code == 1 and out == "" and "--trust" in err
    assert len([line for line in err.splitlines() if not line.startswith("Loading")]) == 1
    code, out, err = run("cost", tmp_path / "net.h5", "--trust", "--json")
    assert code == 0, err
    assert json.loads(out)["params"] == 10
