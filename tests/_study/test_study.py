"""study() and compare(): cells by content, resumed, failing alone; files measured together."""

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in import Model, X, Y, run

from tfcompress import _study, compare, profiling, study
from tfcompress._study._fingerprint import fingerprint
from tfcompress._study._formats import file_hash
from tfcompress._study._plan import subject_of
from tfcompress.core import (
    Artifact,
    ArtifactError,
    DataError,
    InterpreterError,
    ModelError,
    RecipeError,
    TrainingError,
)
from tfcompress.core._verdict import ResultWarning
from tfcompress.recipes import recipe
from tfcompress.targets import DynamicRange, Float32
from tfcompress.training import Fit

# The stand-in's answers are at chance level.
pytestmark = pytest.mark.filterwarnings("ignore::tfcompress.core._verdict.ResultWarning")


def test_rows_are_recipes_by_seeds_with_everything_measured(engine):
    report = run(threads=(1, 2))
    assert engine == [("float32", 0), ("int8", 0), ("float32", 1), ("int8", 1)]
    assert [(row["recipe"], row["seed"]) for row in report.rows] == engine
    int8 = report.line("int8")
    assert int8["accuracy"] == pytest.approx(0.55) and int8["seeds"] == 2
    assert (int8["latency_ms_p50"], int8["latency_ms_p50_threads2"]) == (0.5, 0.25)
    assert report.rows[3]["correct"] == "1" * 12 + "0" * 8
    assert report.base == "float32" and report.about["test_examples"] == 20
    assert report.rows[1]["made"]["call"] == "tfc.compress(model, 'int8', samples=samples, seed=0)"


def test_a_base_at_chance_level_and_a_lost_file_are_warned_about(engine, monkeypatch, tmp_path):
    """A network fed on the wrong scale answers at random: its report must not read like success."""

    def evaluate(file, x, y, **rest):
        data = file.data if isinstance(file, Artifact) else file.read_bytes()
        hits = 10 if b"float32" in data else 5
        outputs = np.eye(2)[np.where(np.arange(len(y)) < hits, y, 1 - y)]
        return hits / 20, outputs

    monkeypatch.setattr(profiling, "evaluate", evaluate)
    with pytest.warns(ResultWarning, match="chance level"):
        report = run(seeds=1)
    assert "chance level" in report.rows[0]["warnings"][0]
    assert "25.0 points below float32" in report.rows[1]["warnings"][0]
    assert "**Warning**: float32: accuracy 0.5000 is at chance level" in report.to_markdown()
    assert "25.0 points below" in report.to_html(tmp_path / "page.html").read_text()


def test_what_needs_training_is_refused_before_anything_runs(engine):
    with pytest.raises(TrainingError, match="training=False"):
        run(recipes=["prune80-int8"])
    assert not engine
    with pytest.warns(ResultWarning, match="prune80 was not trained"):
        report = run(recipes=["float32", "prune80-int8"], training=False, seeds=1)
    assert "not trained" in report.rows[1]["warnings"][0]
    assert "training=False" in report.rows[1]["made"]["call"]


def test_a_finished_cell_is_never_run_again(engine, tmp_path):
    first = run(tmp_path)
    assert len(engine) == 4
    second = run(tmp_path)
    assert len(engine) == 4
    assert second.to_csv() == first.to_csv()
    run(tmp_path, recipes=("int8", "dynamic"), seeds=[1, 2])
    assert engine[4:] == [("dynamic", 1), ("int8", 2), ("dynamic", 2)]


def change(what):
    """Arguments of `run` in which only `what` differs from the first run's."""
    changes: dict[str, Any] = {
        "strict": {"strict": True},
        "options": {"recipes": [replace(recipe("int8"), target=DynamicRange(), name="int8")]},
        "model": {"model": Model(1.0)},
        "trainer": {"fit": lambda model, callbacks: None},
        "samples": {"samples": X + 1},
        "test data": {"evaluate": (X, 1 - Y)},
    }
    return {"seeds": 1, "recipes": ["int8"], **changes[what]}


@pytest.mark.parametrize("what", ["strict", "options"])
def test_a_cell_runs_again_when_what_it_depends_on_changes(engine, tmp_path, what):
    run(tmp_path, seeds=1, recipes=("int8",))
    run(tmp_path, **change(what))
    assert len(engine) == 2


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("model", ArtifactError, "belongs to another study .*: its model differs"),
        ("trainer", ArtifactError, "its trainer differs"),
        ("samples", DataError, "The samples changed between runs"),
        ("test data", DataError, "The test data changed between runs"),
    ],
)
def test_a_folder_is_kept_for_the_study_it_belongs_to(engine, tmp_path, what, error, says):
    run(tmp_path, seeds=1, recipes=("int8",))
    with pytest.raises(error, match=says):
        run(tmp_path, **change(what))
    assert len(engine) == 1


@pytest.mark.parametrize("damage", ["no row", "half a row", "no file", "other file"])
def test_a_cell_that_was_cut_short_runs_again(engine, tmp_path, damage):
    run(tmp_path, seeds=1, recipes=("int8",))
    (row,), (file,) = tmp_path.glob("*.row.json"), tmp_path.glob("*.tflite")
    if damage == "half a row":
        row.write_text(row.read_text()[:40])
    elif damage == "other file":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        (row if damage == "no row" else file).unlink()
    run(tmp_path, seeds=1, recipes=("int8",))
    assert len(engine) == 2
    run(tmp_path, seeds=1, recipes=("int8",))
    assert len(engine) == 2


def test_a_failing_cell_is_a_row_with_its_error_and_is_tried_again(engine, tmp_path):
    for _ in range(2):
        report = run(tmp_path, recipes=("float32", "float16", "int8"), seeds=1)
        assert [row.get("error") for row in report.rows] == [
            None,
            "ZeroDivisionError: the trainer divides by zero",
            None,
        ]
        assert "failed: ZeroDivisionError" in report.to_markdown()
    assert [name for name, _ in engine] == ["float32", "float16", "int8", "float16"]


def test_a_recipe_that_fails_for_every_seed_is_told_and_never_recommended(engine, tmp_path):
    report = run(tmp_path, recipes=("float32", "float16", "int8"), seeds=3)
    line = report.line("float16")
    assert (line["seeds"], line["failed"], line["error"]) == (
        0,
        3,
        "ZeroDivisionError: the trainer divides by zero",
    )
    assert report.recommend(min_accuracy=0.0).recipe in ("float32", "int8")
    assert "float16" not in report.pareto("size_bytes").recipes()
    assert "ZeroDivisionError" in (tmp_path / "report.html").read_text()


def test_the_page_can_be_opened_meanwhile_and_says_how_far_it_is(engine, tmp_path, monkeypatch):
    from tfcompress._study import _live

    monkeypatch.setattr(_live, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(_live, "PAGE_SHARE", 1e9)
    seen = []

    def look(what, done, total):
        page = tmp_path / "report.html"
        seen.append((what, page.read_text() if page.exists() else ""))

    run(tmp_path, progress=look)
    assert [what.split(" (")[0] for what, _ in seen[:-1]] == [
        *(
            "float32, seed 0",
            "int8, seed 0",
            "float32, seed 1",
            "int8, seed 1",
            "latency of 4 files",
        )
    ]
    assert all("s left)" in what for what, _ in seen[1:4])
    assert "This study is running:</b> 0 of 4 cells" in seen[0][1] and "2 of 4 cells" in seen[2][1]
    assert "is running" not in (tmp_path / "report.html").read_text()
    assert "failed" not in (tmp_path / "report.csv").read_text()


def test_a_stopped_study_goes_on_where_it_was(engine, tmp_path):
    def stop(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=stop)
    assert len(engine) == 2
    whole = run(tmp_path)
    assert engine == [("float32", 0), ("int8", 0), ("float32", 1), ("int8", 1)]
    assert whole.to_csv() == run().to_csv()
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".tfc-")]


def test_a_full_disk_costs_the_cell_alone_and_leaves_nothing_half_written(
    engine, tmp_path, monkeypatch
):
    save = Artifact.save

    def full(self, path, **more):
        if self.name == "float32":
            raise OSError(28, "No space left on device")
        return save(self, path, **more)

    monkeypatch.setattr(Artifact, "save", full)
    report = run(tmp_path, seeds=1)
    assert "No space left" in report.rows[0]["error"] and "error" not in report.rows[1]
    assert {file.name.split("-")[0] for file in tmp_path.glob("*-seed*")} == {"int8"}
    assert not list(tmp_path.rglob(".tfc-*"))


def test_a_builder_is_called_once_a_seed_and_not_at_all_when_all_is_there(engine, tmp_path):
    built = []

    def build(seed):
        built.append(seed)
        return Model(float(seed))

    report = run(tmp_path, model=build)
    assert built == [0, 1] and b"int81.0" in next(tmp_path.glob("int8-seed1*.tflite")).read_bytes()
    built.clear()  # a list that a function holds is part of what it depends on
    assert run(tmp_path, model=build).to_csv() == report.to_csv()
    assert built == []


def test_a_builder_whose_base_is_kept_is_not_called_for_a_new_recipe(engine, tmp_path):
    run(tmp_path, model=_build)
    kept = sorted(file.read_text() for file in tmp_path.glob("shared/base-seed*.keras"))
    assert kept == ["0.0", "2.0"]
    for file in tmp_path.glob("shared/base-seed1*.keras"):
        file.write_text("7.0")
        file.with_suffix(".json").write_text(json.dumps({"sha256": file_hash(file)}))
    run(tmp_path, model=_build, recipes=("dynamic",))
    assert b"dynamic7.0" in next(tmp_path.glob("dynamic-seed1*.tflite")).read_bytes()


def _build(seed):
    return Model(2.0 * seed)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"recipes": ["int8", "intt8"]}, RecipeError, "intt8"),
        ({"recipes": ["int8", "int8"]}, RecipeError, "names of their own"),
        ({"recipes": []}, RecipeError, "none"),
        ({"seeds": []}, RecipeError, "seeds"),
        ({"seeds": 0}, RecipeError, "seeds"),
        ({"seeds": [1, 1]}, RecipeError, "different ones"),
        (
            {"fit": Fit(X, Y, seed=3)},
            RecipeError,
            r"seed of its own \(3\): all 2 seeds would train alike",
        ),
        ({"n_jobs": 0}, RecipeError, "n_jobs=0"),
        ({"evaluate": (X, Y[:3])}, DataError, "20 examples and 3 labels"),
        ({"evaluate": (X[:0], Y[:0])}, DataError, "at least one"),
        ({"evaluate": X}, DataError, r"expected \(x_test, y_test\)"),
        ({"samples": (row for row in X)}, DataError, "read once"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(engine, change, error, says):
    with pytest.raises(error, match=says):
        run(**change)
    assert engine == []


def test_what_is_no_model_is_refused(engine):
    with pytest.raises(ModelError, match="not a model"):
        run(model="net.keras")


@dataclass(frozen=True, eq=False)
class Trainer:
    x: np.ndarray
    epochs: int = 1


FINGERPRINTS = """
import sys, numpy as np
from dataclasses import dataclass
sys.path.insert(0, sys.argv[1])
from test_study import Trainer, X, _build
from tfcompress._study._fingerprint import fingerprint
from tfcompress.core._verdict import ResultWarning
from tfcompress.recipes import recipe
things = Trainer(X), {"b": {1, "x"}, "a": None}, recipe("prune80-int8"), _build
print(fingerprint(*things, lambda m: X.sum() + m))
"""


def test_fingerprints_are_the_same_in_every_process(request):
    command = [sys.executable, "-c", FINGERPRINTS, str(request.path.parent)]
    said = {
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)
    }
    assert len(said) == 1 and len(said.pop().strip()) == 64


def test_fingerprints_see_every_change():
    def held(value):
        return lambda model: value

    loop: list = [1]
    loop.append(loop)
    kinds = [
        None, 1, 1.0, "1", True, X, X.astype("float64"), X[:19], X + 1,
        [1, 2], [2, 1], [[1], 2], {1, 2}, {"a": 1}, {"a": 2},
        Trainer(X), Trainer(X + 1), Trainer(X, 2), held(1), held(2), held(X), held,
        recipe("int8"), recipe("int16x8"), Trainer, loop,
    ]  # fmt: skip
    assert len({fingerprint(kind) for kind in kinds}) == len(kinds)
    assert fingerprint(replace(recipe("int8"), name="mine")) == fingerprint(recipe("int8"))
    assert fingerprint(held(1)) == fingerprint(held(1))


@pytest.mark.parametrize("change", ["rate", "loss", "code of a layer"])
def test_a_model_compiled_otherwise_or_of_other_code_is_another(keras_flavour, change):
    keras = importlib.import_module(keras_flavour)

    def model(rate=0.1, loss="mse", factor=2.0):
        class Scaled(keras.layers.Layer):
            def call(self, x):
                return x * factor

        layers = [keras.layers.Input((3,), name="x"), Scaled(name="scaled")]
        net = keras.Sequential(layers, name="net")
        net.compile(keras.optimizers.SGD(rate), loss)
        return net

    changed = {"rate": {"rate": 0.2}, "loss": {"loss": "mae"}, "code of a layer": {"factor": 3.0}}
    first = subject_of(model(), lasting=True).key
    assert subject_of(model(), lasting=True).key == first
    assert subject_of(model(**changed[change]), lasting=True).key != first


@dataclass(frozen=True, eq=False)
class Remembering:
    x: np.ndarray
    answers: dict = field(default_factory=dict, init=False)

    def __call__(self, model, callbacks):
        """A trainer by its form; here it is only looked at."""


def test_what_a_trainer_remembers_is_no_part_of_it():
    from tfcompress._study._folder import parts

    trainer = Remembering(X)
    before = fingerprint(trainer), parts("m", trainer, None, (X, Y))
    trainer.answers[1] = X
    assert (fingerprint(trainer), parts("m", trainer, None, (X, Y))) == before
    assert fingerprint(Remembering(X + 1)) != before[0]


@pytest.fixture(scope="module")
def digits_study(tmp_path_factory, digits, trained_cnn):
    """A real model, trained on real digits, studied for real."""
    from tfcompress.training import Fit

    x, y, x_test, y_test = digits
    model = trained_cnn("keras")
    out = tmp_path_factory.mktemp("study")
    options = {
        "fit": Fit(x[:400], y[:400], epochs=1),
        "samples": x[:100],
        "evaluate": (x_test, y_test),
        "out": out,
        "progress": False,
    }
    return model, options, study(model, [Float32(), "int8", "cluster16-int8"], **options)


def test_real_study(digits_study, digits, tmp_path):
    model, _, report = digits_study
    assert not any("error" in row for row in report.rows), report.to_markdown()
    float32, int8 = report.line("float32"), report.line("int8")
    keras_says = float(np.mean(model.predict(digits[2], verbose=0).argmax(1) == digits[3]))
    assert float32["accuracy"] == pytest.approx(keras_says, abs=1e-6) and keras_says > 0.85
    assert int8["size_bytes"] < 0.5 * float32["size_bytes"] and int8["accuracy"] > keras_says - 0.02
    assert all(line["latency_ms_p50"] > 0 for line in report.summary())
    assert set(report.difference("int8").__dict__) >= {"mean", "low", "high"}
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "Recommended" in page and "relative error of the file" in page


def test_real_study_resumes_to_the_same_report_and_its_files_compare(digits_study, monkeypatch):
    import tfcompress._compress

    model, options, report = digits_study
    monkeypatch.setattr(tfcompress._compress, "compress", None)  # calling it would be an error
    again = study(model, ["float32", "int8", "cluster16-int8"], profile=False, **options)
    stable = ["accuracy", "size_bytes", "gzip_bytes"]
    assert again.to_markdown(stable) == report.to_markdown(stable)
    files = [options["out"] / row["made"]["file"] for row in report.rows]
    broken = options["out"] / "broken.tflite"
    broken.write_bytes(files[0].read_bytes()[:2000])
    side = compare(
        [*files, broken, options["out"] / "missing.tflite"],
        evaluate=options["evaluate"],
        base="int8",
    )
    assert side.recipes() == ["float32", "int8", "cluster16-int8", "broken", "missing"]
    assert side.to_markdown(stable).splitlines()[2:5] == report.to_markdown(stable).splitlines()[2:]
    assert [row["error"].split(":")[0] for row in side.rows if "error" in row] == [
        "InterpreterError"
    ] * 2
    assert side.base == "int8" and side.line("float32")["latency_ms_p50"] > 0


WITHOUT_TENSORFLOW = """
import sys
names = "tensorflow keras tf_keras tensorflow_model_optimization scipy sklearn matplotlib jinja2"
for name in names.split():
    sys.modules[name] = None
import numpy as np, tfcompress
data = np.load(sys.argv[2])
report = tfcompress.compare([sys.argv[1]], evaluate=(data["x"], data["y"]))
print(report.to_markdown(["accuracy", "size_bytes"]))
"""


def test_compare_needs_no_tensorflow(digits_study, digits, tmp_path):
    pytest.importorskip("ai_edge_litert")
    np.savez(tmp_path / "test.npz", x=digits[2], y=digits[3])
    _, options, report = digits_study
    file = options["out"] / report.rows[1]["made"]["file"]
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(file), str(tmp_path / "test.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.splitlines()[2]
        == report.to_markdown(["accuracy", "size_bytes"]).splitlines()[3]
    )


def test_compare_refuses_names_that_do_not_fit(tmp_path):
    file = tmp_path / "a.tflite"
    file.write_bytes(b"????TFL3")
    cases: list[tuple[list[Path], dict[str, Any], str]] = [
        ([], {}, "0 files"),
        ([file], {"names": ["x", "y"]}, "one name of its own"),
        ([file, file], {"names": ["x", "x"]}, "one name of its own"),
        ([file], {"base": "b"}, "none of the files"),
    ]
    for files, more, says in cases:
        with pytest.raises(RecipeError, match=says):
            compare(files, **more)


def test_compare_names_files_by_what_tells_them_apart(engine, tmp_path):
    files = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "net.tflite")
        files[-1].write_bytes(b"????TFL3")
    artifact = Artifact(b"????TFL3\1", recipe("int8"), about={"seed": 3})
    report = compare([*files, artifact, artifact])
    assert report.recipes() == ["one/net", "two/net", "int8", "int8 (2)"]
    assert [row["seed"] for row in report.rows] == [None, None, 3, 3]
    assert report.columns()[0] == "size_bytes"


def test_evaluation_that_fails_is_that_rows_error(engine, tmp_path, monkeypatch):
    def fails(file, x, y, **rest):
        raise InterpreterError("crashed with signal 6")

    monkeypatch.setattr(profiling, "evaluate", fails)
    report = compare([Artifact(b"????TFL3\1", recipe("int8"))], evaluate=(X, Y))
    assert report.rows[0]["error"] == "InterpreterError: crashed with signal 6"
    assert json.dumps(list(report.rows)) and _study.__all__ == ["compare", "study", "study_file"]
