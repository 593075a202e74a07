"""A finished file: every tensor under the user's layer, a signature, and no name stored twice."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.keras._inputs import predict
from tfcompress._backend.tflite import _export
from tfcompress._backend.tflite._facts import read_facts
from tfcompress._backend.tflite._flatbuffer import read
from tfcompress._backend.tflite._precision import kernels
from tfcompress.targets import DynamicRange, Float16, Float32, Int8, Int16x8, packed_layers

TARGETS = [Float32(), Float16(), DynamicRange(), Int8(), Int16x8()]


@pytest.fixture
def separable(keras_flavour):
    """Automatic names, a BatchNormalization behind every convolution: conv2d, conv2d_1, …"""
    from tfcompress._backend.bridge import fresh_names

    k = importlib.import_module(keras_flavour)
    with fresh_names():
        image = hidden = k.Input((8, 8, 3))
        for convolution in (
            k.layers.Conv2D(8, 3, use_bias=False),
            k.layers.DepthwiseConv2D(3, use_bias=False),
            k.layers.Conv2D(16, 1, use_bias=False),
        ):
            hidden = k.layers.BatchNormalization()(convolution(hidden))
            hidden = k.layers.ReLU()(hidden)
        hidden = k.layers.Conv2D(12, 1)(hidden)
        outputs = k.layers.Dense(5)(k.layers.GlobalAveragePooling2D()(hidden))
        model = k.Model(image, outputs)
    generator = np.random.default_rng(0)
    model.set_weights([w + generator.uniform(0.01, 0.1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture
def two_in_two_out(keras_flavour):
    """Neither the inputs nor the outputs are in alphabetical order."""
    k = importlib.import_module(keras_flavour)
    numbers, others = k.Input((6,), name="zeta"), k.Input((8,), name="alpha")
    hidden = k.layers.Concatenate(name="both")([numbers, others])
    outputs = [k.layers.Dense(3, name="second")(hidden), k.layers.Dense(2, name="first")(hidden)]
    return k.Model([numbers, others], outputs)


def samples(*shape):
    return np.random.default_rng(0).random((100, *shape), np.float32)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label)
def test_every_kernel_has_its_own_layer(target, separable):
    wanted = ["conv2d", "depthwise_conv2d", "conv2d_1", "conv2d_2", "dense"]
    data = target.convert(separable, samples(8, 8, 3))
    assert [layer for layer, *_ in kernels(separable, data)] == wanted
    assert [op.names[0] for op in read_facts(data).ops if op.kernel] == wanted


def test_packed_layers_and_profile_read_the_names_from_the_file(separable, tmp_path):
    data = Float32().convert(separable)
    wanted = ["conv2d", "depthwise_conv2d", "conv2d_1", "conv2d_2", "dense"]
    assert [layer.name for layer in packed_layers(data)] == wanted


def test_a_layer_named_like_another_ones_second_call(keras_flavour):
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((6,), name="x")
    shared = k.layers.Dense(6, name="dense")
    hidden = k.layers.Dense(6, name="dense_1")(shared(shared(inputs)))
    model = k.Model(inputs, k.layers.Dense(2, name="dense_1_1")(hidden))
    layers = [layer for layer, *_ in kernels(model, Float32().convert(model))]
    assert layers == ["dense", "dense", "dense_1", "dense_1_1"]


def test_nested_models_that_share_a_name(keras_flavour):
    k = importlib.import_module(keras_flavour)

    def block(name):
        inner = k.Input((6,))
        return k.Model(inner, k.layers.Dense(6, name="dense")(inner), name=name)

    inputs = k.Input((6,), name="x")
    model = k.Model(inputs, block("second")(k.layers.ReLU(name="bend")(block("first")(inputs))))
    layers = [layer for layer, *_ in kernels(model, Float32().convert(model))]
    assert layers == ["dense", "dense_1"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label)
def test_the_signature_has_the_users_names_in_order(target, two_in_two_out):
    tree = read(target.convert(two_in_two_out, [samples(6), samples(8)]))
    (signature,) = tree.signatureDefs
    graph = tree.subgraphs[0]
    assert signature.signatureKey == b"serving_default"
    assert [item.name for item in signature.inputs] == [b"zeta", b"alpha"]
    assert [item.name for item in signature.outputs] == [b"second", b"first"]
    assert [item.tensorIndex for item in signature.inputs] == list(graph.inputs)
    assert [item.tensorIndex for item in signature.outputs] == list(graph.outputs)


def test_litert_runs_the_signature_by_name(two_in_two_out):
    from ai_edge_litert.interpreter import Interpreter

    from tfcompress._backend.bridge import predict

    runner = Interpreter(model_content=Float32().convert(two_in_two_out)).get_signature_runner()
    one = [samples(6)[:1], samples(8)[:1]]
    results = runner(zeta=one[0], alpha=one[1])
    for name, wanted in zip(("second", "first"), predict(two_in_two_out, one)):
        np.testing.assert_allclose(results[name], wanted, atol=1e-5)


def test_outputs_that_users_number_backwards_keep_their_order(keras_flavour):
    from tfcompress._backend.bridge import predict
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    k = importlib.import_module(keras_flavour)
    inputs = k.Input((4,), name="x")
    heads = [k.layers.Dense(3, name=name)(inputs) for name in ("output_1", "output_0")]
    model = k.Model(inputs, heads)
    opened = open_interpreter(Float32().convert(model))
    x = samples(4)[:3]
    for got, wanted in zip(opened.predict([x]), predict(model, [x])):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Bidirectional"])
def test_names_take_no_room_in_a_written_out_recurrent_layer(kind, keras_flavour):
    k = importlib.import_module(keras_flavour)
    layer = k.layers.LSTM(8, name="memory") if kind != "GRU" else k.layers.GRU(8, name="memory")
    layer = k.layers.Bidirectional(layer, name="both") if kind == "Bidirectional" else layer
    inputs = k.Input((20, 4), name="steps")
    model = k.Model(inputs, k.layers.Dense(3, name="out")(layer(inputs)))
    data = Int8().convert(model, samples(20, 4))
    tensors = read(data).subgraphs[0].tensors
    assert {tensor.name for tensor in tensors} == {b"steps", layer.name.encode(), b"out"}
    assert data.count(layer.name.encode()) == 1
    assert len(data) < 130 * len(tensors)


@pytest.fixture
def as_if_large(monkeypatch):
    """Every model goes to the converter through a temporary SavedModel, as large ones do."""
    monkeypatch.setattr(_export, "LARGE", 0)


def test_a_large_models_file_has_its_inputs_and_outputs_in_order(keras_flavour, as_if_large):
    """The converter puts those of a SavedModel in an order of its own, output_10 behind output_1;
    and a SavedModel's names take no "-"."""
    k = importlib.import_module(keras_flavour)
    names = ("zeta", "alpha", "b-1.x" if keras_flavour == "keras" else "b_1")
    inputs = [k.Input((number + 2,), name=name) for number, name in enumerate(names)]
    hidden = k.layers.Concatenate(name="all")(inputs)
    outputs = [k.layers.Dense(1 + n % 3, name=f"out{11 - n}")(hidden) for n in range(12)]
    model = k.Model(inputs, outputs)
    data = Float32().convert(model)
    facts = read_facts(data)
    assert [tensor.name for tensor in facts.inputs] == list(names)
    assert [tensor.name for tensor in facts.outputs] == [f"out{11 - n}" for n in range(12)]
    given = [samples(number + 2)[:8] for number in range(3)]
    written = open_interpreter(data).predict(given)
    for one, other in zip(predict(model, given), written):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label)
def test_a_large_models_file_is_that_of_a_small_one(target, separable, as_if_large, monkeypatch):
    inputs = samples(8, 8, 3)
    data = target.convert(separable, inputs)
    monkeypatch.undo()
    other = target.convert(separable, inputs)
    assert [op.kind for op in read_facts(data).ops] == [op.kind for op in read_facts(other).ops]
    assert kernels(separable, data) == kernels(separable, other)
    one, two = (open_interpreter(file).predict([inputs[:8]])[0] for file in (data, other))
    np.testing.assert_array_equal(one, two)


def test_a_large_models_inputs_are_calibrated_by_name(two_in_two_out, as_if_large):
    given = [samples(6), 5 * samples(8)]
    written = open_interpreter(Int8().convert(two_in_two_out, given)).predict(given)
    for one, other in zip(predict(two_in_two_out, given), written):
        assert np.abs(one - other).max() < 0.1 * np.abs(one).max()


def test_a_large_recurrent_model_keeps_its_loop(keras_flavour, as_if_large):
    """Out of a SavedModel the converter fuses LSTMs, whose state outlives a run."""
    k = importlib.import_module(keras_flavour)
    inputs = k.Input((6, 5), name="steps")
    data = Float32().convert(k.Model(inputs, k.layers.LSTM(4, name="memory")(inputs)))
    assert "WHILE" in [op.kind for op in read_facts(data).ops]
