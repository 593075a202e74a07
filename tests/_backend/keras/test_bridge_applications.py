"""The networks of keras.applications, carried over and back."""

import importlib

import numpy as np
import pytest

from tfcompress._backend import bridge as bridge

SIZES = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "EfficientNetB0": 32,
    "DenseNet121": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "ConvNeXtTiny": 32,
}


def application(name, size, flavour):
    package = importlib.import_module(flavour)
    bridge.set_seed(0)
    return getattr(package.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10
    )


def check(model, models):
    flat = bridge.to_tf_keras(model, split=True)
    models.assert_same_outputs(model, flat)
    layers = bridge.leaf_layers(flat)
    wrapped = {
        type(layer.inner).__name__ for layer in layers if type(layer).__name__ == "Keras3Layer"
    }
    assert wrapped <= {"LayerScale"}  # ConvNeXt's own layer, in no Keras's keras.layers
    flat.set_weights([w * 0.9 for w in flat.get_weights()])
    models.assert_same_outputs(flat, bridge.restore(flat, model))
    return flat


def test_mobilenet_v3_small(models, keras_flavour):
    flat = check(application("MobileNetV3Small", 32, keras_flavour), models)
    assert sum(np.size(w) for w in flat.get_weights()) > 900_000


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_applications(name, models, keras_flavour):
    check(application(name, SIZES[name], keras_flavour), models)
