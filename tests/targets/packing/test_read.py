"""Every constant weight of a file is listed, under the user's name, in the encoding that it has."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress._backend.tflite._format import Format
from tfcompress.core import Target
from tfcompress.core._types import Model
from tfcompress.targets import (
    DynamicRange,
    Float16,
    Float32,
    Int8,
    Packed,
    _packed,
    packed_layers,
)
from tfcompress.targets.packing._names import Unnamed, file_names, path_name, user_names

FLOAT_FORMATS = [Float16(), Packed(prefer="size")]


def recurrent(flavour: str) -> Model:
    """[6, 5] → LSTM 7 → GRU 6 → Dense 2, and one backwards and forwards."""
    keras = importlib.import_module(flavour)
    layers = keras.layers
    inputs = layers.Input((6, 5))
    x = layers.LSTM(7, return_sequences=True, name="first")(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    x = layers.GRU(6, name="second")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def convolutional(flavour: str) -> Model:
    """Automatic names, a grouped convolution (whose path is lost), normalizations to fold."""
    keras = importlib.import_module(flavour)
    layers = keras.layers
    x = inputs = layers.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, name="conv2d")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="batch_normalization")(x))
    x = layers.DepthwiseConv2D(3, name="depthwise_conv2d")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="batch_normalization_1")(x))
    x = layers.Conv2D(8, 1, activation="relu", name="conv2d_1")(x)
    x = layers.Conv2D(8, 3, groups=2, name="conv2d_2")(x)
    x = layers.Conv2DTranspose(4, 3, name="conv2d_transpose")(x)
    return keras.Model(inputs, layers.Dense(3, name="dense")(layers.Flatten()(x)))


CONVOLUTIONS = ["conv2d", "depthwise_conv2d", "conv2d_1", "conv2d_2", "conv2d_transpose", "dense"]


@pytest.mark.parametrize("target", FLOAT_FORMATS, ids=lambda target: target.label)
def test_the_weights_of_recurrent_layers(keras_flavour: str, target: Target) -> None:
    model = recurrent(keras_flavour)
    data = target.convert(model)
    held = packed_layers(data, model)
    assert sorted(layer.name for layer in held) == sorted(
        ["first", "first", "both", "both", "both", "both", "second", "second", "head"]
    )
    assert {layer.encoding for layer in held} <= {"float", "float16"}
    assert [layer.in_loop for layer in held] == [layer.name != "head" for layer in held]
    kernels = [w for w in model.get_weights() if w.ndim == 2 and len(w) in (5, 6, 7, 8, 4)]
    for kernel in (w for w in kernels if w.shape[1] in (28, 16)):  # GRU's gates may be reordered
        near = [
            layer
            for layer in held
            if layer.shape == kernel.T.shape and np.allclose(layer.weights(), kernel.T, rtol=1e-3)
        ]
        assert near, kernel.shape


def test_the_weights_of_recurrent_layers_in_int8(keras_flavour: str) -> None:
    model = recurrent(keras_flavour)
    samples = np.random.RandomState(0).uniform(-1, 1, (100, 6, 5)).astype(np.float32)
    held = packed_layers(Int8().convert(model, samples), model)
    assert {layer.name for layer in held} == {"first", "both", "second", "head"}
    assert {layer.encoding for layer in held} == {"int8"}


@pytest.mark.parametrize(
    "target", [*FLOAT_FORMATS, DynamicRange(), Int8()], ids=lambda target: target.label
)
def test_the_users_names(keras_flavour: str, target: Target) -> None:
    model = convolutional(keras_flavour)
    samples = np.random.RandomState(0).uniform(-1, 1, (100, 8, 8, 4)).astype(np.float32)
    data = target.convert(model, samples)
    assert [layer.name for layer in packed_layers(data, model)] == CONVOLUTIONS
    assert [layer.name for layer in packed_layers(data)] == CONVOLUTIONS


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_an_embedding_and_a_table_that_is_added(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    layers = keras.layers

    ids = layers.Input((6,), dtype="int32")
    x = layers.Embedding(50, 8, name="words")(ids)
    model = keras.Model(ids, layers.Dense(2, name="head")(layers.Flatten()(x)))
    held = packed_layers(Float32().convert(model), model)
    assert [(layer.name, layer.op, layer.shape) for layer in held] == [
        ("words", "GATHER", (50, 8)),
        ("head", "FULLY_CONNECTED", (2, 48)),
    ]
    np.testing.assert_array_equal(held[0].weights(), model.get_layer("words").get_weights()[0])
    assert any("GATHER" in item.reason for item in Packed().skips(model, Packed().convert(model)))


def test_a_table_that_is_added_and_a_bias_that_is_not_one() -> None:
    builder = Builder()
    x, y, z = (builder.tensor([1, 4, 6]) for _ in range(3))
    table = np.random.RandomState(0).normal(0, 1, (1, 4, 6)).astype(np.float32)
    builder.op("ADD", [x, builder.constant(table)], y)
    builder.op("ADD", [y, builder.constant(np.ones(6, np.float32))], z)
    builder.graph.inputs, builder.graph.outputs = [x], [z]
    builder.graph.operators = builder.ops
    (layer,) = packed_layers(flatbuffer.write(builder.model))
    assert (layer.op, layer.encoding, layer.shape) == ("ADD", "float", (1, 4, 6))
    np.testing.assert_array_equal(layer.weights(), table)


def test_loops_are_left_float_and_said_so(keras_flavour: str) -> None:
    model = recurrent(keras_flavour)
    target = Packed(rest="int8", prefer="size")
    reasons = {item.layer: item.reason for item in target.skips(model, target.convert(model))}
    assert {"first", "both", "second"} <= set(reasons) and "loop" in reasons["first"]


def test_packing_converts_the_model_once(
    keras_flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = convolutional(keras_flavour)
    conversions = []
    convert = _packed.converter.convert

    def counted(model: Model, form: Format) -> bytes:
        conversions.append(form)
        return convert(model, form)

    monkeypatch.setattr(_packed.converter, "convert", counted)
    target = Packed()
    data = target.convert(model)
    checks = target.check(model, data)
    assert len(conversions) == 1 and len(checks) == len(CONVOLUTIONS)
    assert model not in _packed._last, "the plain file must not stay in memory"
    target.check(model, data)
    assert len(conversions) == 2, "checked again: nothing was kept"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("net/conv1_1/convolution", "conv1_1"),
        ("net/bn/FusedBatchNormV3;net/conv/Conv2D", "conv"),
        ("net/dense/Tensordot/MatMul", "dense"),
        ("while;net/lstm/PartitionedCall/while_body", "lstm"),
        ("net/both/forward_lstm/PartitionedCall/while_body", "both"),
        ("net/lstm/lstm_cell_3/MatMul_1", "lstm"),
        ("net/words/embedding_lookup/7485", "words"),
        ("my layer", "my layer"),
    ],
)
def test_the_layer_in_a_path(text: str, name: str) -> None:
    assert path_name(text) == name


def test_numbers_go_only_where_all_paths_have_one() -> None:
    assert file_names([["net_1/conv1_1_1/MatMul"], ["net_1/output_1/MatMul"]]) == [
        "conv1_1",
        "output",
    ]
    assert file_names([["net/conv1_1/MatMul"], ["net/output/MatMul"]]) == ["conv1_1", "output"]
    assert file_names([["net/conv_1/MatMul"], ["net/conv_2/MatMul"]]) == ["conv_1", "conv_2"]
    assert file_names([["conv_1"], ["conv_2"]]) == ["conv_1", "conv_2"]


def test_names_that_are_the_same_with_and_without_a_number() -> None:
    kernels = {"conv": (), "conv_1": (), "grouped": (36,)}
    numbered = [Unnamed([f"n_1/{name}/Conv2D"], 4) for name in ("conv_1", "conv_1_2")]
    exact = [Unnamed([f"n/{name}/Conv2D"], 4) for name in ("conv", "conv_1")]
    lost = Unnamed(["convolution"], 36)
    for operators in (numbered, exact):
        assert user_names(kernels, [*operators, lost]) == ["conv", "conv_1", "grouped"]
