"""Int8's options: an LSTM fused or step by step, scales of Dense kernels; large files are said."""

import importlib

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite._facts import read_facts
from tfcompress._backend.tflite._flatbuffer import read, tensor_type
from tfcompress.core import ConversionError, RecipeError
from tfcompress.targets import DynamicRange, Float16, Float32, Int8
from tfcompress.techniques import QuantizeAware


def random(*shape):
    return np.random.default_rng(0).standard_normal((100, *shape)).astype("float32")


@pytest.fixture
def long_lstm(keras_flavour):
    k = importlib.import_module(keras_flavour)
    k.utils.set_random_seed(0)
    inputs = k.Input((40, 8), name="steps")
    return k.Model(inputs, k.layers.Dense(3, name="out")(k.layers.LSTM(16, name="memory")(inputs)))


def test_a_fused_lstm_is_one_small_operator_under_the_layers_name(long_lstm, differs):
    samples = random(40, 8)
    target = Int8(lstm="fused")
    data = target.convert(long_lstm, samples)
    ops = {op.kind: op for op in read_facts(data).ops}
    assert ops["UNIDIRECTIONAL_SEQUENCE_LSTM"].outputs[0].name == "memory"
    assert differs(long_lstm, data, [samples]) < 0.05
    facts = read_facts(data)
    assert [tensor.name for tensor in (*facts.inputs, *facts.outputs)] == ["steps", "out"]
    assert len(data) < len(Float32().convert(long_lstm)) / 2
    assert len(data) < len(Int8().convert(long_lstm, samples)) / 4
    assert any("state is to be reset" in check.what for check in target.check(long_lstm, data))


def test_runs_of_a_fused_lstm_do_not_depend_on_those_before(long_lstm):
    samples = random(40, 8)
    interpreter = open_interpreter(Int8(lstm="fused").convert(long_lstm, samples))
    first = interpreter.run([samples[:1]])[0]
    interpreter.run([samples[1:2] * 5])
    np.testing.assert_array_equal(interpreter.run([samples[:1]])[0], first)


def test_a_gru_cannot_be_fused(keras_flavour):
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((6, 5), name="steps")
    model = k.Model(inputs, k.layers.GRU(4, name="memory")(inputs))
    with pytest.raises(ConversionError, match="GRU layer 'memory' cannot be fused: int8 has"):
        Int8(lstm="fused").convert(model, random(6, 5))


def test_a_bidirectional_lstm_cannot_be_fused(keras_flavour):
    """The converter's operator of the two is off by 0.38 of the spread."""
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((6, 5), name="steps")
    model = k.Model(inputs, k.layers.Bidirectional(k.layers.LSTM(4), name="both")(inputs))
    with pytest.raises(ConversionError, match="Bidirectional layer 'both' cannot be fused"):
        Int8(lstm="fused").convert(model, random(6, 5))
    with pytest.raises(ConversionError, match="lstm='unrolled'"):
        Int8(lstm="fused").require(model)


def test_recurrent_kernels_of_a_quantization_aware_model_stay_float32(keras_flavour):
    """The converter leaves them so in float16 and dynamic range; the files are right and say it."""
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((5, 8), name="steps")
    hidden = k.layers.LSTM(40, name="memory")(inputs)
    model = QuantizeAware().apply(k.Model(inputs, k.layers.Dense(2, name="out")(hidden)))
    for target in (Float16(), DynamicRange()):
        data = target.convert(model, random(5, 8))
        assert target.check(model, data)
        assert "memory" in {skipped.layer for skipped in target.skips(model, data)}


@pytest.mark.filterwarnings("ignore:int8. the file has")
def test_images_of_bytes_stay_bytes(keras_flavour):
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((8, 8, 1), dtype="uint8", name="image")
    scaled = k.layers.Rescaling(1 / 255)(inputs)
    model = k.Model(inputs, k.layers.Dense(2, name="out")(k.layers.Flatten()(scaled)))
    samples = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1)).astype("uint8")
    artifact = tfc.convert(model, "int8", samples=samples)
    facts = read_facts(artifact.data)
    assert [tensor.kind for tensor in (*facts.inputs, *facts.outputs)] == ["UINT8", "FLOAT32"]


def test_a_model_without_recurrent_layers_is_the_same_either_way(keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    assert Int8(lstm="fused").convert(model, inputs) == Int8().convert(model, inputs)


@pytest.mark.parametrize(("scales", "count"), [("channel", 32), ("tensor", 1)])
def test_scales_of_dense_kernels(scales, count, keras_flavour, made, differs):
    model, inputs = made(keras_flavour, "cnn")
    data = Int8(dense_scales=scales).convert(model, inputs)
    tree = read(data)
    kernels = [
        tensor
        for tensor in tree.subgraphs[0].tensors
        if tensor.name == b"dense1" and tensor_type(tensor) == "INT8" and tensor.shape[0] == 32
    ]
    assert [len(tensor.quantization.scale) for tensor in kernels] == [count]
    assert differs(model, data, inputs) < 0.1


def test_a_file_larger_than_its_float32_form_is_said(long_lstm):
    with pytest.warns(UserWarning, match=r"int8: the file has [\d,]+ bytes, more than the [\d,]+"):
        artifact = tfc.convert(long_lstm, "int8", random(40, 8))
    assert "of the same model in float32" in artifact.about["warnings"][0]
    assert artifact.about["samples"] == "all 100"


@pytest.mark.parametrize("option", [{"lstm": "loop"}, {"dense_scales": "row"}])
def test_unknown_options_are_refused(option):
    with pytest.raises(RecipeError, match="expected one of"):
        Int8(**option)
