"""`compress` and `convert`: models and data in every form, training, what is said of the result."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tfcompress.core._types import Callback, Model

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("form", "data"), [("h5", "mine.npz"), ("saved", "mine.npz"), ("keras", "images")]
)
def test_models_and_data_in_every_form(
    run: Run, saved: Path, own_data: Path, tmp_path: Path, form: str, data: str
) -> None:
    import tf_keras

    from tfcompress._backend.bridge import to_tf_keras
    from tfcompress._compress import load_model

    path = saved
    if form != "keras":
        path = tmp_path / {"h5": "net.h5", "saved": "net"}[form]
        tf_keras.models.save_model(to_tf_keras(load_model(saved)), path)
    words = ("convert", path, "--target int8 --data", own_data / data)
    code, out, err = run(*words, "--out", tmp_path / "small", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["accuracy"] > 0.75
    assert abs(facts["accuracy"] - facts["accuracy_before"]) < 0.1


def test_compress_trains_and_saves(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compress", saved, "--recipe prune50-int8 --data digits --epochs 1 --out")
    code, out, err = run(*words, tmp_path / "net")
    assert code == 0, err
    assert "accuracy" in out
    assert {file.name for file in tmp_path.iterdir()} == {
        "net.tflite",
        "net.json",
        "net.keras",
        "net.md",
    }
    monkeypatch.setattr("tfcompress._compress.compress", None)  # refused before any training
    code, _, err = run(*words, tmp_path / "net")
    assert code == 1
    assert "overwrite" in err
    assert len(err.strip().splitlines()) == 1


def test_a_model_that_is_not_compiled_is_trained_all_the_same(
    run: Run, small_cnn: Callable[..., Model], tmp_path: Path
) -> None:
    small_cnn("keras", compiled=False).save(tmp_path / "net.keras")
    words = ("compress", tmp_path / "net.keras", "--recipe prune50 --data digits --epochs 1 --out")
    code, out, err = run(*words, tmp_path / "small")
    assert code == 0, err
    assert "accuracy" in out


def test_untrained_on_request_is_said_everywhere(run: Run, saved: Path, tmp_path: Path) -> None:
    words = ("compress", saved, "--recipe prune80 --no-training --out", tmp_path / "net")
    code, out, err = run(*words)
    assert code == 0, err
    assert "WARNING: prune80 was not trained" in err and "WARNING  prune80 was not" in out
    out = run(*words, "--json --overwrite")[1]
    assert "prune80 was not trained" in json.loads(out)["warnings"][0]
    about = json.loads((tmp_path / "net.json").read_text())["about"]
    assert "prune80 was not trained" in about["warnings"][0]


def test_another_metric_before_and_after(run: Run, saved: Path, tmp_path: Path) -> None:
    words = ("convert", saved, "--data digits --metric top5 --json --out", tmp_path / "net")
    code, out, err = run(*words)
    assert code == 0, err
    facts = json.loads(out)
    assert (
        facts["top5"] == pytest.approx(facts["top5_before"], abs=1e-6) and "accuracy" not in facts
    )
    code, _, err = run("convert", saved, "--data digits --metric tpo5 --out", tmp_path / "other")
    assert code == 1 and "tpo5" in err and not (tmp_path / "other.tflite").exists()


def test_a_teacher_teaches_with_its_options(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe that `sensitivity` wrote, carried out with the model itself as the teacher."""
    from tfcompress.training import Distill

    seen = []

    class Watched(Distill):
        """Distill that notes how it was made."""

        def __call__(self, student: Model, callbacks: Sequence[Callback] = ()) -> None:
            is_smaller = self.teacher.count_params() > student.count_params()
            seen.append((is_smaller, self.temperature, self.alpha, self.attention))
            super().__call__(student, callbacks)

    monkeypatch.setattr("tfcompress.training.Distill", Watched)
    recipe = tmp_path / "thin.json"
    words = ("sensitivity", saved, "--data digits --images 100 --max-drop 0.05 --recipe", recipe)
    suggested = json.loads(run(*words, "--json")[1])["suggested"]
    words = ("compress", saved, "--recipe", recipe, "--data digits --epochs 4 --json")
    how = "--teacher self --temperature 3 --alpha 0.8 --attention --out"
    code, out, err = run(*words, how, tmp_path / "net")
    assert code == 0, err
    assert seen == [(True, 3.0, 0.8, "auto")]
    facts = json.loads(out)
    assert facts["recipe"]["techniques"][0]["ratio"] == suggested
    assert facts["checks"][0]["value"] < 1
    assert facts["accuracy"] > 0.7


def test_code_in_a_models_file_runs_with_trust_only(run: Run, tmp_path: Path) -> None:
    import tf_keras

    layers = tf_keras.layers
    stack = [layers.Input((4,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)]
    tf_keras.models.save_model(tf_keras.Sequential(stack), tmp_path / "net.h5", save_format="h5")
    code, out, err = run("cost", tmp_path / "net.h5")
    assert code == 1 and out == "" and "--trust" in err
    assert len([line for line in err.splitlines() if not line.startswith("Loading")]) == 1
    code, out, err = run("cost", tmp_path / "net.h5", "--trust --json")
    assert code == 0, err
    assert json.loads(out)["params"] == 10
