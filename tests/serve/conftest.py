"""A served folder as a study leaves it: four files of one small network, and real digits."""

import hashlib
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress import serve
from tfcompress.report import Report

TIMING = {
    "device": "Pixel 8",
    "accelerator": "wasm",
    "threads": 1,
    "blocks": 40,
    "runs_a_block": 20,
    "latency_ms_p50": 0.5,
    "latency_ms_p90": 0.6,
    "latency_ms_p99": 0.9,
    "cold_ms": 30.0,
    "runtime": "LiteRT.js 2.5.3",
}


@pytest.fixture
def timing():
    """What a browser posts of the time that a file takes."""
    return dict(TIMING)


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory, digits):
    """report.json and the files that it names; nobody may change them."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model: Any = keras.Sequential(layers)
    x, y = digits[0], digits[1]
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=3, verbose=0)
    folder = tmp_path_factory.mktemp("study")
    rows = []
    for target in ("float32", "int8", "uint8io", "dynamic"):
        file = folder / f"{target}-seed0.tflite"
        file.write_bytes(tfc.convert(model, target, samples=x[:100]).data)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        made = {"file": file.name, "sha256": digest, "call": "convert", "seconds": 1.0}
        size = file.stat().st_size
        rows.append(
            {"recipe": target, "seed": 0, "accuracy": 0.9, "size_bytes": size, "made": made}
        )
    report = Report(rows, "Digits", {"metric": "accuracy", "base": "float32"})
    report.to_json(folder / "report.json")
    return folder


@pytest.fixture
def folder(study_folder, tmp_path):
    """A copy of `study_folder` that a test may change."""
    return shutil.copytree(study_folder, tmp_path / "study")


@pytest.fixture
def site(folder, digits):
    """The application's state over `folder`, with 50 digits of the test set."""
    samples = serve.chosen(digits[2], digits[3], 50, classes=[str(n) for n in range(10)])
    site = serve.Site(serve.of_folder(folder), samples)
    yield site
    site.close()


@pytest.fixture
def client(site):
    """A visitor on this machine."""
    from fastapi.testclient import TestClient

    with TestClient(serve.create_app(site), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def posted(site):
    """`posted(name, **changes)`: what a browser posts of a file that it ran rightly."""

    def body(name="int8", **changes):
        file = next(file for file in site.catalogue.files.values() if file.name == name)
        outputs = [np.asarray(values).tolist() for values in site.expected(file)]
        content = {"timing": {**TIMING, **changes}, "outputs": outputs}
        return SimpleNamespace(address=f"/api/measurements/{file.key}", content=content)

    return body
