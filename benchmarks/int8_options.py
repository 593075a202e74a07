"""What the options of Int8 cost and give: scales of Dense kernels, and LSTMs unrolled or fused.

    python benchmarks/int8_options.py [--shared ../shared]

Networks are trained here on scikit-learn's digits; with `--shared`, ResNet-8 of MLPerf Tiny and an
autoencoder of its size are measured too. Every row is one file: bytes, accuracy or relative error
of the outputs on held-out inputs beside the Keras model's, and the median latency of one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfcompress._backend.bridge import load_model, predict
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._parity import compare
from tfcompress.core import Target
from tfcompress.core._types import Array, Model
from tfcompress.targets import DynamicRange, Float32, Int8
from tfcompress.zoo import load_data

DENSE = (Float32(), Int8(dense_scales="channel"), Int8(dense_scales="tensor"))
LSTM = (Float32(), DynamicRange(), Int8(lstm="unrolled"), Int8(lstm="fused"))
RUNS = 50
L = keras.layers


@dataclass(frozen=True)
class Case:
    """A trained network, its calibration samples, held-out inputs and their labels, if any."""

    name: str
    model: Model
    samples: Array
    inputs: Array
    labels: Array | None = None


def trained(name: str, layers: list, inputs: tuple[Array, Array], labels: tuple | None) -> Case:
    """A network trained to classify, or to give its input where there are no labels."""
    train, test = inputs
    model = keras.Sequential([keras.Input(train.shape[1:]), *layers])
    model.compile(
        keras.optimizers.Adam(2e-3), "mse" if labels is None else "sparse_categorical_crossentropy"
    )
    model.fit(train, train if labels is None else labels[0], epochs=20, batch_size=32, verbose=0)
    return Case(name, model, train[:500], test, None if labels is None else labels[1])


def dense_cases(shared: Path | None) -> Iterator[Case]:
    """Networks whose Dense layers matter."""
    data = load_data("digits")
    images, labels = (data.x_train, data.x_test), (data.y_train, data.y_test)
    flat = data.x_train.reshape(-1, 64), data.x_test.reshape(-1, 64)
    wide = [L.Dense(256, "relu"), L.Dense(256, "relu"), L.Dense(10, "softmax")]
    yield trained("MLP 64-256-256-10", wide, flat, labels)
    cnn = [L.Conv2D(16, 3, activation="relu"), L.Flatten(), L.Dense(64, "relu")]
    yield trained("CNN", [*cnn, L.Dense(10, "softmax")], images, labels)
    coder = [128, 128, 128, 128, 8, 128, 128, 128, 128]
    layers: list = []
    for units in coder:  # MLPerf Tiny's autoencoder, on digits repeated to its 640 values
        layers += [L.Dense(units), L.BatchNormalization(), L.ReLU()]
    many = tuple(np.tile(part, (1, 10)) for part in flat)
    yield trained("autoencoder 640", [*layers, L.Dense(640)], many, None)
    if shared is not None:
        images = np.load(shared / "data" / "cifar10.npz")
        model = load_model(shared / "models" / "mlperf_tiny_resnet8_cifar10.h5")
        test, truth = images["x_test"][:2000].astype("float32"), images["y_test"].reshape(-1)[:2000]
        train = images["x_train"][:500].astype("float32")
        yield Case("ResNet-8 on CIFAR-10", model, train, test, truth)


def lstm_cases() -> Iterator[Case]:
    """One LSTM over the rows of the digits, and one over 192 steps."""
    data = load_data("digits")
    labels = (data.y_train, data.y_test)
    rows = data.x_train[..., 0], data.x_test[..., 0]
    yield trained("LSTM 64, 8 steps", [L.LSTM(64), L.Dense(10, "softmax")], rows, labels)
    steps = tuple(np.repeat(part, 24, axis=1) for part in rows)
    yield trained("LSTM 64, 192 steps", [L.LSTM(64), L.Dense(10, "softmax")], steps, labels)


def print_row(case: Case, target: Target, option: str) -> None:
    """One Markdown row for the file that `target` writes."""
    data = target.convert(case.model, case.samples)
    interpreter = open_interpreter(data)
    reference, outputs = (
        predict(case.model, [case.inputs])[0],
        interpreter.predict([case.inputs])[0],
    )
    accuracy = ""
    if case.labels is not None:
        shares = [np.mean(given.argmax(1) == case.labels) for given in (reference, outputs)]
        accuracy = " → ".join(f"{share:.4f}" for share in shares)
    error = compare([reference], [outputs], what="file").error
    cells = (case.name, option, f"{len(data):,}", accuracy, f"{error:.3g}", latency(interpreter))
    print("| " + " | ".join(cells) + " |", flush=True)


def latency(interpreter) -> str:
    """The median time of one run."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times) * 1e3:.3f} ms"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder with data/ and models/")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    print("| network | file | bytes | accuracy | relative error | latency |")
    print("|---|---|--:|--:|--:|--:|")
    for case in dense_cases(args.shared):
        for target in DENSE:
            print_row(case, target, f"{target.label} {getattr(target, 'dense_scales', '')}")
    for case in lstm_cases():
        for target in LSTM:
            print_row(case, target, f"{target.label} {getattr(target, 'lstm', '')}")


if __name__ == "__main__":
    main()
