"""Look-up tables: decoded they are the codes, and tflite-micro's compressor writes the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core import ConversionError
from tfcompress.core._types import Array
from tfcompress.targets.packing._tables import HEADER_BYTES, bits_of, decode, encode

CodesOf = Callable[..., Array]
SHAPES = ((3, 7), (1, 5), (4, 3, 3, 2), (1, 2, 2, 6))


@given(
    shape=st.sampled_from(SHAPES),
    last=st.sampled_from((None, 0, -1)),
    values=st.integers(1, 128),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_decoded_they_are_the_codes(
    codes_of: CodesOf, shape: tuple[int, ...], last: int | None, values: int, seed: int
) -> None:
    axis = None if last is None else last % len(shape)
    codes = codes_of(shape, axis, values, seed)
    indices, ancillary = encode(codes, axis)
    bits = bits_of(codes, axis)
    assert 2 ** (bits - 1) < max(values, 2) and len(indices) == -(-bits * codes.size // 8)
    np.testing.assert_array_equal(decode(indices, ancillary, shape, axis), codes)


@pytest.mark.parametrize(("shape", "axis"), [((6, 40), 0), ((6, 40), None), ((1, 3, 3, 8), 3)])
@pytest.mark.parametrize("values", [2, 3, 8, 16])
def test_the_compressor_of_tflite_micro_writes_the_same_bytes(
    codes_of: CodesOf, shape: tuple[int, ...], axis: int | None, values: int
) -> None:
    lut = pytest.importorskip("tflite_micro.tensorflow.lite.micro.compression.lut")
    spec = pytest.importorskip("tflite_micro.tensorflow.lite.micro.compression.spec")
    editor = pytest.importorskip("tflite_micro.tensorflow.lite.micro.compression.model_editor")
    codes = codes_of(shape, axis, values, 0)
    mode = spec.PerTensor() if axis is None else spec.PerChannel(axis=axis)
    method = spec.LookUpTableCompression(index_bitwidth=bits_of(codes, axis), mode=mode)
    tensor: Any = editor.Tensor(shape=shape, dtype=9, data=codes)
    theirs = lut.LutCompressor().compress(tensor, method)
    indices, ancillary = encode(codes, axis)
    assert (indices.tobytes(), ancillary.tobytes()) == (theirs.encoded_data, theirs.ancillary_data)


def test_a_mode_that_is_not_the_quantization_s_is_refused(codes_of: CodesOf) -> None:
    codes = codes_of((4, 20), 0, 4, 0)
    for written, quantized in ((None, 0), (0, None)):
        indices, ancillary = encode(codes, written)
        with pytest.raises(ConversionError, match="decode other weights than were meant"):
            decode(indices, ancillary, codes.shape, quantized)


def test_a_mode_that_is_not_the_quantization_s_really_decodes_other_weights(
    integer_net: Callable[..., tuple[bytes, Array]], answers: Callable[[bytes, Array], Array]
) -> None:
    """Why it is refused: one table for a tensor with many scales, in the runtime itself."""
    pytest.importorskip("tflite_micro")
    net, x = integer_net("FULLY_CONNECTED", (4, 20), values=4, per_channel=True)
    model = flatbuffer.read(net)
    builder = Builder(model)
    op = builder.graph.operators[0]
    weight = op.inputs[1]
    codes = flatbuffer.constant(model, builder.graph.tensors[weight])
    assert codes is not None
    stored = [builder.constant(data) for data in encode(codes, None)]
    op.inputs[1] = builder.copy_tensor(weight)
    builder.graph.tensors[op.inputs[1]].buffer = 0
    builder.custom_op("TFLM_DECODE", stored, op.inputs[1])
    builder.graph.operators = [*builder.ops, op]
    assert not np.array_equal(answers(flatbuffer.write(model), x), answers(net, x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda head: head.__setitem__(0, 1), "does not look its values up"),
        (lambda head: head.__setitem__(1, 2), "does not look its values up"),
        (lambda head: head.__setitem__(4, 9), "does not look its values up"),
        (lambda head: head.__setitem__(5, 0xF0), "indices of 0 bits"),
        (lambda head: head.__setitem__(6, 200), "damaged"),
        (lambda head: head.__setitem__(6, 1), "damaged"),
    ],
)
def test_damage_is_named(codes_of: CodesOf, change: Any, message: str) -> None:
    codes = codes_of((4, 20), None, 4, 0)
    indices, ancillary = encode(codes, None)
    change(ancillary)
    with pytest.raises(ConversionError, match=message):
        decode(indices, ancillary, codes.shape, None)


def test_data_cut_short_is_named(codes_of: CodesOf) -> None:
    codes = codes_of((4, 20), None, 4, 0)
    indices, ancillary = encode(codes, None)
    for data in ((indices[:3], ancillary), (indices, ancillary[: HEADER_BYTES + 1])):
        with pytest.raises(ConversionError, match="damaged"):
            decode(*data, codes.shape, None)
    with pytest.raises(ConversionError, match="does not look its values up"):
        decode(indices, ancillary[:7], codes.shape, None)
