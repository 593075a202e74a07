"""The converter's door: names, facts of a file, failures in one line, broken bytes."""

import importlib
from typing import Any, cast

import numpy as np
import pytest

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite._converter import Format, convert
from tfcompress._backend.tflite._export import export
from tfcompress._backend.tflite._facts import read_facts
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._refusals import explain
from tfcompress.core import ConversionError


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def model(request):
    k = importlib.import_module(request.param)
    x = k.Input((6, 6, 3), name="image")
    h = k.layers.Conv2D(4, 3, name="conv", bias_initializer="ones")(x)
    h = k.layers.Flatten(name="flat")(k.layers.ReLU(name="relu")(h))
    shared = k.layers.Dense(3, name="head")
    return k.Model(x, [shared(h), shared(k.layers.Dropout(0.5, name="drop")(h))])


def test_one_layer_with_two_outputs_gets_two_names(model):
    exported = export(model, model)
    function = cast(Any, exported.function)  # TensorFlow's, of which the package says no type
    assert [tensor.name for tensor in function.inputs[:1]] == ["image:0"]
    names = [tensor.op.name for tensor in function.outputs]
    assert tuple(names) == exported.outputs
    assert names[0] == "head"
    assert len(set(names)) == 2


def test_inference_mode(model):
    # Dropout must be off: both outputs are then one and the same.
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    first, second = open_interpreter(convert(model, Format("float32"))).run(
        [np.ones((1, 6, 6, 3), np.float32)]
    )
    np.testing.assert_array_equal(first, second)


def test_facts_of_a_file(model):
    facts = read_facts(convert(model, Format("float32")))
    assert [
        (tensor.name, tensor.kind, tensor.shape, tensor.constant) for tensor in facts.inputs
    ] == [("image", "FLOAT32", (1, 6, 6, 3), False)]
    conv = next(op for op in facts.ops if op.kind == "CONV_2D")
    assert conv.kernel is not None
    assert (conv.kernel.shape, conv.kernel.size, conv.kernel.kind) == ((4, 3, 3, 3), 108, "FLOAT32")
    assert len(conv.constants) == 2
    assert conv.holds("FLOAT32")
    assert not conv.holds("INT8")


def test_facts_see_through_the_casts_of_float16(model):
    facts = read_facts(convert(model, Format("float16", optimize=True, float16=True)))
    assert {op.kernel.kind for op in facts.ops if op.kernel} == {"FLOAT16"}
    assert "DEQUANTIZE" not in {op.kind for op in facts.ops}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d[:200],
        lambda d: d[: len(d) // 2],
        lambda d: b"",
        lambda d: b"PK" + d[2:8],
        lambda d: d[::-1],
    ],
)
def test_broken_bytes_have_no_facts(spoil, model):
    with pytest.raises(ConversionError, match=r"Not a \.tflite|damaged or cut short"):
        read_facts(spoil(convert(model, Format("float32"))))


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("model/conv/Conv2D", "conv"),
        ("model_1/conv_1/BiasAdd;model_1/relu/Relu", "conv"),
        ("model/relu/Relu3", "relu"),
        ("head", "head"),
        ("somewhere/else", ""),
    ],
)
def test_layer_of_a_name(path, layer, model):
    assert LayerNames(model).find(path) == layer


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "loc: error: failed to legalize\nmore",
            "int8: the converter failed: loc: error: failed to legalize",
        ),
        (
            "x\nkernels/conv.cc:345 a != 4 was not true.",
            "int8: the converter failed: kernels/conv.cc:345 a != 4 was not true.",
        ),
        ("only this", "int8: the converter failed: only this"),
        ("", "int8: the converter failed: it gave no reason"),
    ],
)
def test_other_failures_come_in_one_line(text, line, model):
    form = Format("int8", activations="int8")
    assert explain(text, export(model, model), form, None) == line


def test_refusal_during_conversion_names_operator_and_layer(model):
    text = "Quantization to 16x8-bit not yet supported for op: 'CONV_2D'.\n" * 2
    message = explain(
        text,
        export(model, model),
        Format("int16x8", activations="int16"),
        convert(model, Format("float32")),
    )
    assert message.startswith(
        "int16x8 cannot express CONV_2D in layer 'conv' (the converter refuses it). Take Int8"
    )
    assert "fallback=True" in message


def test_fixed_batch_of_the_user_becomes_one(request):
    k = importlib.import_module("keras")
    x = k.Input(batch_shape=(4, 5), name="x")
    fixed = k.Model(x, k.layers.Dense(2, name="out")(x))
    facts = read_facts(convert(fixed, Format("float32")))
    assert (facts.inputs[0].shape, facts.outputs[0].shape) == ((1, 5), (1, 2))
    assert doors.input_specs(fixed)[0][1] == (4, 5)
