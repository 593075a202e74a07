"""Multiply-accumulates and weights: golden numbers, operation by operation and on real files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress.core import OpTime
from tfcompress.profiling._macs import count_ops, count_weights, op_macs
from tfcompress.profiling._matching import matched


def op(kind: str, *shapes: Any) -> int:
    """MACs of an operation whose last shape is its output's; None is an input left out."""
    tensors = {
        i: TensorInfo(i, "", shape, np.dtype("f4"), np.array([]), np.array([]))
        for i, shape in enumerate(shapes)
        if shape is not None
    }
    inputs = tuple(i if shape is not None else -1 for i, shape in enumerate(shapes[:-1]))
    return op_macs(OpInfo(0, kind, inputs, (len(shapes) - 1,)), tensors)


@pytest.mark.parametrize(
    ("kind", "shapes", "macs"),
    [
        ("CONV_2D", [(1, 32, 32, 3), (16, 3, 3, 3), (16,), (1, 16, 16, 16)], 16 * 16 * 16 * 27),
        (
            "CONV_2D",
            [(1, 8, 8, 32), (64, 3, 3, 8), None, (1, 8, 8, 64)],
            64 * 64 * 72,
        ),  # four groups
        ("CONV_2D", [(None, 8, 8, 2), (4, 1, 1, 2), (4,), (None, 8, 8, 4)], 64 * 4 * 2),
        ("CONV_3D", [(1, 4, 8, 8, 2), (3, 3, 3, 2, 5), (1, 4, 8, 8, 5)], 4 * 64 * 5 * 27 * 2),
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 8), (8,), (1, 8, 8, 8)], 64 * 8 * 9),
        ("FULLY_CONNECTED", [(1, 128), (10, 128), (10,), (1, 10)], 1280),
        ("FULLY_CONNECTED", [(1, 7, 128), (10, 128), None, (1, 7, 10)], 7 * 1280),
        (
            "CONV_3D_TRANSPOSE",
            [(5,), (2, 2, 2, 5, 3), (1, 4, 6, 6, 3), (1, 8, 12, 12, 5)],
            4 * 36 * 3 * 5 * 8,
        ),
        ("TRANSPOSE_CONV", [(4,), (5, 2, 2, 3), (1, 6, 6, 3), (1, 12, 12, 5)], 36 * 3 * 5 * 4),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5), (2, 3, 5)], 2 * 3 * 4 * 5),
        ("BATCH_MATMUL", [(2, 4, 3), (2, 4, 5), (2, 3, 5)], 2 * 3 * 4 * 5),  # x transposed
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            [(1, 9, 4), *[(6, 4)] * 4, *[(6, 6)] * 4, (1, 9, 6)],
            9 * 4 * (24 + 36),
        ),
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",  # with a projection of 6 units to 3
            [(1, 9, 4), *[(6, 4)] * 4, *[(6, 3)] * 4, *[None] * 7, (3, 6), (1, 9, 3)],
            9 * (4 * (24 + 18) + 18),
        ),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", [(1, 9, 4), (6, 4), (6, 6), (6,), (1, 9, 6)], 9 * 60),
        ("ADD", [(1, 8), (1, 8), (1, 8)], 0),
    ],
)
def test_one_operation(kind: str, shapes: Any, macs: int) -> None:
    assert op(kind, *shapes) == macs


@pytest.mark.parametrize("name", ["dynamic", "fixed", "hybrid", "int8", "int8_float_io"])
def test_a_real_file_counts_the_same_in_every_format(files: SimpleNamespace, name: str) -> None:
    opened = open_interpreter(getattr(files, name))
    assert {item.kind: item.macs for item in count_ops(opened) if item.macs} == files.macs
    assert count_weights(opened) == files.parameters == files.net.count_params()


def test_delegates_do_not_change_the_count(files: SimpleNamespace) -> None:
    with_, without = (open_interpreter(files.fixed, delegates=on) for on in (True, False))
    assert [item.kind for item in with_.ops()][-1] == "DELEGATE"
    assert [(a.kind, a.macs) for a in count_ops(with_)] == [
        (b.kind, b.macs) for b in count_ops(without)
    ]


def test_kernels_are_put_to_operations_in_order() -> None:
    ops = [
        OpTime(0, "CONV_2D", "a", 10),
        OpTime(1, "RELU", "b", 0),
        OpTime(2, "DEPTHWISE_CONV_2D", "c", 20),
        OpTime(3, "SOFTMAX", "d", 0),
    ]
    kernels = [
        ("Convolution (NHWC, F32) IGEMM", None, 5.0),
        ("Clamp (NC)", None, 1.0),
        ("Convolution (NHWC, F32) DWConv", None, 7.0),
    ]
    found, complete = matched([*kernels, ("SOFTMAX", 3, 2.0)], ops)
    assert complete
    assert [(item.index, item.kind, item.macs, item.time_us_p50) for item in found] == [
        (0, "CONV_2D", 10, 5.0),
        (-1, "Clamp", 0, 1.0),
        (2, "DEPTHWISE_CONV_2D", 20, 7.0),
        (3, "SOFTMAX", 0, 2.0),
    ]


def test_a_pointwise_convolution_may_run_as_a_matrix_product() -> None:
    kinds = ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    ops = [OpTime(number, kind, "", 10 * number) for number, kind in enumerate(kinds)]
    names = [
        "Convolution (NHWC, F32) IGEMM",
        "Convolution (NHWC, F32) DWConv",
        *["Fully Connected (NC, F32) GEMM"] * 2,
    ]
    found, complete = matched([(name, None, 1.0) for name in names], ops)
    assert complete
    assert [(item.index, item.kind) for item in found] == list(enumerate(kinds))
    found, complete = matched([(name, None, 1.0) for name in names[:3]], ops)
    assert not complete and {item.index for item in found} == {-1}


def test_another_number_of_kernels_is_not_guessed_at() -> None:
    ops = [OpTime(0, "FULLY_CONNECTED", "a", 10), OpTime(1, "FULLY_CONNECTED", "b", 20)]
    found, complete = matched([("Fully Connected (NC, F32) GEMM", None, 5.0)], ops)
    assert not complete
    assert found[0].index == -1 and found[0].macs == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("MobileNet", 568.7),
        ("MobileNetV2", 300.8),
        ("EfficientNetB0", 385.8),
        ("ResNet50", 3858.0),
        ("DenseNet121", 2834.0),
    ],
)
def test_published_networks(name: str, millions: float, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    from tfcompress._backend.quiet import quiet

    model = getattr(keras.applications, name)(weights=None)
    with quiet():
        (tmp_path / "net.tflite").write_bytes(
            tf.lite.TFLiteConverter.from_keras_model(model).convert()
        )
    counted = sum(
        item.macs for item in count_ops(open_interpreter(tmp_path / "net.tflite", delegates=False))
    )
    assert counted / 1e6 == pytest.approx(millions, rel=5e-4)
