"""Reading and writing `.tflite` bytes loses nothing, aligns constants, stores equal ones once."""

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core import ConversionError

X = np.random.RandomState(0).randn(1, 20).astype("float32")


def two_dense(same=True):
    """Two FULLY_CONNECTED of 20 → 20 → 20, with equal weights or not, and an unused tensor."""
    b = Builder()
    weights = np.random.RandomState(1).randn(20, 20).astype("float32")
    x, h, y = (b.tensor([1, 20]) for _ in range(3))
    b.constant(np.ones(1000, np.float32))
    first, second = b.constant(weights), b.constant(weights if same else weights.T)
    bias = b.constant(np.zeros(20, np.float32))
    b.op("FULLY_CONNECTED", [x, first, bias], h)
    b.op("FULLY_CONNECTED", [h, second, bias], y)
    b.graph.inputs, b.graph.outputs, b.graph.operators = [x], [y], b.ops
    return b.model, weights


def constant_offsets(data):
    """Where in the file each buffer's data begin."""
    model = flatbuffer.schema().Model.GetRootAs(data)
    tables = [model.Buffers(i) for i in range(model.BuffersLength())]
    return [t._tab.Vector(t._tab.Offset(4)) for t in tables if t.DataLength()]


def test_constants_are_aligned_and_equal_ones_stored_once():
    model, weights = two_dense()
    data = flatbuffer.write(model)
    assert [offset % 16 for offset in constant_offsets(data)] == [0, 0]
    again = flatbuffer.read(data)
    assert len(again.buffers) == 3 and again.buffers[0].data is None
    assert len(again.subgraphs[0].tensors) == 6, "the unused constant is left out"
    assert len(data) < 20 * 20 * 4 + 1200
    np.testing.assert_allclose(
        open_interpreter(data).run([X])[0], X @ weights.T @ weights.T, rtol=1e-4, atol=1e-4
    )


def test_writing_leaves_the_tree_usable_and_is_repeatable():
    model, _ = two_dense(same=False)
    assert flatbuffer.write(model) == flatbuffer.write(model)
    assert flatbuffer.write(flatbuffer.read(flatbuffer.write(model))) == flatbuffer.write(model)


def test_buffers_outside_the_flatbuffer_are_read_in():
    from ai_edge_litert.tools import flatbuffer_utils

    model, _ = two_dense(same=False)
    plain = flatbuffer.write(model)
    tree = flatbuffer.read(plain)
    payloads = {
        i: bytes(buffer.data) for i, buffer in enumerate(tree.buffers) if buffer.data is not None
    }
    for i in payloads:
        tree.buffers[i].data, tree.buffers[i].offset, tree.buffers[i].size = None, 1, 1
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    data = bytearray(builder.Output())
    packed = flatbuffer.schema().Model.GetRootAs(data)
    for i, payload in payloads.items():
        data += b"\0" * (-len(data) % 16)
        flatbuffer_utils.update_packed_buffer(
            packed.Buffers(i), offset=len(data), size=len(payload)
        )
        data += payload
    outside = bytes(data)
    wanted = open_interpreter(plain).run([X])[0]
    np.testing.assert_array_equal(open_interpreter(outside).run([X])[0], wanted)
    rewritten = flatbuffer.write(flatbuffer.read(outside))
    np.testing.assert_array_equal(open_interpreter(rewritten).run([X])[0], wanted)
    assert len(rewritten) >= sum(map(len, payloads.values()))


@pytest.mark.parametrize("bad", [b"", b"PK\x03\x04 not a model at all", None])
def test_damaged_bytes_are_named(bad):
    if bad is None:
        bad = flatbuffer.write(two_dense()[0])[:600]
    with pytest.raises(ConversionError, match=r"Not a .tflite|damaged or cut short"):
        flatbuffer.read(bad)


@given(st.sampled_from([2, 4]), st.lists(st.integers(-8, 7), min_size=1, max_size=40))
def test_small_integers_survive_packing(bits, values):
    values = np.clip(values, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(np.int8)
    packed = flatbuffer.pack_bits(values, bits)
    assert len(packed) == -(-len(values) * bits // 8)
    np.testing.assert_array_equal(flatbuffer.unpack_bits(packed, bits)[: len(values)], values)


def test_small_integers_lie_as_the_interpreter_reads_them():
    codes = np.arange(-2, 2, dtype=np.int8).repeat(8).reshape(2, 16)
    b = Builder()
    for kind in ("INT2", "INT4"):
        out = b.dequantize(b.tensor(codes.shape, kind, data=codes, scale=[0.5, 2.0], axis=0))
        b.graph.outputs.append(out)
    b.graph.operators = b.ops
    x = b.tensor([1])
    b.graph.inputs = [x]
    for got in open_interpreter(flatbuffer.write(b.model)).run([np.zeros(1, np.float32)]):
        np.testing.assert_array_equal(got, codes * np.array([[0.5], [2.0]], np.float32))


def test_signatures_follow_their_tensors():
    model, _ = two_dense()
    s = flatbuffer.schema()
    graph = model.subgraphs[0]
    model.signatureDefs = [
        s.SignatureDefT(
            inputs=[s.TensorMapT(name="in", tensorIndex=graph.inputs[0])],
            outputs=[s.TensorMapT(name="out", tensorIndex=graph.outputs[0])],
            signatureKey="serving_default",
        )
    ]
    tree = flatbuffer.read(flatbuffer.write(model))
    signature, graph = tree.signatureDefs[0], tree.subgraphs[0]
    assert (
        signature.inputs[0].tensorIndex == graph.inputs[0]
        and signature.outputs[0].tensorIndex == graph.outputs[0]
    )
