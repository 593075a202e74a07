"""Fixtures that every test folder shares: real embedded data and small models in both Kerases."""

import functools
import gc
import importlib
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from filelock import FileLock

# TensorFlow's objects are half a million, and every full collection looks at all of them.
gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="session")
def shared():
    """The folder of real data and pretrained models beside the project; skips without it."""
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
    """Real 8×8 digits, x in 0..1: x_train [1200, 8, 8, 1], y_train, x_test [597, …], y_test."""
    from sklearn.datasets import load_digits
    from sklearn.utils import Bunch

    data = cast(Bunch, load_digits())
    order = np.random.RandomState(0).permutation(len(data.target))
    x = (data.images[order, ..., None] / 16.0).astype("float32")
    y = data.target[order].astype("int64")
    return x[:1200], y[:1200], x[1200:], y[1200:]


@pytest.fixture(scope="session")
def tiny():
    """`tiny(flavour)`: the trained model of `tfcompress.testing` and its data.

    They are the same objects every time: nobody may change them.
    """
    from tfcompress.testing import tiny_model

    return functools.cache(tiny_model)


@pytest.fixture(scope="session")
def small_cnn():
    """`small_cnn(flavour, compiled=True)` makes a conv–pool–conv–dense net for `digits`."""

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


@pytest.fixture(scope="session")
def trained_cnn(small_cnn, digits, tmp_path_factory):
    """`trained_cnn(flavour)` makes a compiled `small_cnn` with the weights of six epochs.

    It is trained once a test run, whatever the number of pytest-xdist's workers, and is the
    caller's own: it may be changed. Take it wherever a test needs a network that has learned.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def build(flavour):
        model = small_cnn(flavour)
        file = folder / f"trained_cnn-{flavour}.npz"
        with FileLock(f"{file}.lock"):
            if not file.exists():
                model.fit(digits[0], digits[1], epochs=6, verbose=0)
                np.savez(file, *model.get_weights())
                model = small_cnn(flavour)
        with np.load(file) as weights:
            model.set_weights([weights[name] for name in weights.files])
        return model

    return build


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`run(*words)` → (exit code, stdout, stderr) of `tfcompress words`; texts are split."""

    from tfcompress.cli import main

    def call(*words: str | Path) -> tuple[int, str, str]:
        arguments = ["tfcompress"]
        for word in words:
            arguments += [str(word)] if isinstance(word, Path) else shlex.split(word)
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def litert_js():
    """The browsers' runtime, fetched with npm where it is not there; skips without either."""
    from tfcompress._backend import litert_js as _litert_js
    from tfcompress.core import InterpreterError

    runtime = _litert_js.find()
    if runtime is not None:
        return runtime
    try:
        return _litert_js.install()
    except InterpreterError as error:
        pytest.skip(f"LiteRT.js is not here: {error}")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, driven by Playwright; skips without either."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    from tfcompress._backend.chromium import HOW, executable

    with sync.sync_playwright() as kit:
        try:
            opened = kit.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        except sync.Error as error:
            pytest.skip(f"needs a Chromium ({HOW}): {str(error).splitlines()[0]}")
        yield opened
        opened.close()
