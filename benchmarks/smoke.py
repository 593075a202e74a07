"""One short pass over the library: does what a user does first work with the versions installed?

    python benchmarks/smoke.py

Prints one line of JSON: the versions, and for each step "ok" or the error's last line. It needs
tfcompress alone, no test package; `benchmarks/versions.py` runs it in fresh environments.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RECIPES = (
    "float32",
    "int8",
    "prune50-int8",
    "cluster16-qat-int8",
    "filters30-finetune-int8",
    "mixed2-packed",
)
PACKAGES = (
    *("tensorflow", "keras", "tf_keras", "tensorflow-model-optimization"),
    *("ai-edge-litert", "numpy", "scipy"),
)


def network(flavour: str) -> Any:
    """A small network for 8 × 8 digits, built with one of the Kerases."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [
        layers.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.ReLU(name="relu1"),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2"),
        layers.Flatten(name="flatten"),
        layers.Dense(32, activation="relu", name="dense1"),
        layers.Dense(10, activation="softmax", name="dense2"),
    ]
    model = keras.Sequential(stack, name="net")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recipes_of(flavour: str, folder: Path) -> dict[str, Callable[[], None]]:
    """A step for every recipe: trained, converted, checked, saved, read back, and accurate."""
    import tfcompress as tfc
    from tfcompress import zoo
    from tfcompress.training import Fit

    data = zoo.load_data("digits")
    model = network(flavour)
    model.fit(data.x_train, data.y_train, epochs=6, batch_size=32, verbose=0)
    fit = Fit(data.x_train, data.y_train, epochs=2)

    def step(name: str) -> None:
        artifact = tfc.compress(model, name, fit=fit, samples=data.x_train[:200], seed=0)
        path = folder / f"{flavour}-{name}"
        artifact.save(path)
        accuracy = tfc.evaluate(path.with_suffix(".tflite"), data.x_test, data.y_test)
        if accuracy < 0.8 and not name.startswith("mixed"):
            raise AssertionError(f"accuracy {accuracy:.3f}")
        tfc.Artifact.load(path)

    return {f"{flavour}: {name}": lambda name=name: step(name) for name in RECIPES}


def command(*words: str) -> Callable[[], None]:
    """A step that calls the command and wants exit code 0."""

    def step() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tfcompress.cli", *words], capture_output=True, text=True
        )
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            failed = [line for line in lines if "failed:" in line]
            raise RuntimeError((failed or lines)[-1])

    return step


def outcome(step: Callable[[], None]) -> str:
    """ "ok", or the class and the last line of what the step raised."""
    try:
        step()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[-1][:300]}"
    return "ok"


def main() -> None:
    """Carry out every step and print the line."""
    begun = time.perf_counter()
    steps: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for flavour in ("keras", "tf_keras"):
            steps.update({n: outcome(s) for n, s in recipes_of(flavour, Path(folder)).items()})
        file = str(Path(folder) / "keras-int8.tflite")
        # The command, in processes of its own.
        steps["tfcompress profile"] = outcome(command("profile", file, "--json"))
        steps["tfcompress compare"] = outcome(command("compare", file, "--data", "digits"))
        steps["tfcompress doctor"] = outcome(command("doctor"))
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    seconds = round(time.perf_counter() - begun, 1)
    row = {"python": platform.python_version(), "versions": versions, "steps": steps}
    print(json.dumps({**row, "seconds": seconds}))


if __name__ == "__main__":
    main()
