"""Every encoding gives the weights back exactly, and computes with them on every runtime."""

from collections.abc import Callable

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.core._types import Array
from tfcompress.targets.packing import ENCODINGS, TOLERANCE, pack, packed_layers

OneLayer = Callable[..., tuple[bytes, Array]]
WeightsOn = Callable[..., Array]
EncodingsFor = Callable[[bytes, str], list[str]]
Edge = Callable[[dict[str, tuple[bytes, Array]]], dict[str, list[Array]]]
Files = dict[tuple[str, str, bool, str, str], tuple[bytes, bytes, Array]]

EXACT = ("dequantize", "csr", "float", "int8-sum")  # float kernels
OPERATORS = ["FULLY_CONNECTED", "CONV_2D", "CONV_2D 1x1", "DEPTHWISE_CONV_2D"]


def bound(encoding: str, levels: str) -> float:
    """Relative to the largest output: float kernels 1e-5; the others round their inputs to 8 bits.

    Float tables run on float kernels.
    """
    exact = any(word in encoding for word in EXACT) or levels.startswith("clusters")
    return 1e-5 if exact else 2e-2


def outputs(data: bytes, x: Array, runtime: str, delegates: bool = True) -> Array:
    return open_interpreter(data, runtime=runtime, delegates=delegates).run([x])[0]


def off(result: Array, expected: Array) -> float:
    return float(np.abs(result - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("operator", OPERATORS)
def test_weights_come_back(every_file: Files, operator: str) -> None:
    for (kind, levels, per_channel, runtime, name), (source, packed, _) in every_file.items():
        if kind == operator:
            (wanted,), (got,) = packed_layers(source), packed_layers(packed)
            what = (kind, levels, per_channel, runtime, name)
            assert got.encoding == name and got.name == "layer", what
            before, after = wanted.weights(), got.weights().reshape(wanted.shape)
            if not per_channel and name != "int8-sum":
                np.testing.assert_array_equal(after, before, err_msg=str(what))
            assert np.all(np.abs(after - before) <= TOLERANCE * np.abs(before)), what


@pytest.mark.parametrize("delegates", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_outputs_on_litert(every_file: Files, operator: str, delegates: bool) -> None:
    ran = set()
    for (kind, levels, per_channel, runtime, name), (source, packed, x) in every_file.items():
        if kind == operator:
            wanted = outputs(source, x, runtime="litert")
            error = off(outputs(packed, x, runtime="litert", delegates=delegates), wanted)
            assert error <= bound(name, levels), (kind, levels, per_channel, runtime, name, error)
            ran.add(name)
    # Look-up tables run on microcontrollers alone: test_tables.py and test_micro.py run them.
    expected = {e.name for e in ENCODINGS} - {"float", "lookup"}
    if operator == "FULLY_CONNECTED":
        assert ran == expected


def test_outputs_on_tflite_runtime(every_file: Files, edge: Edge) -> None:
    chosen = {
        "-".join(map(str, key)).replace(" ", "_"): key for key in every_file if key[3] == "any"
    }
    results = edge({name: every_file[key][1:] for name, key in chosen.items()})
    assert len(results) > 150
    for name, key in chosen.items():
        wanted = outputs(every_file[key][0], every_file[key][2], runtime="litert")
        for got in results[name]:
            assert off(got, wanted) <= bound(key[4], key[1]), key


@pytest.mark.slow
def test_outputs_on_tensorflow(every_file: Files) -> None:
    for (kind, levels, per_channel, runtime, name), (source, packed, x) in every_file.items():
        error = off(outputs(packed, x, runtime="tensorflow"), outputs(source, x, runtime="litert"))
        assert error <= bound(name, levels), (kind, levels, per_channel, runtime, name, error)


@pytest.mark.parametrize("levels", ["binary", "ternary", "2-bit", "blocks int8"])
@pytest.mark.parametrize(
    "kind, shape", [("FULLY_CONNECTED", (40, 256)), ("CONV_2D", (24, 3, 3, 16))]
)
def test_integer_kernels_give_the_same_bits_as_with_dense_int8(
    one_layer: OneLayer,
    weights_on: WeightsOn,
    encodings_for: EncodingsFor,
    kind: str,
    shape: tuple[int, ...],
    levels: str,
) -> None:
    if levels.startswith("blocks") and kind == "CONV_2D":
        levels = "sparse int8"
    source, x = one_layer(kind, weights_on(levels, shape))
    dense = outputs(
        pack(source, runtime="any", force={"layer": "int8"}), x, runtime="litert", delegates=False
    )
    same = [
        n for n in encodings_for(source, "any") if n in ("folded", "once", "bitmask", "blocks-int8")
    ]
    assert len(same) >= (2 if levels != "sparse int8" else 1)
    for name in same:
        packed = pack(source, runtime="any", force={"layer": name})
        np.testing.assert_array_equal(
            outputs(packed, x, runtime="litert", delegates=False), dense, err_msg=name
        )


@pytest.mark.parametrize("name", ["int2", "int4"])
@pytest.mark.parametrize(
    "kind, shape", [("FULLY_CONNECTED", (40, 256)), ("CONV_2D 1x1", (24, 1, 1, 32))]
)
def test_small_integers_give_the_same_bits_as_int8_in_xnnpack(
    one_layer: OneLayer, weights_on: WeightsOn, kind: str, shape: tuple[int, ...], name: str
) -> None:
    source, x = one_layer(kind, weights_on("ternary", shape, per_channel=True))
    small, dense = (
        outputs(pack(source, force={"layer": n}), x, runtime="litert") for n in (name, "int8")
    )
    if kind == "FULLY_CONNECTED":
        np.testing.assert_array_equal(small, dense)
    assert off(small, dense) <= 2e-2


@pytest.mark.parametrize("activation", [0, 1, 2, 3], ids=["none", "relu", "relu_n1_to_1", "relu6"])
@pytest.mark.parametrize("bias", [True, False])
def test_activations_and_missing_biases_are_kept(
    one_layer: OneLayer,
    weights_on: WeightsOn,
    encodings_for: EncodingsFor,
    activation: int,
    bias: bool,
) -> None:
    weights = weights_on("2-bit", (40, 256), per_channel=True) * np.float32(0.2)
    source, x = one_layer("FULLY_CONNECTED", weights, activation=activation, bias=bias)
    wanted = outputs(source, x, runtime="litert")
    scale = np.abs(
        outputs(one_layer("FULLY_CONNECTED", weights, 0, bias)[0], x, runtime="litert")
    ).max()
    for runtime in ("litert", "any"):
        for name in encodings_for(source, runtime):
            got = outputs(pack(source, runtime=runtime, force={"layer": name}), x, runtime="litert")
            assert np.abs(got - wanted).max() <= 2e-2 * scale, (name, runtime)


def test_sizes_are_estimated_well_enough_to_choose(every_file: Files) -> None:
    from tfcompress._backend.tflite import _flatbuffer as flatbuffer
    from tfcompress.targets.packing._pack import find_layers

    by_name, layers = {encoding.name: encoding for encoding in ENCODINGS}, {}
    for key, (source, packed, _) in every_file.items():
        layer = layers.setdefault(key[:3], None) or find_layers(flatbuffer.read(source))[0]
        layers[key[:3]] = layer
        real = len(packed) - (len(source) - 4 * layer.weights.size)
        assert abs(by_name[key[4]].size(layer, set()) - real) <= 0.1 * real + 600, key


@pytest.mark.parametrize("name", ["once", "folded", "int2", "blocks-int8", "csr-int8", "bitmask"])
def test_batches_and_repeats(one_layer: OneLayer, weights_on: WeightsOn, name: str) -> None:
    """The decoded weights outlive a resize, a second allocation and a second interpreter."""
    source, x = one_layer(
        "FULLY_CONNECTED",
        weights_on("blocks int8" if name in ("blocks-int8", "csr-int8") else "ternary", (40, 256)),
    )
    from tfcompress._backend.tflite import _flatbuffer as flatbuffer

    tree = flatbuffer.read(pack(source, force={"layer": name}))
    for tensor in tree.subgraphs[0].tensors:
        if list(tensor.shape)[:1] == [1] and len(tensor.shape) == 2:
            tensor.shapeSignature = [-1, int(tensor.shape[1])]
    opened = open_interpreter(flatbuffer.write(tree), runtime="litert", delegates=False)
    rows = np.concatenate([x, -x, x / 2])
    one = opened.run([x])[0]
    three = opened.run([rows])[0]
    np.testing.assert_allclose(three[:1], one, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(opened.run([rows])[0], three)
    np.testing.assert_allclose(opened.run([x])[0], one, rtol=1e-5, atol=1e-6)
