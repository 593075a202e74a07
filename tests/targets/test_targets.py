"""Every target on every kind of model of either Keras: it agrees, keeps names, and its promises."""

import numpy as np
import pytest

from tfcompress._backend.tflite import _facts as tflite_facts
from tfcompress.core import InvariantError, Recipe, RecipeError
from tfcompress.targets import DynamicRange, Float16, Float32, Int8, Int16x8

TARGETS = [
    Float32(),
    Float16(),
    DynamicRange(),
    Int8(),
    Int8(io="int8"),
    Int8(io="uint8"),
    Int16x8(),
    Int16x8(io="int16"),
]
MODELS = ["cnn", "two_in_two_out", "named_inputs", "lstm", "nested", "embedding", "half_precision"]
USUAL = {
    "float32": 5e-4,
    "float16": 5e-3,
    "dynamic": 0.06,
    "int8": 0.08,
    "int8io": 0.08,
    "uint8io": 0.08,
    "int16x8": 0.06,
    "int16x8io": 0.06,
}


def label(target):
    return target.label


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "target", [Float32(), Float16(), DynamicRange(), Int8(), Int16x8()], ids=label
)
def test_file_agrees_with_the_model(target, name, keras_flavour, made, differs):
    model, inputs = made(keras_flavour, name)
    data = target.convert(model, inputs)
    assert differs(model, data, inputs) < USUAL[target.label]
    target.check(model, data)


@pytest.mark.parametrize("target", [Float32(), Int8(), Int8(io="int8")], ids=label)
def test_names_and_order_are_the_users(target, keras_flavour, made):
    model, inputs = made(keras_flavour, "two_in_two_out")
    facts = tflite_facts.read_facts(target.convert(model, inputs))
    assert [(tensor.name, tensor.shape) for tensor in facts.inputs] == [
        ("zeta", (1, 6)),
        ("alpha", (1, 8, 8, 1)),
    ]
    assert [(tensor.name, tensor.shape) for tensor in facts.outputs] == [
        ("second", (1, 3)),
        ("first", (1, 2)),
    ]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (Int8(io="int8"), "INT8"),
        (Int8(io="uint8"), "UINT8"),
        (Int16x8(io="int16"), "INT16"),
        (Int8(), "FLOAT32"),
    ],
    ids=["int8", "uint8", "int16", "float"],
)
def test_ends_are_of_the_type_asked_for(target, kind, keras_flavour, made, differs):
    model, inputs = made(keras_flavour, "cnn")
    data = target.convert(model, inputs)
    facts = tflite_facts.read_facts(data)
    assert [tensor.kind for tensor in (*facts.inputs, *facts.outputs)] == [kind, kind]
    assert differs(model, data, inputs) < USUAL[target.label]
    assert target.skips(model, data) == ()


def test_int8_holds_nothing_but_integers(keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    target = Int8(io="int8")
    data = target.convert(model, inputs)
    ops = tflite_facts.read_facts(data).ops
    assert {tensor.kind for op in ops for tensor in op.outputs} == {"INT8"}
    assert {constant.kind for op in ops for constant in op.constants} == {"INT8", "INT32"}
    assert [(check.value, check.bound) for check in target.check(model, data)] == [(4, 4)]


def test_int16x8_holds_16_bit_activations_and_8_bit_kernels(keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    data = Int16x8(io="int16").convert(model, inputs)
    ops = tflite_facts.read_facts(data).ops
    assert {tensor.kind for op in ops for tensor in op.outputs} == {"INT16"}
    assert {op.kernel.kind for op in ops if op.kernel} == {"INT8"}
    biases = [op.inputs[2] for op in ops if op.kernel]
    assert [bias and bias.kind for bias in biases] == ["INT64"] * 4


def test_float16_halves_and_dynamic_quarters_the_weights(keras_flavour, made):
    model, _ = made(keras_flavour, "cnn")
    f32, f16, dynamic = (
        len(target.convert(model)) for target in (Float32(), Float16(), DynamicRange())
    )
    assert 0.5 < f16 / f32 < 0.6
    assert 0.25 < dynamic / f32 < 0.4


def test_small_kernels_that_dynamic_range_leaves_are_listed(keras_flavour, made):
    model, _ = made(keras_flavour, "cnn")
    target = DynamicRange()
    data = target.convert(model)
    skipped = target.skips(model, data)
    assert [(item.layer, item.kind, item.by) for item in skipped] == [
        ("conv1", "CONV_2D", "dynamic"),
        ("probabilities", "FULLY_CONNECTED", "dynamic"),
    ]
    assert "72 weights" in skipped[0].reason
    assert "1,024" in skipped[0].reason
    assert [(check.value, check.bound) for check in target.check(model, data)] == [(2, 4)]


@pytest.mark.parametrize("target", [Float16(), DynamicRange(), Int8()], ids=label)
def test_a_file_of_another_precision_breaks_the_promise(target, keras_flavour, made):
    model, _ = made(keras_flavour, "cnn")
    with pytest.raises(
        InvariantError, match=r"kernel of layer '\w+' .* is FLOAT32 in the file, expected"
    ):
        target.check(model, Float32().convert(model))


def test_integer_ends_are_checked(keras_flavour, made):
    model, inputs = made(keras_flavour, "cnn")
    with pytest.raises(InvariantError, match=r"'image' is FLOAT32 in the file, expected INT8"):
        Int8(io="int8").check(model, Int8().convert(model, inputs))


def test_recurrent_file_gives_the_same_when_run_again(keras_flavour, made):
    # The converter's fused LSTM keeps its state from one call to the next; a file must not.
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    model, inputs = made(keras_flavour, "lstm")
    for target in (Float32(), Int8()):
        interpreter = open_interpreter(target.convert(model, inputs))
        first, again = (interpreter.run([inputs[0][:1]])[0] for _ in range(2))
        np.testing.assert_array_equal(first, again)


def test_the_model_is_left_as_it_was(keras_flavour, made):
    from tfcompress._backend import bridge as doors

    model, inputs = made(keras_flavour, "lstm")
    before, weights = doors.predict(model, inputs), [w.copy() for w in model.get_weights()]
    for target in (Float32(), Float16(), Int8(), Int16x8()):
        target.convert(model, inputs)
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights()))
    assert all(np.array_equal(a, b) for a, b in zip(before, doors.predict(model, inputs)))


@pytest.mark.parametrize("target", TARGETS, ids=label)
def test_a_target_is_data(target):
    assert Recipe.from_json(Recipe([], target).to_json()).target == target
    assert len({item.label for item in TARGETS}) == len(TARGETS)


@pytest.mark.parametrize(("kind", "io"), [(Int8, "int16"), (Int16x8, "int8"), (Int8, "float32")])
def test_unknown_io_is_refused(kind, io):
    with pytest.raises(RecipeError, match=rf"io='{io}'.*expected one of"):
        kind(io=io)


def test_conversion_is_silent(keras_flavour, made, capfd):
    model, inputs = made(keras_flavour, "cnn")
    for target in (Float32(), Float16(), DynamicRange(), Int8(), Int16x8()):
        target.convert(model, inputs)
    assert capfd.readouterr() == ("", "")


def test_quantization_aware_model_brings_its_ranges(keras_flavour, built, made, differs):
    from tfcompress.techniques import QuantizeAware

    model, inputs = made(keras_flavour, "cnn")
    technique = QuantizeAware()
    wrapped = technique.apply(model)
    wrapped.compile("adam", "sparse_categorical_crossentropy")
    wrapped.fit(inputs[0], np.arange(120) % 10, epochs=1, verbose=0)
    aware = technique.strip(wrapped)
    target = Int8()
    data = target.convert(aware, inputs)
    assert target.skips(aware, data) == ()
    assert [(check.value, check.bound) for check in target.check(aware, data)] == [(4, 4)]
    facts = tflite_facts.read_facts(data)
    assert [tensor.name for tensor in (*facts.inputs, *facts.outputs)] == ["image", "probabilities"]
    # Its ranges are the trained ones: calibrating on inputs 1000 times smaller changes nothing.
    assert differs(aware, Int8().convert(aware, [inputs[0] / 1000]), inputs) < 0.08
