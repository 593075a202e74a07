"""A saved model runs no code of its own unless it is trusted; a damaged one is one error."""

from __future__ import annotations

import importlib
import json
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from tfcompress._compress import load_model
from tfcompress.core import ModelError
from tfcompress.core._types import Model, Tensor


def _model(keras_name: str, function: Callable[[Tensor], Tensor]) -> Model:
    keras = importlib.import_module(keras_name)
    layers = [keras.layers.Input((3,)), keras.layers.Lambda(function), keras.layers.Dense(2)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
def test_the_code_of_a_lambda_layer_runs_only_where_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(sys, "ran", [], raising=False)
    model = _model("tf_keras", lambda x: [x * 2.0, __import__("sys").ran.append(1)][0])
    path = tmp_path / f"net{suffix}"
    model.save(path)
    sys.ran.clear()  # pyright: ignore[reportAttributeAccessIssue]
    try:
        load_model(path)
    except ModelError as error:
        assert "load_model(path, trusted=True)" in str(error)
    else:
        assert not suffix, "a SavedModel folder can be read by its graph alone"
    assert not sys.ran  # pyright: ignore[reportAttributeAccessIssue]
    x = np.ones((1, 3), "float32")
    loaded = load_model(path, trusted=True)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert sys.ran  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_code_of_a_keras_3_lambda_layer_is_refused_too(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    _model("keras", lambda x: x * 2.0).save(path)
    with pytest.raises(ModelError, match=r"it was not run.* trusted=True"):
        load_model(path)
    assert load_model(path, trusted=True).count_params() == 8


def _with_layer(tmp_path: Path, layer: dict[str, object]) -> Path:
    """A `.keras` file of tf_keras whose last layer is written down in another way."""
    model = tf_keras.Sequential([tf_keras.layers.Input((3,)), tf_keras.layers.Dense(2)])
    model.save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as file:
        parts = {one: file.read(one) for one in file.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][-1] = {**config["config"]["layers"][-1], **layer}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        for one, data in parts.items():
            file.writestr(one, data)
    return tmp_path / "other.keras"


@pytest.mark.parametrize(("module", "name"), [("somewhere", "f"), ("subprocess", "call")])
def test_no_module_that_a_file_names_is_imported_and_no_function_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    function = {"module": module, "class_name": "function", "config": name}
    config = {
        **{"function": function, "function_type": "function"},
        **{"output_shape": None, "output_shape_type": "raw"},
    }
    (tmp_path / "somewhere.py").write_text("import sys\nsys.ran.append(1)\nf = abs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "ran", [], raising=False)
    with pytest.raises(ModelError, match="it was not run"):
        load_model(_with_layer(tmp_path, {"class_name": "Lambda", "config": config}))
    assert sys.ran == [] and "somewhere" not in sys.modules  # pyright: ignore[reportAttributeAccessIssue]


def test_operations_that_write_files_are_refused(tmp_path: Path) -> None:
    i = tf_keras.Input((3,))
    model = tf_keras.Model(i, tf_keras.layers.Dense(2)(i) + 1.0)
    model.save(tmp_path / "good.h5")
    assert load_model(tmp_path / "good.h5").count_params() == 8
    import h5py

    with h5py.File(tmp_path / "good.h5", "r+") as file:
        config = str(file.attrs["model_config"])
        assert "__operators__.add" in config
        file.attrs["model_config"] = config.replace("__operators__.add", "io.write_file")
    with pytest.raises(ModelError, match=r"tf\.io\.write_file, which is not run"):
        load_model(tmp_path / "good.h5")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_damaged_file_is_one_error(tmp_path: Path, keras_flavour: str, suffix: str) -> None:
    keras = importlib.import_module(keras_flavour)
    path = tmp_path / f"net{suffix}"
    keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]).save(path)
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(12):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 20, 400))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data[: rng.choice((len(data), len(data) // 2))]))
        try:
            load_model(path)
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused
