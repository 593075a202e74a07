"""Fixtures that every test folder shares: real embedded data and small models in both Kerases."""

import importlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shared():
    """The folder of real data and pretrained models beside the project; skips where it is missing."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the data folder {folder.name}/ beside the project")
    return folder


@pytest.fixture(params=["keras", "tf_keras"])
def keras_flavour(request):
    """Name of the Keras a test's model is built with: "keras" (Keras 3) and "tf_keras"."""
    return request.param


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's real 8×8 digits: x_train [1200, 8, 8, 1], y_train, x_test [597, 8, 8, 1], y_test; x in 0..1."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.target))
    x = (data.images[order, ..., None] / 16.0).astype("float32")
    y = data.target[order].astype("int64")
    return x[:1200], y[:1200], x[1200:], y[1200:]


@pytest.fixture(scope="session")
def small_cnn():
    """Factory `small_cnn(flavour, compiled=True)`: a conv–pool–conv–dense net for `digits` with named layers."""

    def build(flavour, compiled=True):
        keras = importlib.import_module(flavour)
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 1)),
                keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
                keras.layers.MaxPooling2D(name="pool1"),
                keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv2"),
                keras.layers.BatchNormalization(name="bn2"),
                keras.layers.ReLU(name="relu2"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dense(32, activation="relu", name="dense1"),
                keras.layers.Dense(10, activation="softmax", name="dense2"),
            ],
            name="small_cnn",
        )
        if compiled:
            model.compile(
                keras.optimizers.Adam(3e-3),
                keras.losses.SparseCategoricalCrossentropy(),
                metrics=["accuracy"],
            )
        return model

    return build
