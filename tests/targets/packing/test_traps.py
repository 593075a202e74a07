"""What stock interpreters compute wrongly, or die of, without a word: Packed writes none of it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._tree import ModelTree, TensorTree
from tfcompress.core import InvariantError
from tfcompress.core._types import Array
from tfcompress.targets.packing import ENCODINGS, pack
from tfcompress.targets.packing._choose import choose
from tfcompress.targets.packing._pack import find_layers

OneLayer = Callable[..., tuple[bytes, Array]]
WeightsOn = Callable[..., Array]
EncodingsFor = Callable[[bytes, str], list[str]]
Key = tuple[str, str, bool, str, str]
Files = dict[tuple[str, str, bool, str, str], tuple[bytes, bytes, Array]]

BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}
KERNELS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")


@pytest.fixture(scope="module")
def every_model(every_file: Files) -> dict[Key, ModelTree]:
    """The files' trees."""
    return {key: flatbuffer.read(packed) for key, (_, packed, _) in every_file.items()}


def kernels(model: ModelTree) -> Iterator[tuple[str, int, TensorTree]]:
    """(operator, its code's version, weight tensor) of every operator with weights."""
    graph = model.subgraphs[0]
    for op in graph.operators:
        name = flatbuffer.op_name(model, op)
        if name in KERNELS:
            yield name, model.operatorCodes[op.opcodeIndex].version, graph.tensors[op.inputs[1]]


def stored(model: ModelTree, tensor: TensorTree) -> bool:
    return model.buffers[tensor.buffer].data is not None


def test_sparse_weights_reach_a_kernel_only_at_version_8(every_model: dict[Key, ModelTree]) -> None:
    """P1: XNNPACK reads the sparse weights of any other version as dense ones."""
    seen = 0
    for key, model in every_model.items():
        for name, version, weight in kernels(model):
            if weight.sparsity is not None:
                seen += 1
                assert (name, version) == ("FULLY_CONNECTED", 8), key
    assert seen > 10


def test_no_convolution_gets_small_integers(every_model: dict[Key, ModelTree]) -> None:
    """P2: CONV_2D with INT2 or INT4 weights and float inputs gives garbage or ends the process."""
    for key, model in every_model.items():
        for name, _, weight in kernels(model):
            if flatbuffer.tensor_type(weight) in ("INT2", "INT4"):
                assert name == "FULLY_CONNECTED", key


def test_files_for_old_runtimes_have_one_scale_and_no_two_bits(
    every_model: dict[Key, ModelTree],
) -> None:
    """P3, and a CONV_2D of equal channel scales: 2.14 ignores them, or gives zeros."""
    for key, model in every_model.items():
        if key[3] == "any":
            for name, version, weight in kernels(model):
                kind = flatbuffer.tensor_type(weight)
                scale = [] if weight.quantization is None else np.asarray(weight.quantization.scale)
                assert version <= 9, key
                if kind != "FLOAT32" and name == "FULLY_CONNECTED":
                    assert len(scale) == 1, key
                if kind != "FLOAT32" and name == "CONV_2D":
                    assert len(scale) == 1 or (scale != scale[0]).any(), key
            assert "INT2" not in {
                flatbuffer.tensor_type(t) for g in model.subgraphs for t in g.tensors
            }, key


@pytest.mark.parametrize(
    "shape, fits", [((40, 256), True), ((40, 250), False), ((3, 256), False), ((40, 16), False)]
)
def test_four_bits_on_old_runtimes_only_in_shapes_they_compute(
    one_layer: OneLayer,
    weights_on: WeightsOn,
    encodings_for: EncodingsFor,
    shape: tuple[int, ...],
    fits: bool,
) -> None:
    """P4: 2.14 computes an INT4 FULLY_CONNECTED wrongly, or aborts, in other shapes."""
    source, _ = one_layer("FULLY_CONNECTED", weights_on("3-bit", shape))
    assert ("int4" in encodings_for(source, "any")) is fits
    assert "int4" not in encodings_for(
        one_layer("CONV_2D", weights_on("3-bit", (24, 3, 3, 16)))[0], "any"
    )


def test_lowest_codes_stay_away_from_integer_kernels(every_model: dict[Key, ModelTree]) -> None:
    """Without XNNPACK, the kernels compute −8 in INT4 and −128 in INT8 wrongly."""
    for key, model in every_model.items():
        for _, _, weight in kernels(model):
            kind = flatbuffer.tensor_type(weight)
            if kind in ("INT4", "INT8") and stored(model, weight):
                assert (
                    np.asarray(flatbuffer.constant(model, weight)).min()
                    >= {"INT4": -7, "INT8": -127}[kind]
                ), key


def test_zero_points_are_zero_and_as_many_as_scales(every_model: dict[Key, ModelTree]) -> None:
    """P5: zero points of weights are ignored or refused, and their number must be the scales'."""
    for key, model in every_model.items():
        for graph in model.subgraphs:
            for tensor in graph.tensors:
                if tensor.quantization is not None and tensor.quantization.scale is not None:
                    zero = np.asarray(tensor.quantization.zeroPoint)
                    assert len(zero) == len(tensor.quantization.scale) and not zero.any(), key


def test_densified_integers_go_to_float_kernels_only(every_model: dict[Key, ModelTree]) -> None:
    """P6: XNNPACK fails to prepare DENSIFY in front of an integer kernel."""
    for key, model in every_model.items():
        graph = model.subgraphs[0]
        made = {
            int(op.outputs[0])
            for op in graph.operators
            if flatbuffer.op_name(model, op) == "DENSIFY"
        }
        for op in graph.operators:
            if made & {int(i) for i in op.inputs} and flatbuffer.op_name(model, op) in KERNELS:
                assert flatbuffer.tensor_type(graph.tensors[op.inputs[1]]) == "FLOAT32", key


def test_all_data_lie_in_the_flatbuffer(every_file: Files) -> None:
    """P7: buffers given by offset are dropped by most tools that rewrite a file."""
    for key, (_, packed, _) in every_file.items():
        model = flatbuffer.schema().Model.GetRootAs(packed)
        assert all(model.Buffers(i).Offset() == 0 for i in range(model.BuffersLength())), key
        assert model.Buffers(0).DataLength() == 0, key


def test_versions_that_every_runtime_takes(every_model: dict[Key, ModelTree]) -> None:
    """P8: DEQUANTIZE 5 is refused by old resolvers, 2 by none. P9: of GATHER, only INT16 positions
    are evaluated in advance."""
    for key, model in every_model.items():
        for graph in model.subgraphs:
            for op in graph.operators:
                name = flatbuffer.op_name(model, op)
                if name == "DEQUANTIZE":
                    assert model.operatorCodes[op.opcodeIndex].version == 2, key
                if name == "GATHER" and key[4] == "folded":
                    positions = graph.tensors[op.inputs[1]]
                    assert flatbuffer.tensor_type(positions) == "INT16" and stored(
                        model, positions
                    ), key
                    assert all(
                        graph.tensors[i].quantization is None for i in [*op.inputs, *op.outputs]
                    ), key


def test_an_encoding_that_breaks_weights_is_caught(
    one_layer: OneLayer, weights_on: WeightsOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read back before it is given away."""
    from tfcompress.targets.packing import _int2

    source, _ = one_layer("FULLY_CONNECTED", weights_on("binary", (40, 256)))
    monkeypatch.setattr(
        _int2,
        "channel_scales",
        lambda layer, times=1: {"scale": np.full(layer.channels, 1.0, np.float32)},
    )
    with pytest.raises(InvariantError, match="'layer', packed as int2"):
        pack(source, force={"layer": "int2"})


def test_the_choice_follows_the_rules(one_layer: OneLayer, weights_on: WeightsOn) -> None:
    def chosen(kind: str, levels: str, shape: tuple[int, ...], prefer: str, runtime: str) -> str:
        source, _ = one_layer(kind, weights_on(levels, shape))
        return choose(find_layers(flatbuffer.read(source))[0], prefer, runtime, set())[0].name

    big, conv = (128, 2048), (64, 3, 3, 64)
    assert chosen("FULLY_CONNECTED", "binary", big, "speed", "litert") == "int2"
    assert chosen("FULLY_CONNECTED", "2-bit", big, "speed", "litert") == "int2-sum"
    assert chosen("FULLY_CONNECTED", "3-bit", big, "speed", "litert") == "int4"
    assert chosen("CONV_2D", "binary", conv, "speed", "litert") == "int8"
    assert chosen("FULLY_CONNECTED", "binary", big, "size", "any") == "once"
    assert chosen("CONV_2D", "binary", conv, "size", "litert") == "once"
    assert chosen("FULLY_CONNECTED", "sparse int8", big, "size", "any") == "csr-int8"
    assert chosen("FULLY_CONNECTED", "blocks int8", big, "size", "any") == "blocks-int8"
    assert chosen("FULLY_CONNECTED", "clusters", big, "size", "any") == "once"
    assert chosen("FULLY_CONNECTED", "clusters", big, "speed", "litert") == "float"
    assert chosen("CONV_2D", "int8", conv, "speed", "tflite_runtime") == "int8-dequantize"
    assert chosen("DEPTHWISE_CONV_2D", "int8", (1, 3, 3, 256), "size", "any") == "int8-dequantize"
