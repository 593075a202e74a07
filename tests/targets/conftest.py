"""Models for every target: each a factory `build(keras module)`, and inputs that suit it."""

import importlib

import numpy as np
import pytest


def _cnn(k):
    return k.Sequential(
        [
            k.layers.Input((8, 8, 1), name="image"),
            k.layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
            k.layers.MaxPooling2D(name="pool1"),
            k.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv2"),
            k.layers.BatchNormalization(name="bn2"),
            k.layers.ReLU(name="relu2"),
            k.layers.Flatten(name="flatten"),
            k.layers.Dense(32, activation="relu", name="dense1"),
            k.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="cnn",
    )


def _two_in_two_out(k):
    # Neither inputs nor outputs are in alphabetical order, in which a converter likes to put them.
    numbers, image = k.Input((6,), name="zeta"), k.Input((8, 8, 1), name="alpha")
    seen = k.layers.Flatten(name="flat")(
        k.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    )
    read = k.layers.Dense(8, activation="relu", name="read")(numbers)
    both = k.layers.Concatenate(name="both")([seen, read])
    return k.Model(
        [numbers, image],
        [
            k.layers.Dense(3, name="second")(both),
            k.layers.Dense(2, activation="softmax", name="first")(read),
        ],
    )


def _named_inputs(k):
    a, b = k.Input((6,), name="zeta"), k.Input((8,), name="alpha")
    both = k.layers.Concatenate(name="both")(
        [a, k.layers.Dense(4, activation="relu", name="dense")(b)]
    )
    return k.Model({"zeta": a, "alpha": b}, k.layers.Dense(3, name="out")(both))


def _lstm(k):
    return k.Sequential(
        [
            k.layers.Input((6, 5), name="steps"),
            k.layers.LSTM(24, name="memory"),
            k.layers.Dense(3, activation="softmax", name="out"),
        ]
    )


def _nested(k):
    inner = k.Input((8, 8, 3))
    pooled = k.layers.GlobalAveragePooling2D(name="pool")(
        k.layers.Conv2D(40, 3, activation="relu", name="inside")(inner)
    )
    backbone = k.Model(inner, pooled, name="backbone")
    image = k.Input((8, 8, 3), name="image")
    return k.Model(
        image,
        k.layers.Dense(3, name="head")(
            backbone(k.layers.Rescaling(2.0, -1.0, name="scale")(image))
        ),
    )


def _embedding(k):
    return k.Sequential(
        [
            k.layers.Input((12,), dtype="int32", name="ids"),
            k.layers.Embedding(200, 16, name="embedding"),
            k.layers.Conv1D(16, 3, activation="relu", name="conv"),
            k.layers.GlobalMaxPooling1D(name="pool"),
            k.layers.Dense(3, activation="softmax", name="out"),
        ]
    )


def _half_precision(k):
    image = k.Input((8, 8, 3), name="image")
    hidden = k.layers.Flatten(name="flat")(
        k.layers.Conv2D(8, 3, activation="relu", dtype="mixed_float16", name="conv")(image)
    )
    return k.Model(
        image, k.layers.Dense(5, activation="softmax", dtype="float32", name="out")(hidden)
    )


BUILDERS = {
    "cnn": _cnn,
    "two_in_two_out": _two_in_two_out,
    "named_inputs": _named_inputs,
    "lstm": _lstm,
    "nested": _nested,
    "embedding": _embedding,
    "half_precision": _half_precision,
}


@pytest.fixture(scope="session")
def made():
    """`made(flavour, name)` → (model, inputs): one of BUILDERS and 120 random examples an input."""
    from tfcompress._backend import bridge as doors

    cache = {}

    def make(flavour, name):
        if (flavour, name) not in cache:
            doors.set_seed(1)
            model = BUILDERS[name](importlib.import_module(flavour))
            rng = np.random.default_rng(0)  # biases that are zero would be left out of the file
            model.set_weights(
                [
                    w + rng.uniform(0.01, 0.1, w.shape) if w.ndim == 1 else w
                    for w in model.get_weights()
                ]
            )
            cache[flavour, name] = model, doors.random_inputs(model, n=120)
        return cache[flavour, name]

    return make


@pytest.fixture(scope="session")
def built():
    """`built(flavour, function)` → the model that `function(keras module)` builds."""
    return lambda flavour, build: build(importlib.import_module(flavour))


@pytest.fixture(scope="session")
def differs():
    """`differs(model, data, inputs)` → relative L2 error of the file's outputs to the model's."""
    from tfcompress._backend import bridge as doors
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    def measure(model, data, inputs):
        some = [np.asarray(array[:16]) for array in inputs]
        wanted, came = doors.predict(model, some), open_interpreter(data).predict(some)
        return max(np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in zip(wanted, came))

    return measure
