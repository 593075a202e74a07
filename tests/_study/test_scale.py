"""The scale of stored images: what the model answers best on, else as they are stored."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcompress._study._scale import find_scale, scale_for_model, scaled, scaling_layer
from tfcompress.core._types import Array
from tfcompress.zoo import Data

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.randint(0, 256, (400, 4, 4, 1)).astype("float32")
LABELS = (IMAGES.mean(axis=(1, 2, 3)) > 127).astype("int64")


def data(stored: str = "uint8", labels: Array = LABELS) -> Data:
    return Data(IMAGES, labels, IMAGES, labels, IMAGES, labels, stored=stored)


def classifier(threshold: float) -> Callable[[Array], Array]:
    """Class 1 for images whose mean is above `threshold`."""

    def predict(x: Array) -> Array:
        return np.eye(2)[(x.mean(axis=(1, 2, 3)) > threshold).astype(int)]

    return predict


def test_the_scale_that_the_model_answers_best_on() -> None:
    divided = find_scale(data(), classifier(0.5))
    assert divided.divisor == 255 and "accuracy" in divided.reason
    as_stored = find_scale(data(), classifier(127))
    assert as_stored.divisor == 1 and "1.000 as stored" in as_stored.reason


@pytest.mark.parametrize(
    ("options", "layer", "words"),
    [
        ({"stored": "float32"}, "", "values as stored"),
        ({}, "rescaling", "begins with 'rescaling'"),
        ({}, "", "--scale 255"),
        ({"labels": LABELS.astype("float32")}, "", "--scale 255"),
    ],
)
def test_as_stored_where_nothing_is_clear(options: dict[str, Any], layer: str, words: str) -> None:
    scale = find_scale(data(**options), classifier(-1), layer)
    assert scale.divisor == 1 and words in scale.reason


def test_a_model_that_is_no_classifier_of_these_labels_is_fed_as_stored() -> None:
    assert find_scale(data(), lambda x: np.zeros((len(x), 3, 5))).divisor == 1


def test_the_resnet_of_mlperf_tiny_takes_images_as_stored(shared: Path) -> None:
    """It was trained on 0 … 255 and begins with no layer that says so: divided, it has 8 %."""
    from tfcompress import zoo
    from tfcompress._compress import load_model

    model = load_model(shared / "models" / "mlperf_tiny_resnet8_cifar10.h5")
    scale = scale_for_model(zoo.load_data("cifar10", shared / "data", scale=1), model)
    assert scale.divisor == 1
    assert re.search(r"accuracy 0\.9\d\d as stored, 0\.[01]\d\d divided by 255", scale.reason)


def test_all_parts_are_divided() -> None:
    halves = scaled(data(), 2)
    for part in ("x_train", "x_val", "x_test"):
        np.testing.assert_array_equal(getattr(halves, part), IMAGES / 2)
    whole = data()
    assert scaled(whole, 1) is whole


def test_the_layer_that_scales_before_anything_learns(keras_flavour: str) -> None:
    layers = importlib.import_module(keras_flavour).layers
    sequential = importlib.import_module(keras_flavour).Sequential
    head = [layers.Input((4, 4, 1)), layers.RandomFlip("horizontal")]
    conv = layers.Conv2D(2, 3)
    assert scaling_layer(sequential([*head, layers.Rescaling(1 / 255, name="to_one"), conv]))
    assert scaling_layer(sequential([*head, layers.Normalization(name="n"), layers.Flatten()]))
    assert not scaling_layer(sequential([*head, layers.Conv2D(2, 3), layers.Rescaling(2.0)]))
