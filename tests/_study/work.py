"""A small real study that other processes can import: a builder, its data and its recipes."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
from functools import cache
from typing import cast

import numpy as np

RECIPES = [
    "float32",
    "int8",
    "prune50-int8",
    "prune50-cluster8-int8",
    "qat-int8",
    "prune50-qat-int8",
]
STABLE = ["accuracy", "size_bytes", "gzip_bytes"]


@cache
def digits():
    from sklearn.datasets import load_digits
    from sklearn.utils import Bunch

    data = cast(Bunch, load_digits())
    order = np.random.RandomState(0).permutation(len(data.target))
    return (data.images[order, ..., None] / 16.0).astype("float32"), data.target[order].astype(
        "int64"
    )


def build(seed):
    """A small network with dropout, so that every random number counts, trained on 600 digits."""
    keras = importlib.import_module("keras")
    x, y = digits()
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(16, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="output"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:600], y[:600], epochs=3, verbose=0)
    return model


def options(**more):
    """Keyword arguments of `study`."""
    from tfcompress.training import Fit

    x, y = digits()
    fit = Fit(x[:400], y[:400], epochs=1)
    return {
        "fit": fit,
        "samples": x[:100],
        "evaluate": (x[1200:], y[1200:]),
        "profile": False,
        "progress": False,
        **more,
    }


def facts(report):
    """What must be the same however the study was carried out: the rows without the seconds."""
    rows = []
    for row in report.rows:
        made = {
            key: value
            for key, value in row.get("made", {}).items()
            if key in ("call", "sha256", "file", "started_from")
        }
        rows.append({**row, "made": made})
    return rows


def main(out, seeds, recipes):
    """Carry the study out in `out` and print each step, so that a test knows when to end it."""
    from tfcompress import study

    def tell(what, done, total):
        print(f"{done}/{total} {what}", flush=True)

    study(build, recipes, **options(seeds=seeds, out=out, progress=tell))


if __name__ == "__main__":
    import sys

    main(sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","))
