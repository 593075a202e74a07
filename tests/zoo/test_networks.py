"""The reference networks: published parameter counts, both Kerases, image sizes, compile state."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfcompress import zoo
from tfcompress.core import ModelError
from tfcompress.core._types import Array, Layer, Model

Digits = tuple[Array, Array, Array, Array]


def trainable(model: Model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def test_quantnet_has_the_published_parameters(keras_flavour: str) -> None:
    model = zoo.quantnet(keras=keras_flavour)
    assert model.count_params() == 545_889
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert counts == {
        "conv1": 896,
        "conv2": 18_496,
        "linear1": 524_416,
        "linear2": 2_064,
        "output": 17,
    }
    assert isinstance(model, importlib.import_module(keras_flavour).Model)


@pytest.mark.parametrize(
    "build, count",
    [
        (lambda: zoo.vgg19(), 20_035_018),
        (lambda: zoo.vgg16(), 14_724_042),
        (lambda: zoo.resnet(8), 78_186),
        (lambda: zoo.resnet(20), 272_474),
        (lambda: zoo.resnet(32), 466_906),
        (lambda: zoo.resnet(50), 23_528_330 - 15_168),
        (lambda: zoo.mobilenet(classes=1000), 4_231_976),
        (lambda: zoo.efficientnet(classes=1000), 5_288_548),
    ],
    ids=[
        "vgg19",
        "vgg16",
        "resnet8",
        "resnet20",
        "resnet32",
        "resnet50",
        "mobilenet",
        "efficientnet",
    ],
)
def test_trainable_parameters_are_the_published_ones(
    build: Callable[..., Model], count: int
) -> None:
    assert trainable(build()) == count


@pytest.mark.parametrize("side, channels, classes", [(8, 1, 10), (28, 1, 10), (32, 3, 1)])
def test_quantnet_takes_other_images_and_classes(
    keras_flavour: str, side: int, channels: int, classes: int
) -> None:
    model = zoo.quantnet(keras=keras_flavour, input_shape=(side, side, channels), classes=classes)
    out = np.asarray(
        model(np.random.RandomState(0).rand(3, side, side, channels).astype("float32"))
    )
    assert out.shape == (3, classes)
    assert np.allclose(out.sum(-1), 1, atol=1e-5) if classes > 1 else ((out > 0) & (out < 1)).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda keras: zoo.vgg16(keras=keras, width=0.125, input_shape=(8, 8, 1)),
        lambda keras: zoo.resnet(8, keras=keras, input_shape=(8, 8, 1), compile=True),
        lambda keras: zoo.mobilenet(keras=keras, width=0.25, input_shape=(8, 8, 1)),
        lambda keras: zoo.efficientnet(keras=keras, width=0.25, input_shape=(8, 8, 1)),
    ],
    ids=["vgg16", "resnet8", "mobilenet", "efficientnet"],
)
def test_networks_run_on_eight_by_eight_digits_in_both_kerases(
    keras_flavour: str, build: Callable[..., Model], digits: Digits
) -> None:
    out = np.asarray(build(keras_flavour)(digits[0][:2]))
    assert out.shape == (2, 10) and np.allclose(out.sum(-1), 1, atol=1e-5)


def test_compile_gives_a_model_that_trains(keras_flavour: str, digits: Digits) -> None:
    x, y = digits[0][:200], digits[1][:200]
    model = zoo.quantnet(keras=keras_flavour, input_shape=(8, 8, 1), classes=10, compile=True)
    before = model.evaluate(x, y, verbose=0)[0]
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0)[0] < before
    assert (
        getattr(zoo.quantnet(keras=keras_flavour, input_shape=(8, 8, 1)), "optimizer", None) is None
    )


def test_resnet8_takes_the_weights_of_mlperf_tiny(shared: Path) -> None:
    tf_keras = importlib.import_module("tf_keras")
    theirs = tf_keras.models.load_model(
        shared / "models" / "mlperf_tiny_resnet8_cifar10.h5", compile=False
    )
    ours = zoo.resnet(8, keras="tf_keras")

    def weighted(model: Model) -> list[Layer]:
        """Layers with weights, those of equal shapes in the network's order."""
        layers = [layer for layer in model.layers if layer.weights]
        return sorted(layers, key=shapes)

    def shapes(layer: Layer) -> list[list[int]]:
        return [weight.shape.as_list() for weight in layer.weights]

    for one, other in zip(weighted(theirs), weighted(ours), strict=True):
        other.set_weights(one.get_weights())
    x = np.random.RandomState(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: zoo.quantnet(keras="torch"), "'keras' \\(Keras 3\\) or 'tf_keras'"),
        (lambda: zoo.resnet(18), "8, 20, 32 or 50"),
        (lambda: zoo.vgg16(input_shape=(32, 32)), "height, width, channels"),
        (lambda: zoo.mobilenet(classes=0), "number of classes"),
    ],
)
def test_wrong_options_are_named(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        call()
