"""Multiply–accumulates by hand for every layer class and matrix operation of both Kerases."""

import importlib
import inspect
import re

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.analysis import _macs, cost
from tfcompress.profiling._macs import count_ops
from tfcompress.targets import Float32

BOTH, KERAS3, TF_KERAS = ("keras", "tf_keras"), ("keras",), ("tf_keras",)
IMAGE, STEPS = (8, 8, 4), (6, 5)


def ones(*shape):
    return np.ones(shape, "float32")


# name: (input shapes, output of layers and inputs, multiply–accumulates, Kerases)
LAYERS = {
    "Dense": ([(7,)], lambda k, x: k.Dense(3)(x), 7 * 3),
    "Dense of positions": ([(2, 3, 7)], lambda k, x: k.Dense(3)(x), 6 * 7 * 3),
    "EinsumDense": ([STEPS], lambda k, x: k.EinsumDense("abc,cd->abd", (6, 9))(x), 6 * 5 * 9),
    "EinsumDense with an ellipsis": (
        [(10, 64)],
        lambda k, x: k.EinsumDense("...x,xy->...y", 128)(x),
        81_920,
    ),
    "EinsumDense of heads": (
        [STEPS],
        lambda k, x: k.EinsumDense("abc,cde->abde", (6, 2, 3))(x),
        6 * 5 * 2 * 3,
    ),
    "Conv1D": ([STEPS], lambda k, x: k.Conv1D(4, 3)(x), 4 * 3 * 5 * 4),
    "Conv1D, causal and dilated": (
        [STEPS],
        lambda k, x: k.Conv1D(4, 2, padding="causal", dilation_rate=2)(x),
        6 * 2 * 5 * 4,
    ),
    "Conv2D": ([IMAGE], lambda k, x: k.Conv2D(6, 3, strides=2, padding="same")(x), 16 * 9 * 4 * 6),
    "Conv2D, grouped": ([IMAGE], lambda k, x: k.Conv2D(6, 3, groups=2)(x), 36 * 9 * 2 * 6),
    "Conv3D": ([(4, 4, 4, 2)], lambda k, x: k.Conv3D(3, 2)(x), 27 * 8 * 2 * 3),
    "Conv1DTranspose": ([STEPS], lambda k, x: k.Conv1DTranspose(4, 3, strides=2)(x), 6 * 3 * 5 * 4),
    "Conv2DTranspose": ([IMAGE], lambda k, x: k.Conv2DTranspose(3, 2, 2)(x), 64 * 4 * 4 * 3),
    "Conv3DTranspose": ([(2, 2, 2, 3)], lambda k, x: k.Conv3DTranspose(4, 2)(x), 8 * 8 * 3 * 4),
    "DepthwiseConv1D": (
        [STEPS],
        lambda k, x: k.DepthwiseConv1D(3, depth_multiplier=2)(x),
        4 * 3 * 10,
    ),
    "DepthwiseConv2D": ([IMAGE], lambda k, x: k.DepthwiseConv2D(3)(x), 36 * 9 * 4),
    "SeparableConv1D": ([STEPS], lambda k, x: k.SeparableConv1D(7, 3)(x), 4 * (15 + 35)),
    "SeparableConv2D": ([IMAGE], lambda k, x: k.SeparableConv2D(7, 3)(x), 36 * (36 + 28)),
    "LSTM": ([STEPS], lambda k, x: k.LSTM(3)(x), 6 * (5 * 12 + 3 * 12)),
    "GRU": ([STEPS], lambda k, x: k.GRU(3)(x), 6 * (5 * 9 + 3 * 9)),
    "GRU of two units, whose bias [2, 6] is no kernel": (
        [(10, 4)],
        lambda k, x: k.GRU(2)(x),
        10 * (4 * 6 + 2 * 6),
    ),
    "GRU of two features": ([(10, 2)], lambda k, x: k.GRU(10)(x), 10 * (2 * 30 + 10 * 30)),
    "SimpleRNN": ([STEPS], lambda k, x: k.SimpleRNN(3)(x), 6 * (15 + 9)),
    "RNN of a cell": ([STEPS], lambda k, x: k.RNN(k.LSTMCell(3))(x), 6 * (60 + 36)),
    "RNN of stacked cells": (
        [STEPS],
        lambda k, x: k.RNN(k.StackedRNNCells([k.GRUCell(3), k.SimpleRNNCell(2)]))(x),
        6 * (5 * 9 + 3 * 9 + 3 * 2 + 2 * 2),
    ),
    "Bidirectional": ([STEPS], lambda k, x: k.Bidirectional(k.GRU(3))(x), 2 * 6 * (45 + 27)),
    "ConvLSTM1D": (
        [(3, 6, 2)],
        lambda k, x: k.ConvLSTM1D(4, 3)(x),
        3 * 4 * (3 * 2 * 16 + 3 * 4 * 16),
    ),
    "ConvLSTM2D": (
        [(3, 8, 8, 2)],
        lambda k, x: k.ConvLSTM2D(4, 3, padding="same", return_sequences=True)(x),
        3 * 64 * (9 * 2 * 16 + 9 * 4 * 16),
    ),
    "ConvLSTM3D": (
        [(2, 4, 4, 4, 2)],
        lambda k, x: k.ConvLSTM3D(1, 3)(x),
        2 * 8 * (27 * 2 * 4 + 27 * 1 * 4),
    ),
    "TimeDistributed": (
        [(3, 8, 8, 4)],
        lambda k, x: k.TimeDistributed(k.Conv2D(6, 3))(x),
        3 * 36 * 9 * 4 * 6,
    ),
    "MultiHeadAttention": (
        [(6, 5), (9, 5)],
        lambda k, x, y: k.MultiHeadAttention(2, 3, value_dim=4)(x, y),
        6 * 5 * 6 + 9 * 5 * 6 + 9 * 5 * 8 + 6 * 8 * 5 + 6 * 9 * 2 * (3 + 4),
    ),
    "MultiHeadAttention by keywords": (
        [(6, 5), (9, 5)],
        lambda k, x, y: k.MultiHeadAttention(2, 3)(query=x, value=y, key=y),
        6 * 5 * 6 + 9 * 5 * 6 + 9 * 5 * 6 + 6 * 6 * 5 + 6 * 9 * 2 * (3 + 3),
    ),
    "Attention": ([(6, 5), (9, 5)], lambda k, x, y: k.Attention()([x, y]), 2 * 6 * 9 * 5),
    "Attention by sums": (
        [(6, 5), (9, 5)],
        lambda k, x, y: k.Attention(score_mode="concat")([x, y]),
        6 * 9 * 5,
    ),
    "AdditiveAttention": (
        [(6, 5), (9, 5)],
        lambda k, x, y: k.AdditiveAttention()([x, y]),
        2 * 6 * 9 * 5,
    ),
    "Dot": ([(6, 5), (9, 5)], lambda k, x, y: k.Dot(2)([x, y]), 6 * 9 * 5),
    "SpectralNormalization": ([(7,)], lambda k, x: k.SpectralNormalization(k.Dense(3))(x), 21),
    "Embedding": ([(6,)], lambda k, x: k.Embedding(20, 4)(x), 0),
    "PReLU": ([(6, 4)], lambda k, x: k.PReLU()(x), 0),
    "BatchNormalization": ([(6, 4)], lambda k, x: k.BatchNormalization()(x), 0),
    "LayerNormalization": ([(6, 4)], lambda k, x: k.LayerNormalization((1, 2))(x), 0),
}
OF_ONE_KERAS = {
    "GroupQueryAttention": (
        [(6, 5), (9, 5)],
        lambda k, x, y: k.GroupQueryAttention(3, 4, 2)(x, y),
        6 * 5 * 12 + 2 * (9 * 5 * 6) + 6 * 12 * 5 + 2 * 6 * 9 * 4 * 3,
        "keras",
    ),
    "ReversibleEmbedding": (
        [(6,)],
        lambda k, x: (e := k.ReversibleEmbedding(20, 4))(e(x), reverse=True),
        6 * 4 * 20,
        "keras",
    ),
    "LocallyConnected1D": ([STEPS], lambda k, x: k.LocallyConnected1D(4, 3)(x), 240, "tf_keras"),
    "LocallyConnected2D, 1": (
        [IMAGE],
        lambda k, x: k.LocallyConnected2D(2, 3)(x),
        36 * 36 * 2,
        "tf_keras",
    ),
    "LocallyConnected2D, 2": (
        [IMAGE],
        lambda k, x: k.LocallyConnected2D(2, 3, implementation=2)(x),
        36 * 36 * 2,
        "tf_keras",
    ),
    "LocallyConnected2D, 3": (
        [IMAGE],
        lambda k, x: k.LocallyConnected2D(2, 3, implementation=3)(x),
        36 * 36 * 2,
        "tf_keras",
    ),
}


def built(flavour, shapes, output, kit):
    keras = importlib.import_module(flavour)
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, output(kit(keras), *inputs))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_by_hand(keras_flavour, name):
    if (keras_flavour, name) == ("tf_keras", "SpectralNormalization"):
        pytest.skip("this tf_keras cannot build the layer")
    shapes, output, macs = LAYERS[name]
    costs = cost(built(keras_flavour, shapes, output, lambda keras: keras.layers))
    assert costs.macs == macs and costs.unknown == ()


@pytest.mark.parametrize("name", OF_ONE_KERAS)
def test_layers_of_one_keras_by_hand(name):
    shapes, output, macs, flavour = OF_ONE_KERAS[name]
    costs = cost(built(flavour, shapes, output, lambda keras: keras.layers))
    assert costs.macs == macs and costs.unknown == ()


def test_channels_first(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    x = keras.Input((4, 8, 8))
    h = keras.layers.Conv2D(6, 3, data_format="channels_first", name="conv")(x)
    h = keras.layers.DepthwiseConv2D(3, data_format="channels_first", name="depthwise")(h)
    costs = cost(keras.Model(x, h))
    assert (costs["conv"].macs, costs["depthwise"].macs) == (36 * 9 * 4 * 6, 16 * 9 * 6)


OPS = {
    "matmul": ([STEPS], lambda o, x: o.matmul(x, ones(5, 3)), 6 * 5 * 3),
    "matmul from the left": ([STEPS], lambda o, x: o.matmul(ones(2, 6), x), 2 * 6 * 5),
    "matmul by keywords": ([STEPS], lambda o, x: o.matmul(x1=x, x2=ones(5, 3)), 6 * 5 * 3),
    "@": ([STEPS], lambda o, x: x @ o.convert_to_tensor(ones(5, 3)), 6 * 5 * 3),
    "matmul of two": ([(6, 5), (5, 4)], lambda o, x, y: o.matmul(x, y), 6 * 5 * 4),
    "dot": ([STEPS], lambda o, x: o.dot(x, ones(5, 3)), 6 * 5 * 3),
    "inner": ([STEPS], lambda o, x: o.inner(x, ones(3, 5)), 6 * 5 * 3),
    "tensordot": ([STEPS], lambda o, x: o.tensordot(x, ones(6, 5, 3), [[1, 2], [0, 1]]), 90),
    "tensordot of last axes": ([STEPS], lambda o, x: o.tensordot(x, ones(6, 5, 3), 2), 90),
    "einsum": ([STEPS], lambda o, x: o.einsum("bij,jk->bik", x, ones(5, 3)), 6 * 5 * 3),
    "einsum with an ellipsis": (
        [(2, 6, 5), (2, 6, 5)],
        lambda o, x, y: o.einsum("...ij,...kj->...ik", x, y),
        2 * 6 * 6 * 5,
    ),
    "einsum without a sum": ([STEPS], lambda o, x: o.einsum("bij,j->bij", x, ones(5)), 0),
    "einsum of one": ([STEPS], lambda o, x: o.einsum("bij->bji", x), 0),
    "conv": ([IMAGE], lambda o, x: o.conv(x, ones(3, 3, 4, 6)), 36 * 9 * 4 * 6),
    "depthwise_conv": ([IMAGE], lambda o, x: o.depthwise_conv(x, ones(3, 3, 4, 2)), 36 * 9 * 8),
    "separable_conv": (
        [IMAGE],
        lambda o, x: o.separable_conv(x, ones(3, 3, 4, 1), ones(1, 1, 4, 6)),
        36 * (36 + 24),
    ),
    "conv_transpose": (
        [IMAGE],
        lambda o, x: o.conv_transpose(x, ones(2, 2, 3, 4), 2),
        64 * 4 * 3 * 4,
    ),
    "dot_product_attention": (
        [(6, 2, 3), (9, 2, 3)],
        lambda o, x, y: o.dot_product_attention(x, y, y),
        2 * 6 * 9 * 2 * 3,
    ),
    "elementwise": ([STEPS], lambda o, x: o.relu(o.add(o.multiply(x, 2.0), 1.0)), 0),
    "sums and moves": ([STEPS], lambda o, x: o.transpose(o.cumsum(x, 1), (0, 2, 1)), 0),
    "matmul of positions turned into rows": (
        [STEPS],
        lambda o, x: o.matmul(o.reshape(x, (-1, 5)), ones(5, 3)),
        6 * 5 * 3,
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_keras_operations_by_hand(name):
    shapes, output, macs = OPS[name]
    costs = cost(built("keras", shapes, output, lambda keras: keras.ops))
    assert costs.macs == macs and costs.unknown == ()


def tensorflow(keras):
    return importlib.import_module("tensorflow")


FUNCTIONS = {
    "matmul": ([STEPS], lambda tf, x: tf.matmul(x, ones(5, 3)), 6 * 5 * 3),
    "matmul, turned": ([STEPS], lambda tf, x: tf.matmul(x, ones(6, 3), transpose_a=True), 90),
    "matmul, turned by place": ([STEPS], lambda tf, x: tf.matmul(x, ones(6, 3), True), 90),
    "@": ([STEPS], lambda tf, x: x @ tf.constant(ones(5, 3)), 6 * 5 * 3),
    "backend.dot": ([STEPS], lambda tf, x: backend().dot(x, tf.constant(ones(5, 3))), 90),
    "backend.batch_dot": ([STEPS], lambda tf, x: backend().batch_dot(x, x, axes=2), 6 * 6 * 5),
    "einsum": ([STEPS], lambda tf, x: tf.einsum("bij,jk->bik", x, ones(5, 3)), 6 * 5 * 3),
    "tensordot": ([STEPS], lambda tf, x: tf.tensordot(x, ones(6, 5, 3), [[1, 2], [0, 1]]), 90),
    "tensordot of last axes": ([STEPS], lambda tf, x: tf.tensordot(x, ones(5, 3), 1), 90),
    "matvec": ([STEPS], lambda tf, x: tf.linalg.matvec(x, ones(5)), 6 * 5),
    "conv1d": ([STEPS], lambda tf, x: tf.nn.conv1d(x, ones(3, 5, 2), 1, "SAME"), 6 * 3 * 5 * 2),
    "conv2d": ([IMAGE], lambda tf, x: tf.nn.conv2d(x, ones(3, 3, 4, 6), 1, "VALID"), 36 * 216),
    "depthwise_conv2d": (
        [IMAGE],
        lambda tf, x: tf.nn.depthwise_conv2d(x, ones(3, 3, 4, 2), (1, 1, 1, 1), "VALID"),
        36 * 9 * 8,
    ),
    "elementwise": ([STEPS], lambda tf, x: tf.nn.relu(2.0 * x[:, :2] + 1.0), 0),
}


def backend():
    return importlib.import_module("tf_keras").backend


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensorflow_functions_by_hand(name):
    shapes, output, macs = FUNCTIONS[name]
    costs = cost(built("tf_keras", shapes, output, tensorflow))
    assert costs.macs == macs and costs.unknown == ()


@pytest.mark.parametrize(
    ("flavour", "output"),
    [
        ("keras", lambda keras, x: keras.layers.Lambda(lambda v: v @ ones(5, 5))(x)),
        ("tf_keras", lambda keras, x: keras.layers.Lambda(lambda v: v @ ones(5, 5))(x)),
        ("keras", lambda keras, x: keras.ops.einsum("bij,jk,kl->bil", x, ones(5, 5), ones(5, 5))),
        ("keras", lambda keras, x: keras.ops.inv(keras.ops.matmul(x, ones(5, 6)))),
        ("tf_keras", lambda keras, x: tensorflow(keras).linalg.cross(x[..., :3], x[..., 2:])),
    ],
)
def test_what_is_not_known_is_named(flavour, output):
    costs = cost(built(flavour, [STEPS], output, lambda keras: keras))
    assert len(costs.unknown) == 1 and "unknown" in str(costs)
    with pytest.raises(KeyError, match="no such layer"):
        costs["no such layer"]


def test_a_class_of_the_users_is_not_taken_for_keras_by_its_name(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Dense(keras.layers.Layer):
        def call(self, x):
            return x * 2.0

    class Named(keras.layers.Dense):
        pass

    x = keras.Input((4,))
    costs = cost(keras.Model(x, Named(3, name="named")(Dense(name="own")(x))))
    assert costs.unknown == ("own",) and costs["named"].macs == 12


MULTIPLIES = r"kernel = self\.add_weight|matmul\(|einsum\(|batch_dot\(|backend\.dot\(|K\.dot\("


def test_every_layer_class_with_a_kernel_has_a_rule(keras_flavour):
    """A class that is new in Keras shows up here."""
    layers = importlib.import_module(keras_flavour).layers
    multiplies = {
        cls.__name__
        for cls in vars(layers).values()
        if inspect.isclass(cls) and re.search(MULTIPLIES, source(cls))
    }
    assert "Dense" in multiplies
    cells = {"AbstractRNNCell", "GRUCell", "LSTMCell", "SimpleRNNCell"}  # counted in their layers
    free = {"Embedding", "Layer", "LayerNormalization", "Normalization", "RandomPerspective"}
    assert multiplies - cells - free - set(_macs._RULES) - _macs._UNKNOWN == set()


def source(cls):
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        return ""


@pytest.mark.parametrize(
    "name",
    [
        "Dense",
        "EinsumDense with an ellipsis",
        "Conv1D",
        "Conv2D",
        "Conv2D, grouped",
        "Conv2DTranspose",
        "DepthwiseConv2D",
        "SeparableConv2D",
        "MultiHeadAttention",
        "Dot",
    ],
)
def test_the_converted_file_multiplies_as_often(keras_flavour, name):
    shapes, output, macs = LAYERS[name]
    model = built(keras_flavour, shapes, output, lambda keras: keras.layers)
    opened = open_interpreter(Float32().convert(model), delegates=False)
    assert sum(op.macs for op in count_ops(opened)) == macs


def test_the_converted_file_of_matrix_operations_multiplies_as_often():
    def output(o, x):
        return o.matmul(o.einsum("bij,jk->bik", o.reshape(x, (-1, 6, 5)), ones(5, 3)), ones(3, 4))

    model = built("keras", [(30,)], output, lambda keras: keras.ops)
    opened = open_interpreter(Float32().convert(model), delegates=False)
    assert sum(op.macs for op in count_ops(opened)) == cost(model).macs == 6 * 5 * 3 + 6 * 3 * 4
