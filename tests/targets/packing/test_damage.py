"""A damaged file is one error of tfcompress's own, whatever its bytes point to."""

import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._tree import ModelTree, TensorTree
from tfcompress.core import TfcompressError
from tfcompress.core._types import Array
from tfcompress.targets import packed_layers
from tfcompress.targets.packing import ENCODINGS, pack
from tfcompress.targets.packing._find import find_layers
from tfcompress.targets.packing._weight_file import WeightFile

OneLayer = Callable[..., tuple[bytes, Array]]
WeightsOn = Callable[..., Array]

MUTATIONS = 60
"""Of each file. A run of 25,000 found the cases that are tests of their own below."""


@pytest.fixture(scope="module")
def small_files(one_layer: OneLayer, weights_on: WeightsOn) -> dict[str, bytes]:
    """One small file in every encoding, and the float one."""
    files = {}
    for levels in ("binary", "2-bit", "8-bit", "clusters and zeros", "sparse int8", "blocks int8"):
        source, _ = one_layer("FULLY_CONNECTED", weights_on(levels, (8, 32), per_channel=True))
        layer = find_layers(flatbuffer.read(source))[0]
        for encoding in ENCODINGS:
            if encoding.fits(layer, "litert"):
                files[encoding.name] = pack(source, force={"layer": encoding.name})
    return files


def mutated(data: bytes, r: np.random.RandomState) -> bytes:
    """The file with some bytes changed, a word set to an extreme, cut short, or a part moved."""
    raw = bytearray(data)
    kind, place = r.randint(5), r.randint(len(raw))
    if kind == 0:
        for _ in range(r.randint(1, 9)):
            raw[r.randint(len(raw))] = r.randint(256)
    elif kind == 1:
        raw[place] ^= 1 << r.randint(8)
    elif kind == 2:
        raw[place : place + 4] = bytes([r.choice([0, 1, 127, 255])]) * 4
    elif kind == 3:
        del raw[place : place + r.randint(1, 9)]
    else:
        other = r.randint(len(raw))
        raw[place : place + 8] = raw[other : other + 8]
    return bytes(raw)


def read_everything(data: bytes) -> str:
    """What the file holds, or the message of tfcompress's error; anything else is raised."""
    try:
        layers = packed_layers(data)
        sizes = [layer.weights().size for layer in layers]
    except TfcompressError as error:
        return str(error)
    json.dumps([(layer.name, layer.op, layer.encoding, layer.bytes) for layer in layers])
    return f"{len(layers)} layers of {sizes}"


def test_every_mutated_file_is_read_or_refused_in_one_paragraph(
    small_files: dict[str, bytes],
) -> None:
    r = np.random.RandomState(0)
    refused = 0
    for name, data in small_files.items():
        for number in range(MUTATIONS):
            damaged = mutated(data, r)
            started = time.perf_counter()
            text = read_everything(damaged)
            assert time.perf_counter() - started < 5, (name, number)
            assert "\n\n" not in text and len(text) < 600, (name, number, text)
            refused += "layers of" not in text
    assert refused > MUTATIONS, "damage must be noticed where it is"


def sparse_tree(small_files: dict[str, bytes]) -> tuple[ModelTree, TensorTree]:
    """The tree of a file with compressed rows, and its sparse tensor."""
    model = flatbuffer.read(small_files["csr-float"])
    (tensor,) = [t for t in model.subgraphs[0].tensors if t.sparsity is not None]
    return model, tensor


def test_a_sparse_tensor_without_compressed_rows(small_files: dict[str, bytes]) -> None:
    model, tensor = sparse_tree(small_files)
    for part in tensor.sparsity.dimMetadata:
        part.format = 0
    assert "damaged" in read_everything(flatbuffer.write(model))


def test_sparse_rows_that_do_not_add_up(small_files: dict[str, bytes]) -> None:
    model, tensor = sparse_tree(small_files)
    rows = tensor.sparsity.dimMetadata[-1]
    rows.arraySegments.values = np.array(rows.arraySegments.values)[::-1].copy()
    assert "do not add up" in read_everything(flatbuffer.write(model))


def test_a_shape_that_the_data_cannot_stand_for(small_files: dict[str, bytes]) -> None:
    model, tensor = sparse_tree(small_files)
    tensor.shape = [1 << 16, 1 << 15]
    assert "stand for" in read_everything(flatbuffer.write(model))


def test_tensors_that_make_themselves(small_files: dict[str, bytes]) -> None:
    """Neither a loop nor a recursion without end: such a tensor is no constant."""
    model = flatbuffer.read(small_files["int8-dequantize"])
    for op in model.subgraphs[0].operators:
        if flatbuffer.op_name(model, op) == "DEQUANTIZE":
            op.inputs = [int(op.outputs[0])]
    assert read_everything(flatbuffer.write(model)) == "0 layers of []"


def test_a_variable_that_nobody_assigns(small_files: dict[str, bytes]) -> None:
    model = flatbuffer.read(small_files["once"])
    for op in model.subgraphs[1].operators:
        if flatbuffer.op_name(model, op) == "VAR_HANDLE":
            op.builtinOptions.sharedName = b"another"
    assert read_everything(flatbuffer.write(model)) == "0 layers of []"


@pytest.mark.parametrize("index", [10_000, -7])
def test_operators_that_name_no_tensor(small_files: dict[str, bytes], index: int) -> None:
    tree = flatbuffer.read(small_files["float"])
    tree.subgraphs[0].operators[0].inputs[1] = index
    with pytest.raises(TfcompressError, match="names tensor"):
        WeightFile(tree, {})


def test_a_damaged_file_becomes_a_row(small_files: dict[str, bytes]) -> None:
    """`compare` names it beside the files that can be read."""
    from tfcompress._study._contents import layers

    model, tensor = sparse_tree(small_files)
    tensor.shape = [1 << 16, 1 << 15]
    assert layers(flatbuffer.write(model)) == []
