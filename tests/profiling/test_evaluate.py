"""Scores of real files on arrays and data sets, with and without Keras."""

import platform
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfcompress.core import DataError, InterpreterError
from tfcompress.core._types import Array
from tfcompress.profiling import correct, evaluate


@pytest.fixture(scope="module")
def labels(files: SimpleNamespace) -> Array:
    """A label for each image: what the Keras model says, changed in every fourth."""
    y = np.asarray(files.net(files.x)).argmax(1)
    y[::4] = (y[::4] + 1) % 10
    return y


@pytest.mark.parametrize("name", ["dynamic", "fixed"])
def test_accuracy_is_the_keras_models(files: SimpleNamespace, labels: Array, name: str) -> None:
    assert evaluate(files.__dict__[name], files.x, labels) == 0.75


@pytest.mark.parametrize("name", ["hybrid", "int8", "int8_float_io"])
def test_integer_files_take_and_give_real_numbers(
    files: SimpleNamespace, labels: Array, name: str
) -> None:
    score, outputs = evaluate(files.__dict__[name], files.x, labels, predictions=True)
    assert np.abs(outputs - np.asarray(files.net(files.x))).max() < 0.05
    assert score == correct(labels, outputs).mean() == (outputs.argmax(1) == labels).mean()


def test_several_metrics_and_a_function(files: SimpleNamespace, labels: Array) -> None:
    def largest(y: Array, outputs: Array) -> float:
        return outputs.max()

    found = evaluate(
        files.fixed,
        files.x,
        labels,
        ["accuracy", "top5", "sparse_categorical_crossentropy", largest],
    )
    assert list(found) == ["accuracy", "top5", "sparse_categorical_crossentropy", "largest"]
    assert found["accuracy"] == 0.75
    outputs = np.asarray(files.net(files.x))
    picked = outputs[np.arange(len(labels)), labels]
    assert found["sparse_categorical_crossentropy"] == pytest.approx(
        -np.log(picked).mean(), rel=1e-4
    )
    assert found["largest"] == pytest.approx(outputs.max(), rel=1e-4)


def test_a_keras_metric_by_name_object_and_flavour(files: SimpleNamespace, labels: Array) -> None:
    import keras
    import tf_keras

    by_name = evaluate(files.fixed, files.x, labels, "SparseCategoricalAccuracy")
    assert by_name == 0.75
    expected = pytest.approx(evaluate(files.fixed, files.x, labels, "top5"))
    for kit in (keras, tf_keras):
        assert (
            evaluate(files.fixed, files.x, labels, kit.metrics.SparseTopKCategoricalAccuracy(5))
            == expected
        )


def test_one_unit_and_auc(files: SimpleNamespace) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 6)).astype("float32")
    _, outputs = evaluate(files.sigmoid, x, np.zeros(100), predictions=True)
    y = (outputs[:, 0] > 0.5).astype(int)
    assert evaluate(files.sigmoid, x, y, ["accuracy", "auc"]) == {"accuracy": 1.0, "auc": 1.0}
    assert evaluate(files.sigmoid, x, 1 - y[:, None], ["accuracy", "auc"]) == {
        "accuracy": 0.0,
        "auc": 0.0,
    }


def test_data_sets(files: SimpleNamespace, labels: Array) -> None:
    import tensorflow as tf

    pairs = [(files.x[i : i + 16], labels[i : i + 16]) for i in range(0, 40, 16)]
    dataset = tf.data.Dataset.from_tensor_slices((files.x, labels))

    class Sequence:
        def __len__(self) -> int:
            return len(pairs)

        def __getitem__(self, i: int) -> tuple[Array, Array]:
            return pairs[i]

    for given in (pairs, dataset.batch(7), dataset, Sequence(), iter(pairs)):
        assert evaluate(files.dynamic, given) == 0.75
    assert evaluate(files.dynamic, dataset.batch(7).map(lambda x, y: ({"image": x}, y))) == 0.75


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_several_inputs_and_outputs_by_name(tmp_path: Path, flavour: str) -> None:
    import importlib

    import tensorflow as tf

    from tfcompress._backend.quiet import quiet

    kit = importlib.import_module(flavour)
    kit.utils.set_random_seed(0)
    inputs = [kit.layers.Input((4 + i,), name=name) for i, name in enumerate("bca")]
    h = kit.layers.Concatenate()([kit.layers.Dense(5)(item) for item in inputs])
    model = kit.Model(
        inputs, [kit.layers.Dense(2 + i, name=name)(h) for i, name in enumerate("yzx")]
    )
    with quiet():
        (tmp_path / "m.tflite").write_bytes(
            tf.lite.TFLiteConverter.from_keras_model(model).convert()
        )
    x = [np.random.default_rng(i).random((6, 4 + i), dtype=np.float32) for i in range(3)]
    expected = [np.asarray(out) for out in model(x)]
    named = dict(zip("bca", x))
    keys = ["output_0", "output_1", "output_2"] if flavour == "keras" else ["y", "z", "x"]
    for data, order in ((x, list("bca")), (named, None)):
        y = dict(zip(keys, expected))
        found = evaluate(tmp_path / "m.tflite", data, y, "mae", input_names=order)
        assert list(found) and set(found) == set(keys)
        assert max(found.values()) < 1e-6
    ordered = evaluate(tmp_path / "m.tflite", named, expected, "mse", output_names=keys)
    assert list(ordered) == keys and max(ordered.values()) < 1e-10
    with pytest.raises(DataError, match="pass their labels"):
        evaluate(tmp_path / "m.tflite", named, expected[0])


def test_many_samples_go_in_chunks(files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfcompress.profiling import _remote

    x = np.repeat(files.x, 3, axis=0)
    whole = evaluate(files.dynamic, x, np.zeros(120), predictions=True, batch_size=8)[1]
    monkeypatch.setattr(_remote, "CHUNK_BYTES", 3 * x[0].nbytes)
    parts = evaluate(files.dynamic, x, np.zeros(120), predictions=True, batch_size=8)[1]
    np.testing.assert_array_equal(whole, parts)
    assert whole.shape == (120, 10)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"x": np.zeros((3, 8, 8, 3)), "y": [0, 1, 2]},
            r"'image' takes \[1, 16, 16, 3\]; \[1, 8, 8, 3\] came",
        ),
        ({"x": np.zeros((0, 16, 16, 3)), "y": []}, "the same number of samples"),
        ({"y": [0, 1]}, "2 labels came for 40 samples"),
        ({"y": [50] * 40}, "10 classes"),
        ({"metric": "no_such_metric"}, "Keras knows no metric 'no_such_metric'"),
        ({"metric": "F1Score"}, "F1Score"),
        ({"y": None}, "needs labels"),
        ({"x": [np.zeros(3)], "y": None}, "pairs"),
        ({"x": [], "y": None}, "no samples"),
        ({"x": np.array(["a"] * 40)}, "takes numbers"),
    ],
)
def test_bad_data_is_named(
    files: SimpleNamespace, labels: Array, change: dict[str, Any], says: str
) -> None:
    arguments = {"x": files.x, "y": labels, **change}
    with pytest.raises(DataError, match=says):
        evaluate(files.fixed, **arguments)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the division that crashes does so on x86 only",
)
def test_a_crashing_file_is_an_error(files: SimpleNamespace) -> None:
    with pytest.raises(
        InterpreterError,
        match=r"crashing\.tflite crashes litert .*SIGFPE \(signal 8\) while running it",
    ):
        evaluate(files.crashing, np.zeros(4, np.int32), np.zeros(4), "mse")


def test_a_slow_answer_is_an_error(files: SimpleNamespace, labels: Array) -> None:
    with pytest.raises(InterpreterError, match=r"no answer for 0\.01 s"):
        evaluate(files.fixed, files.x, labels, timeout=0.01)


def test_no_tensorflow_is_needed(
    files: SimpleNamespace, python: Callable[..., Any], tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", x=files.x, y=np.zeros(40, int))
    code = """
import numpy as np
from tfcompress.profiling import evaluate
from tfcompress.core import DataError
data = np.load(sys.argv[2])
print(evaluate(sys.argv[1], data["x"], data["y"], ["accuracy", "top5"]))
try:
    evaluate(sys.argv[1], data["x"], data["y"], "Precision")
except DataError as error:
    print(error)
"""
    said = python(code, files.fixed, tmp_path / "d.npz").stdout
    assert "'accuracy':" in said and "TensorFlow is not installed" in said


def two_heads(tmp_path: Path) -> tuple[Path, Array, dict[str, Array]]:
    """A file with a head of 3 classes and one that gives a quantity, and data for both."""
    import keras

    from tfcompress.targets import Float32

    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((6,))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(inputs)
    age = keras.layers.Dense(1, name="age")(inputs)
    model = keras.Model(inputs, {"kind": kind, "age": age})
    rng = np.random.default_rng(0)
    x = rng.random((40, 6), dtype=np.float32)
    file = tmp_path / "heads.tflite"
    file.write_bytes(Float32().convert(model, x))
    return file, x, {"kind": rng.integers(0, 3, 40), "age": rng.random(40) * 80}


def test_a_head_that_gives_a_quantity_has_no_accuracy(tmp_path: Path) -> None:
    file, x, y = two_heads(tmp_path)
    scores, outputs = evaluate(file, x, y, predictions=True)
    kind, age = outputs["kind"], outputs["age"][:, 0]
    assert scores["kind"] == (kind.argmax(1) == y["kind"]).mean()
    assert scores["age"] == {"mae": pytest.approx(np.abs(age - y["age"]).mean())}
    several = evaluate(file, x, y, metric=["accuracy", "top5"])
    assert set(several["kind"]) == {"accuracy", "top5"} and set(several["age"]) == {"mae"}


def test_each_output_may_have_its_own_metric(tmp_path: Path) -> None:
    file, x, y = two_heads(tmp_path)
    scores = evaluate(file, x, y, metric={"kind": "top5", "age": "mse"})
    assert scores["kind"] == 1.0 and scores["age"] > 100
    with pytest.raises(DataError, match="names the outputs"):
        evaluate(file, x, y, metric={"kind": "accuracy"})
    with pytest.raises(DataError, match="accuracy needs labels that name classes"):
        evaluate(file, x, y, metric={"kind": "accuracy", "age": "accuracy"})


def test_a_row_says_which_metric_each_output_has(tmp_path: Path) -> None:
    from tfcompress._study._measure import scored

    file, x, y = two_heads(tmp_path)
    row = scored(file, (x, y), "accuracy", "auto")
    assert set(row) == {"accuracy", "kind_accuracy", "age_mae"}
    assert row["accuracy"] == row["kind_accuracy"] and row["age_mae"] > 5
