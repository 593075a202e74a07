"""How far sound files of trained networks are from their models: where parity bounds come from.

    python benchmarks/parity_bounds.py [--shared ../shared] [--draws 200]

Networks are trained here on scikit-learn's digits; with `--shared`, ResNet-8 of MLPerf Tiny on
CIFAR-10 is measured too. Every target writes each network, and both run on held-out images and on
random inputs. Parity is then measured over many draws of as many inputs as `compress` takes, so
that what is printed is the distribution of the number that a bound is set on:

- centred error: |file - Keras| / |Keras - its mean over the inputs|, each a Frobenius norm,
- differing decisions: the share of clearly decided inputs with another largest class.

The last table holds files that must not pass: the outputs of one constant, of the negated network,
and of the network with noise on its weights that costs it three to six points of accuracy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfcompress._backend.bridge import load_model, predict
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._parity import SMALLEST_SPREAD, SPREAD_OF_NOISE, compare
from tfcompress._backend.keras._samples import random_samples
from tfcompress.core import ConversionError, Target
from tfcompress.core._types import Array, Model
from tfcompress.targets import DynamicRange, Float16, Float32, Int8, Int16x8
from tfcompress.zoo import load_data, resnet

TARGETS: tuple[Target, ...] = (Float32(), Float16(), DynamicRange(), Int16x8(), Int8())
INPUTS = 64
L = keras.layers


@dataclass(frozen=True)
class Case:
    """A trained network, its calibration samples, held-out inputs, and labels if it has any."""

    name: str
    model: Model
    samples: Array
    inputs: Array
    labels: Array | None = None

    def accuracy(self, outputs: Array) -> float:
        """The share of held-out inputs whose largest output is their label."""
        return float(np.mean(outputs.argmax(1) == self.labels)) if self.labels is not None else 1.0


def digits_cases() -> Iterator[Case]:
    """Classifiers, a regressor with a large offset and an autoencoder, trained on the digits."""
    data = load_data("digits")
    train, test = data.x_train, data.x_test
    ink = train.mean((1, 2, 3))[:, None] * 10
    classifiers = {
        "CNN, softmax": [L.Conv2D(16, 3, activation="relu"), L.Flatten(), L.Dense(10, "softmax")],
        "CNN with BatchNormalization": [
            L.Conv2D(16, 3, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.DepthwiseConv2D(3, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(10, "softmax"),
        ],
        "MLP, logits": [L.Flatten(), L.Dense(64, "relu"), L.Dense(64, "relu"), L.Dense(10)],
        "LSTM": [L.Reshape((8, 8)), L.LSTM(32), L.Dense(10, "softmax")],
        "GRU": [L.Reshape((8, 8)), L.GRU(32), L.Dense(10, "softmax")],
    }
    for name, layers in classifiers.items():
        model = keras.Sequential([keras.Input(train.shape[1:]), *layers])
        logits = name.endswith("logits")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        model.compile(keras.optimizers.Adam(3e-3), loss)
        model.fit(train, data.y_train, epochs=30, batch_size=32, verbose=0)
        yield Case(name, model, train, test, data.y_test)
    model = resnet(8, input_shape=train.shape[1:], classes=10)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(train, data.y_train, epochs=8, batch_size=32, verbose=0)
    yield Case("ResNet-8", model, train, test, data.y_test)
    regressor = [L.Flatten(), L.Dense(32, "relu"), L.Dense(1)]
    for name, offset in (("regressor", 0.0), ("regressor, offset 50", 50.0)):
        model = keras.Sequential([keras.Input(train.shape[1:]), *regressor])
        model.compile(keras.optimizers.Adam(3e-3), "mse")
        model.fit(train, ink, epochs=30, batch_size=32, verbose=0)
        model.layers[-1].bias.assign_add([offset])
        regressor = [L.Flatten(), L.Dense(32, "relu"), L.Dense(1)]
        yield Case(name, model, train, test)
    coder = [
        L.Flatten(),
        L.Dense(32, "relu"),
        L.Dense(16, "relu"),
        L.Dense(64),
        L.Reshape((8, 8, 1)),
    ]
    model = keras.Sequential([keras.Input(train.shape[1:]), *coder])
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(train, train, epochs=30, batch_size=32, verbose=0)
    yield Case("autoencoder", model, train, test)


def shared_cases(folder: Path) -> Iterator[Case]:
    """The pretrained network beside the repository."""
    images = np.load(folder / "data" / "cifar10.npz")
    model = load_model(folder / "models" / "mlperf_tiny_resnet8_cifar10.h5")
    train, test = images["x_train"][:500].astype("float32"), images["x_test"][:1000]
    labels = images["y_test"].reshape(-1)[:1000]
    yield Case("ResNet-8 on CIFAR-10", model, train, test.astype("float32"), labels)


def distribution(
    reference: Array, outputs: Array, draws: int, spread: float = SMALLEST_SPREAD
) -> tuple[Array, Array]:
    """Centred errors and shares of differing decisions over `draws` choices of INPUTS inputs."""
    generator = np.random.default_rng(0)
    errors, differing = [], []
    for _ in range(draws):
        chosen = generator.choice(len(reference), min(INPUTS, len(reference)), replace=False)
        parity = compare([reference[chosen]], [outputs[chosen]], what="file", spread=spread)
        errors.append(parity.error)
        differing.append(parity.differing)
    return np.array(errors), np.array(differing)


def print_row(name: str, target: str, inputs: str, accuracy: str, *measured: Array) -> None:
    """One Markdown row: the median, the 99th percentile and the largest of both numbers."""
    cells = [
        " ".join(f"{value:.2g}" for value in np.quantile(values, (0.5, 0.99, 1.0)))
        for values in measured
    ]
    print(f"| {target} | {name} | {inputs} | {accuracy} | {' | '.join(cells)} |", flush=True)


def measure_sound(case: Case, draws: int) -> dict[str, list[float]]:
    """The rows of the files that the targets write; returns the largest error and share of each."""
    largest = {}
    noise = random_samples(case.model, 256)[0]
    for target in TARGETS:
        try:
            interpreter = open_interpreter(target.convert(case.model, case.samples[:500]))
        except ConversionError as error:
            print(f"<!-- {case.name}, {target.label}: {error} -->")
            continue
        for kind, inputs in (("held out", case.inputs), ("random", noise)):
            reference, outputs = predict(case.model, [inputs])[0], interpreter.predict([inputs])[0]
            accuracy = ""
            if case.labels is not None and kind == "held out":
                accuracy = f"{case.accuracy(reference):.3f} → {case.accuracy(outputs):.3f}"
            spread = SMALLEST_SPREAD if kind == "held out" else SPREAD_OF_NOISE
            measured = distribution(reference, outputs, draws, spread)
            print_row(case.name, target.label, kind, accuracy, *measured)
            largest[f"{target.label}, {kind}"] = [float(values.max()) for values in measured]
    return largest


def noisy_outputs(case: Case, reference: Array) -> Array | None:
    """What the network gives with noise on its weights that costs three to six points."""
    weights = case.model.get_weights()
    generator = np.random.default_rng(0)
    outputs = None
    for share in np.geomspace(0.02, 1.0, 40):
        noised = [w + share * w.std() * generator.standard_normal(w.shape) for w in weights]
        case.model.set_weights(noised)
        came = predict(case.model, [case.inputs])[0]
        if 0.03 <= case.accuracy(reference) - case.accuracy(came) <= 0.06:
            outputs = came
            break
    case.model.set_weights(weights)
    return outputs


def measure_unsound(case: Case, draws: int) -> None:
    """The rows of what must not pass."""
    reference = predict(case.model, [case.inputs])[0]
    mean = np.broadcast_to(reference.mean(0), reference.shape)
    unsound = {"one constant": mean, "negated": 2 * mean - reference}
    if case.labels is not None:
        unsound["noise on the weights"] = noisy_outputs(case, reference)
    for name, outputs in unsound.items():
        if outputs is not None:
            measured = distribution(reference, outputs, draws)
            lowest = " ".join(f"{values.min():.2g}" for values in measured)
            accuracy = f"{case.accuracy(outputs):.3f}" if case.labels is not None else ""
            print_row(case.name, f"{name} (lowest {lowest})", "held out", accuracy, *measured)


def main() -> None:
    """Measure every network and print the largest of each target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder with data/ and models/")
    parser.add_argument("--draws", type=int, default=200, help="choices of the parity inputs")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    print(f"Draws of {INPUTS} inputs; each cell: median, 99th percentile, largest.\n")
    print("| file | network | inputs | accuracy | centred error | differing decisions |")
    print("|---|---|---|--:|--:|--:|")
    largest: dict[str, list[float]] = {}
    cases = [*digits_cases(), *(shared_cases(args.shared) if args.shared else ())]
    for case in cases:
        for key, values in measure_sound(case, args.draws).items():
            known = largest.setdefault(key, [0.0, 0.0])
            largest[key] = [max(pair) for pair in zip(known, values)]
    for case in cases:
        measure_unsound(case, args.draws)
    print("\n| file, inputs | largest centred error | largest share of differing decisions |")
    print("|---|--:|--:|")
    for key, (error, differing) in largest.items():
        print(f"| {key} | {error:.3g} | {differing:.3g} |")


if __name__ == "__main__":
    main()
