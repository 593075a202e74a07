"""Packed for microcontrollers: the runtime there computes bit for bit as on dense int8."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfcompress as tfc
from tfcompress._backend.interpreter import _runtimes
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core import ConversionError, InterpreterError, InvariantError, RecipeError
from tfcompress.core._types import Array
from tfcompress.targets import Packed, packed_layers
from tfcompress.targets.packing import pack_for_micro
from tfcompress.targets.packing._micro import Trials, micro_need
from tfcompress.techniques import Cluster
from tfcompress.training import Fit

pytest.importorskip("tflite_micro")

Net = Callable[..., tuple[bytes, Array]]
Answers = Callable[[bytes, Array], Array]


@given(
    kind=st.sampled_from(("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")),
    channels=st.integers(1, 24),
    inputs=st.integers(1, 40),
    values=st.sampled_from((1, 2, 3, 4, 5, 8, 16, 100)),
    per_channel=st.booleans(),
    bias=st.booleans(),
    slices=st.integers(1, 10),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_decoded_in_slices_it_is_the_dense_network(
    integer_net: Net,
    answers: Answers,
    kind: str,
    channels: int,
    inputs: int,
    values: int,
    per_channel: bool,
    bias: bool,
    slices: int,
    seed: int,
) -> None:
    shape = {
        "FULLY_CONNECTED": (channels, inputs),
        "CONV_2D": (channels, 3, 2, inputs),
        "DEPTHWISE_CONV_2D": (1, 3, 2, channels),
    }[kind]
    bias = bias or kind == "DEPTHWISE_CONV_2D"  # without one the runtime ends the process
    net, x = integer_net(kind, shape, values=values, per_channel=per_channel, bias=bias, seed=seed)
    most = 1 if kind == "DEPTHWISE_CONV_2D" else min(channels, 10)
    count = min(slices, most)
    trials = Trials(net, ())
    packed, _ = trials.write((count,))
    np.testing.assert_array_equal(answers(packed, x), answers(net, x))
    (dense,), (layer,) = packed_layers(net), packed_layers(packed)
    assert (layer.encoding, layer.slices, layer.name) == ("lookup", count, "layer")
    np.testing.assert_array_equal(layer.weights(), dense.weights())


@pytest.fixture(scope="module")
def wide(integer_net: Net) -> tuple[bytes, Array]:
    """A dense layer of 400 → 64 in 2 bits, far larger than its activations, and inputs."""
    return integer_net("FULLY_CONNECTED", (64, 400))


def test_slices_keep_the_arena_small(wide: tuple[bytes, Array], answers: Answers) -> None:
    net, x = wide
    whole = pack_for_micro(net, prefer="size")
    both = pack_for_micro(net)
    assert packed_layers(whole)[0].slices == 1 and packed_layers(both)[0].slices > 1
    assert micro_need(both).arena < micro_need(whole).arena - 64 * 400 // 2
    assert sum(vars(micro_need(both)).values()) < sum(vars(micro_need(net)).values())
    np.testing.assert_array_equal(answers(both, x), answers(net, x))


def test_a_budget_is_kept_and_what_does_not_fit_is_left_alone(wide: tuple[bytes, Array]) -> None:
    net, _ = wide
    least, whole = micro_need(net), micro_need(pack_for_micro(net, prefer="size"))
    flash = []
    for arena in (least.arena, (least.arena + whole.arena) // 2, whole.arena):
        need = micro_need(pack_for_micro(net, max_arena_bytes=arena))
        assert need.arena <= arena and need.flash <= least.flash
        flash.append(need.flash)
    assert flash == sorted(flash, reverse=True) and flash[-1] == whole.flash < flash[0]


def test_a_budget_that_cannot_be_met_says_the_nearest(wide: tuple[bytes, Array]) -> None:
    least = f"{micro_need(wide[0]).arena:,}"
    with pytest.raises(ConversionError, match=rf"cannot be met.*arena of {least} bytes.*Give"):
        pack_for_micro(wide[0], max_arena_bytes=500)


def test_weights_of_many_values_and_small_ones_stay(integer_net: Net, answers: Answers) -> None:
    for shape, values in (((8, 4), 2), ((40, 300), 255)):
        net, x = integer_net("FULLY_CONNECTED", shape, values=values)
        packed = pack_for_micro(net)
        assert packed_layers(packed)[0].encoding == "int8"
        np.testing.assert_array_equal(answers(packed, x), answers(net, x))


def test_float_layers_are_refused_by_name(one_layer, weights_on) -> None:
    net, _ = one_layer("CONV_2D", weights_on("binary", (24, 3, 3, 16)))
    with pytest.raises(ConversionError, match=r"layer \(CONV_2D on float32\)"):
        pack_for_micro(net)


def test_the_host_s_interpreters_name_the_runtime(wide: tuple[bytes, Array]) -> None:
    packed = pack_for_micro(wide[0])
    with pytest.raises(InterpreterError, match="Microcontrollers, which alone decodes them"):
        open_interpreter(packed)
    with pytest.raises(InterpreterError, match="runtime='micro' runs the file"):
        tfc.evaluate(packed, wide[1], np.zeros(3, int))


def test_a_file_that_decodes_by_the_wrong_mode_is_not_read(wide: tuple[bytes, Array]) -> None:
    model = flatbuffer.read(pack_for_micro(wide[0], prefer="size"))
    graph = model.subgraphs[0]
    (weights,) = [
        t for t in graph.tensors if flatbuffer.tensor_type(t) == "INT8" and t.shape[0] > 1
    ]
    weights.quantization.scale = weights.quantization.scale[:1]
    weights.quantization.zeroPoint = weights.quantization.zeroPoint[:1]
    with pytest.raises(ConversionError, match="decode other weights than were meant"):
        packed_layers(flatbuffer.write(model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_arena_bytes": 1000}, "add runtime='micro'"),
        ({"runtime": "micro", "max_arena_bytes": 0}, "expected a whole number of bytes"),
        ({"runtime": "micro", "max_arena_bytes": True}, "expected a whole number of bytes"),
        ({"runtime": "micro", "rest": "int8"}, "leave rest out"),
        ({"runtime": "esp32"}, "'any', 'micro'"),
    ],
)
def test_options_that_make_no_sense(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Packed(**options)


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("packedmicro", Packed(runtime="micro")),
        ("packedmicro85k", Packed(runtime="micro", max_arena_bytes=85_000)),
    ],
)
def test_words(word: str, target: Packed) -> None:
    assert tfc.recipe(word).target == target and target.label == word
    assert Packed.from_dict(target.to_dict()) == target


def test_the_missing_extra_is_said_before_any_training(tiny, monkeypatch) -> None:
    model, x, y = tiny("keras")
    missing = {"micro": "missing: pip install 'tfcompress[micro]'"}
    monkeypatch.setattr(_runtimes, "available", lambda: missing)
    fit = Fit(x, y)
    monkeypatch.setattr(type(fit), "__call__", lambda *_: pytest.fail("it trained"))
    with pytest.raises(InterpreterError, match=r"tfcompress\[micro\]"):
        tfc.compress(model, "cluster16-packedmicro", fit=fit, samples=x)


def test_a_clustered_model_in_one_call(answers: Answers, small_cnn, digits, keras_flavour) -> None:
    x, y, x_test, _ = digits
    model = small_cnn(keras_flavour)
    model.fit(x, y, epochs=1, batch_size=64, verbose=0)
    recipe = tfc.Recipe([Cluster(16)], Packed(runtime="micro", prefer="size"))
    artifact = tfc.compress(model, recipe, samples=x[:200], training=False, seed=0)
    plain = tfc.convert(artifact.model, "int8", x[:200])
    np.testing.assert_array_equal(answers(artifact.data, x_test), answers(plain.data, x_test))
    layers = {layer.name: layer for layer in packed_layers(artifact.data)}
    assert layers["dense1"].encoding == "lookup" and layers["dense1"].bits == 4
    flash = next(check for check in artifact.checks if "bytes of flash" in check.what)
    assert flash.value == artifact.size_bytes < flash.bound and "arena" in flash.what
    assert {item.layer for item in artifact.skipped} == {
        name for name, layer in layers.items() if layer.encoding == "int8"
    }


def test_check_wants_the_file_of_the_model_as_it_is(digits) -> None:
    x = digits[0][:100]
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    target = Packed(runtime="micro")
    data = target.convert(model, x)
    target.check(model, data)
    with pytest.raises(InvariantError, match="call convert"):
        target.check(model, data)
