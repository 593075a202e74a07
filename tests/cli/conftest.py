"""A trained model's file and a user's own data for the command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcompress.core._types import Array, Model

Digits = tuple[Array, Array, Array, Array]


@pytest.fixture(scope="session")
def saved(trained_cnn: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model's .keras file."""
    path = tmp_path_factory.mktemp("cli") / "net.keras"
    trained_cnn("keras").save(path)
    return path


@pytest.fixture(scope="session")
def own_data(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as a user's mine.npz and as images/, one folder of images a class."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    x, y, x_test, y_test = digits
    arrays: dict[str, Any] = {
        "x_train": x[:300],
        "y_train": y[:300],
        "x_test": x_test[:60],
        "y_test": y_test[:60],
    }
    np.savez(folder / "mine.npz", **arrays)
    for number, (image, label) in enumerate(zip(x[:300], y[:300])):
        of_class = folder / "images" / f"digit{label}"
        of_class.mkdir(parents=True, exist_ok=True)
        grey = (image[..., 0] * 255).astype("uint8")
        Image.fromarray(grey).save(of_class / f"{number}.png")
    return folder
