"""Training curves: kept with the file, and drawn on the page."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tfcompress._compress import compress
from tfcompress._study import compare
from tfcompress.core import Artifact, ArtifactError, Recipe
from tfcompress.targets import Float32
from tfcompress.training import Fit
from tfcompress.training._curves import joined, record, recording


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> ModuleType:
    return pytest.importorskip(request.param)


def test_only_what_trains_inside_the_recording_is_kept() -> None:
    record({"loss": [9.0]})
    with recording() as outer:
        record({"loss": [1.0, 0.5]})
        with recording() as inner:
            record({"loss": [0.25]})
        record({"loss": [0.123456789]})
    assert inner == [{"loss": [0.25]}]
    assert outer == [{"loss": [1.0, 0.5]}, {"loss": [0.123457]}]


def test_trainings_are_joined_by_the_names_that_all_have() -> None:
    first = {"loss": [1.0, 0.5], "val_loss": [2.0, 1.0], "auc": [0.5, float("nan")]}
    second = {"loss": [0.4], "auc": [0.6]}
    assert joined([first, second]) == {"loss": [1.0, 0.5, 0.4]}
    assert joined([]) == {}


# Two epochs on random labels need not make the validation loss smaller.
@pytest.mark.filterwarnings("ignore:Fine-tuning .* made it worse:UserWarning")
def test_an_artifact_keeps_the_curves_of_its_trainings(keras: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 6), dtype=np.float32), rng.integers(0, 3, 40)
    inputs = keras.layers.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    loss = "sparse_categorical_crossentropy"
    fit = Fit(x[:30], y[:30], validation_data=(x[30:], y[30:]), epochs=2, loss=loss)
    artifact = compress(model, "prune50-cluster4-float32", fit=fit, samples=x, seed=0)
    curves = artifact.about["training"]
    assert {"loss", "val_loss"} <= set(curves)
    assert all(len(values) == 4 for values in curves.values()), "two trainings of two epochs"
    artifact.save(tmp_path / "net")
    assert Artifact.load(tmp_path / "net").about["training"] == curves
    report = compare([tmp_path / "net.tflite"])
    assert report.training(report.recipes()[0]) == curves
    assert "Loss by epoch" in report.to_html(tmp_path / "report.html").read_text()


def test_curves_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    Artifact(b"12345678", Recipe([], Float32())).save(tmp_path / "net")
    file = tmp_path / "net.json"
    content = json.loads(file.read_text())
    content["about"]["training"] = {"loss": "falling"}
    file.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"about\.training"):
        Artifact.load(tmp_path / "net")
