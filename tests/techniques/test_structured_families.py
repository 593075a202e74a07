"""Every family of networks: 30 % of the filters go, and the int8 file costs what was computed."""

import importlib

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress import zoo
from tfcompress._backend.channels import _plan as filters
from tfcompress.analysis import cost
from tfcompress.core import ModelError, RecipeError, Skipped
from tfcompress.techniques import PruneFilters
from tfcompress.testing import tiny_model
from tfcompress.training import Distill

SMALL = {
    "quantnet": {},
    "vgg16": {"width": 0.125},
    "resnet8": {},
    "resnet50": {"width": 0.125},
    "mobilenet": {"width": 0.25},
    "efficientnet": {"width": 0.25, "depth": 0.3},
}
IN_TF_KERAS = ("quantnet", "resnet50", "efficientnet")
"""Plain, with bottlenecks, depthwise with gates; the rules ask neither Keras for anything else."""
APPLICATIONS = {
    "VGG16": 32,
    "VGG19": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "MobileNetV3Large": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "DenseNet121": 32,
    "Xception": 71,
    "InceptionV3": 75,
    "ConvNeXtTiny": 32,
}


def prune_and_convert(model, scale=1.0, **options):
    technique = PruneFilters(0.3, **options)
    plan = filters.plan(
        model,
        importance="l1",
        ratio=0.3,
        scope="layer",
        round_to=1,
        target_macs=None,
        target_params=None,
        only=None,
        skip=None,
        **options,
    )
    params, macs = plan.cost()
    pruned = technique.apply(model)
    counted = cost(pruned)
    assert (counted.params, counted.macs) == (params, macs)
    assert params < model.count_params() and macs < cost(model).macs
    assert technique.check(model, pruned)[0].value == pytest.approx(macs / cost(model).macs)
    samples = (
        np.random.default_rng(0).random((100, *model.input_shape[1:]), dtype=np.float32) * scale
    )
    artifact = tfc.convert(pruned, "int8", samples)  # parity with the Keras model is part of it
    assert artifact.size_bytes < tfc.convert(model, "int8", samples).size_bytes
    return pruned


@pytest.mark.parametrize(
    ("flavour", "name"),
    [*(("keras", name) for name in SMALL), *(("tf_keras", name) for name in IN_TF_KERAS)],
)
def test_zoo(flavour, name):
    prune_and_convert(zoo.student(name, **SMALL[name], keras=flavour))


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name, keras_flavour):
    size, keras = APPLICATIONS[name], importlib.import_module(keras_flavour)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    inside = name.startswith(
        ("MobileNetV3", "Efficient", "ConvNeXt")
    )  # these rescale 0..255 themselves
    prune_and_convert(model, scale=255.0 if inside else 1.0)


@pytest.mark.slow
def test_convnext_with_its_norms(keras_flavour):
    """The residual stream, which LayerNormalization and LayerScale read, goes too."""
    keras = importlib.import_module(keras_flavour)
    model = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), classes=10)
    pruned = prune_and_convert(model, scale=255.0, through_norms=True)
    assert not PruneFilters(0.3, through_norms=True).skips(model)
    assert cost(pruned).macs < 0.6 * cost(model).macs < cost(PruneFilters(0.3).apply(model)).macs


def test_grouped_convolutions(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(16, 3, activation="relu")(inputs))
    x = layers.Conv2D(24, 3, groups=4, activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(24, 3, padding="same", groups=2)(x)])
    prune_and_convert(
        keras.Model(
            inputs, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
        )
    )


def test_a_model_whose_every_channel_is_frozen(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.LayerNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(x)))
    for technique in (PruneFilters(0.5), PruneFilters(target_macs=0.5)):
        with pytest.raises(RecipeError, match=r"No channel .* LayerNormalization 'norm'"):
            technique.apply(model)


@pytest.mark.parametrize("ratio", [0.9, 0.99, {"conv1": 0.999}])
def test_no_ratio_empties_a_layer(ratio, keras_flavour, small_cnn):
    pruned = PruneFilters(ratio).apply(small_cnn(keras_flavour))
    widths = [
        pruned.get_layer(name).get_weights()[0].shape[-1] for name in ("conv1", "conv2", "dense1")
    ]
    assert min(widths) == 1 and pruned.get_layer("dense2").get_weights()[0].shape[-1] == 10


def test_skipped_layers_have_names_kinds_and_reasons(keras_flavour):
    model = zoo.efficientnet(keras=keras_flavour, width=0.25, depth=0.3)
    skipped = PruneFilters(0.3, only=r".*_project").skips(model)
    for item in skipped:
        assert isinstance(item, Skipped) and item.layer and item.kind and item.reason


def test_wrong_teachers_and_pairs(keras_flavour):
    teacher, x, y = tiny_model(keras_flavour, trained=False)
    other = zoo.quantnet(keras=keras_flavour, input_shape=(8, 8, 1), classes=5)
    with pytest.raises(ModelError, match="alike"):
        Distill(teacher, x, y)(other)
    student = zoo.quantnet(keras=keras_flavour, input_shape=(8, 8, 1), classes=4)
    with pytest.raises(ModelError, match="conv9"):
        Distill(teacher, x, y, attention={"conv9": "conv1"})(student)
    with pytest.raises(ModelError, match="conv9"):
        Distill(teacher, x, y, attention={"conv1": "conv9"})(student)
    with pytest.raises(ModelError, match="height"):
        Distill(teacher, x, y, attention={"linear1": "conv1"})(student)
