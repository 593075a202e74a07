"""The data sets that come with other packages: Keras's downloads, scikit-learn's digits."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def keras_dataset(name: str) -> dict[str, np.ndarray]:
    """Keras's own "mnist", "cifar10" or "cifar100": {x_train, y_train, x_test, y_test: array}.

    They are downloaded once and then cached by Keras.
    Passes on whatever Keras raises where the download fails.
    """
    module: Any = importlib.import_module(f"keras.datasets.{name}")
    (x_train, y_train), (x_test, y_test) = module.load_data()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def sklearn_digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits: images uint8 [n, 8, 8, 1], grey levels 0..16, and labels [n]."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return digits.images[..., None].astype("uint8"), digits.target
