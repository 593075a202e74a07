"""Every kind of operation that the converter writes for a Keras layer, against a count by hand."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.profiling._graphs import read_graphs
from tfcompress.profiling._macs import count_ops
from tfcompress.targets import Float32

# layer, its arguments, shape of a sample, multiply-accumulates of one sample
LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...], int]] = [
    ("Dense", {"units": 5}, (12,), 12 * 5),
    ("Dense", {"units": 5}, (7, 12), 7 * 12 * 5),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 5)}, (7, 12), 7 * 12 * 5),
    ("Conv1D", {"filters": 6, "kernel_size": 3}, (10, 4), 8 * 3 * 4 * 6),
    ("Conv2D", {"filters": 6, "kernel_size": 3}, (8, 8, 4), 36 * 9 * 4 * 6),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "strides": 2}, (9, 9, 4), 16 * 9 * 4 * 6),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same"}, (8, 8, 4), 64 * 9 * 4 * 6),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2}, (8, 8, 4), 36 * 9 * 2 * 6),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "dilation_rate": 2}, (9, 9, 4), 25 * 9 * 4 * 6),
    ("Conv3D", {"filters": 5, "kernel_size": 3}, (6, 6, 6, 2), 64 * 27 * 2 * 5),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, (8, 8, 4), 36 * 9 * 8),
    ("SeparableConv2D", {"filters": 6, "kernel_size": 3}, (8, 8, 4), 36 * (9 * 4 + 4 * 6)),
    ("Conv2DTranspose", {"filters": 6, "kernel_size": 2, "strides": 2}, (8, 8, 4), 64 * 4 * 4 * 6),
    ("Conv3DTranspose", {"filters": 5, "kernel_size": 2, "strides": 2}, (4, 4, 4, 3), 64 * 8 * 15),
    (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3},
        (7, 12),
        4 * 7 * 12 * 6 + 2 * 2 * 49 * 3,
    ),
    ("Embedding", {"input_dim": 20, "output_dim": 6}, (7,), 0),
    ("BatchNormalization", {}, (8, 8, 4), 0),
    ("MaxPooling2D", {}, (8, 8, 4), 0),
]


@pytest.fixture
def keras() -> ModuleType:
    """Keras 3; `test_loops` counts what tf_keras writes otherwise."""
    return pytest.importorskip("keras")


@pytest.mark.parametrize(("name", "options", "shape", "macs"), LAYERS)
def test_a_layer_costs_what_it_multiplies(
    keras: ModuleType, name: str, options: dict[str, Any], shape: tuple[int, ...], macs: int
) -> None:
    inputs = keras.layers.Input(shape)
    layer = getattr(keras.layers, name)(**options)
    outputs = layer(inputs, inputs) if name == "MultiHeadAttention" else layer(inputs)
    data = Float32().convert(keras.Model(inputs, outputs), np.ones((2, *shape), np.float32))
    assert sum(op.macs for op in count_ops(open_interpreter(data), read_graphs(data))) == macs


def test_a_bidirectional_layer_counts_both_directions(keras: ModuleType) -> None:
    inputs = keras.layers.Input((9, 4))
    outputs = keras.layers.Bidirectional(keras.layers.LSTM(6))(inputs)
    data = Float32().convert(keras.Model(inputs, outputs), np.zeros((2, 9, 4), np.float32))
    counted = sum(op.macs for op in count_ops(open_interpreter(data), read_graphs(data)))
    assert counted == 2 * 9 * 4 * 6 * (4 + 6)


def test_a_fused_lstm_counts_its_eight_matrices() -> None:
    import tensorflow as tf
    import tf_keras

    from tfcompress._backend.quiet import quiet

    model = tf_keras.Sequential([tf_keras.layers.Input((9, 4), 1), tf_keras.layers.LSTM(6)])
    with quiet():
        data = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    ops = count_ops(open_interpreter(data), read_graphs(data))
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in {op.kind for op in ops}
    assert sum(op.macs for op in ops) == 9 * 4 * 6 * (4 + 6)
