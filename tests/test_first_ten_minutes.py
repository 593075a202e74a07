"""What a new user does first comes out right, and what is wrong does not read like a success."""

import importlib
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.core._types import Array, Layer, Model

Run = Callable[..., tuple[int, str, str]]
Digits = tuple[Array, Array, Array, Array]


@pytest.fixture(scope="module")
def stored_images(
    digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Array]]:
    """The digits as bytes 0 … 255 in an .npz, as cameras and most data sets have them."""
    x_train, y_train, x_test, y_test = digits
    path = tmp_path_factory.mktemp("images") / "digits255.npz"
    arrays: dict[str, Array] = {
        "x_train": np.round(x_train * 255).astype("uint8"),
        "y_train": y_train,
        "x_test": np.round(x_test * 255).astype("uint8"),
        "y_test": y_test,
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path, arrays


def trained(
    flavour: str, first: Callable[[ModuleType], Layer], images: Array, labels: Array
) -> Model:
    """A small network that begins with the layer `first`, trained on `images` as they are."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [
        layers.Input((8, 8, 1)),
        first(layers),
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(10, activation="softmax", name="output"),
    ]
    model = keras.Sequential(stack, name="net")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=6, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="module")
def rescaling(stored_images: tuple[Path, dict[str, Array]]) -> Callable[[str], Model]:
    """Factory of a model that begins with Rescaling(1/255), trained on bytes, by Keras."""
    models: dict[str, Model] = {}

    def build(flavour: str) -> Model:
        if flavour not in models:
            _, arrays = stored_images
            images = arrays["x_train"].astype("float32")
            first = lambda layers: layers.Rescaling(1 / 255, name="rescaling")  # noqa: E731
            models[flavour] = trained(flavour, first, images, arrays["y_train"])
        return models[flavour]

    return build


def test_a_model_that_rescales_gets_the_accuracy_that_python_gives(
    run: Run,
    keras_flavour: str,
    rescaling: Callable[[str], Model],
    stored_images: tuple[Path, dict[str, Array]],
    tmp_path: Path,
) -> None:
    """Divided by 255 twice, its int8 file answered at chance level, and nothing said so."""
    path, arrays = stored_images
    model = rescaling(keras_flavour)
    model.save(tmp_path / "net.keras")
    x_test = arrays["x_test"].astype("float32")
    hits = model.predict(x_test, verbose=0).argmax(1) == arrays["y_test"]
    in_python = tfc.compress(model, "int8", samples=arrays["x_train"][:200].astype("float32"))
    python_accuracy = tfc.evaluate(in_python, x_test, arrays["y_test"])
    words = ("compress", tmp_path / "net.keras", "--data", path, "--json")
    code, out, err = run(*words)
    assert code == 0, err
    facts = json.loads(out)
    assert facts["accuracy_before"] == pytest.approx(hits.mean(), abs=1e-6)
    assert facts["accuracy"] == pytest.approx(python_accuracy, abs=0.02)
    assert facts["accuracy"] > 0.85 and facts["warnings"] == []
    assert "images as stored, uint8" in facts["about"]["input_scale"]
    assert "digits255: images as stored, uint8" in err


def test_the_wrong_scale_is_a_loud_warning_everywhere(
    run: Run,
    rescaling: Callable[[str], Model],
    stored_images: tuple[Path, dict[str, Array]],
    tmp_path: Path,
) -> None:
    path, _ = stored_images
    rescaling("keras").save(tmp_path / "net.keras")
    words = ("compress", tmp_path / "net.keras", "--data", path, "--scale", "25500")
    code, out, err = run(*words)
    assert code == 0
    assert "WARNING: accuracy" in err and "at chance level" in err
    assert "WARNING  accuracy" in out
    saved = json.loads((tmp_path / "net-int8.json").read_text())
    assert "at chance level" in saved["about"]["warnings"][0]
    assert saved["about"]["input_scale"] == "images divided by 25500 (--scale)"


def test_a_model_trained_on_zero_to_one_is_fed_so(
    run: Run, stored_images: tuple[Path, dict[str, Array]], digits: Digits, tmp_path: Path
) -> None:
    path, _ = stored_images
    first = lambda layers: layers.Activation("linear", name="same")  # noqa: E731
    trained("keras", first, digits[0], digits[1]).save(tmp_path / "net.keras")
    code, out, err = run("compress", tmp_path / "net.keras", "--data", path, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["accuracy"] > 0.85 and "divided by 255" in facts["about"]["input_scale"]
    file = tmp_path / "net-int8.tflite"
    code, out, err = run("compare", file, "--data", path, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["accuracy"] == pytest.approx(facts["accuracy"], abs=1e-6)
    assert "divided by 255" in err


def test_a_study_file_feeds_a_models_file_as_it_was_trained(
    rescaling: Callable[[str], Model], stored_images: tuple[Path, dict[str, Array]], tmp_path: Path
) -> None:
    from tfcompress._study import study_file

    path, _ = stored_images
    rescaling("keras").save(tmp_path / "net.keras")
    text = f"""
[data]
name = "{path}"
test = 200
[recipes]
names = ["float32", "int8"]
[models.net]
file = "net.keras"
"""
    (tmp_path / "study.toml").write_text(text)
    report = study_file(tmp_path / "study.toml", out=tmp_path / "out", progress=False)["net"]
    assert all(row["accuracy"] > 0.85 for row in report.rows)
    assert "as stored" in report.about["input_scale"]
    (tmp_path / "study.toml").write_text(text.replace("test = 200", "test = 200\nscale = 25500"))
    with pytest.warns(Warning, match="chance level"):
        report = study_file(tmp_path / "study.toml", out=tmp_path / "wrong", progress=False)["net"]
    assert "chance level" in report.warnings()[0] and "Warning" in report.to_markdown()


@pytest.mark.filterwarnings("ignore::UserWarning")  # 256 images are too few for prune80
def test_the_readmes_python_runs_as_written(
    keras_flavour: str,
    trained_cnn: Callable[[str], Model],
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first block, pasted below a trained model and its data; with tf_keras for one seed."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    block = re.findall(r"```python\n(.+?)\n```", readme, re.S)[0]
    assert "seeds=3" in block
    if keras_flavour == "tf_keras":
        block = block.replace("seeds=3", "seeds=1")
    x, y, x_test, y_test = digits
    model = trained_cnn(keras_flavour)
    names = {
        "model": model,
        "x_train": x[:256],
        "y_train": y[:256],
        "x_val": x[256:300],
        "y_val": y[256:300],
        "x_test": x_test,
        "y_test": y_test,
    }
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "options", "points"),
    [
        ("qat", {}, 1.0),
        ("cluster16", {}, 2.0),
        ("prune60", {"distill": 0.9}, 3.5),
        ("prune60-cluster16-qat", {"distill": 0.9}, 3.0),
        ("filters30-finetune", {"distill": 0.9}, 7.5),
    ],
)
def test_the_defaults_keep_what_a_trained_network_knows(
    shared: Path, recipe: str, options: dict[str, float], points: float
) -> None:
    """Two epochs of 10,000 images on MLPerf's ResNet-8: docs/fine_tuning.md says what came."""
    path = Path(__file__).parents[1] / "benchmarks" / "defaults.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_defaults", path)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    base = benchmark.base(choose=False)["accuracy"]
    after = benchmark.measure(recipe, options, epochs=2, choose=False)["accuracy"]
    assert 100 * (base - after) <= points
