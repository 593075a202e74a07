"""What stands behind a layer stays the model's, whatever the encoding puts there itself."""

import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress._backend import bridge
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core import Artifact
from tfcompress.core._types import Array, Layer, Model, Tensor
from tfcompress.targets import Packed, packed_layers
from tfcompress.targets.packing import ENCODINGS, pack
from tfcompress.targets.packing._find import find_layers

OneLayer = Callable[..., tuple[bytes, Array]]
WeightsOn = Callable[..., Array]
Edge = Callable[[dict[str, tuple[bytes, Array]]], dict[str, list[Array]]]

CLUSTERS = np.random.RandomState(5).normal(0, 0.2, 16).astype(np.float32)
BITS = {"binary": [-1, 1], "2-bit": [-3, -1, 1, 3], "ternary": [-1, 0, 1]}
LEVELS = [
    *(("keras", levels) for levels in ("binary", "2-bit", "16 clusters")),
    ("tf_keras", "16 clusters"),
]
"""What is packed is the float file: tf_keras's is packed once for each kind of layer."""


def on_levels(kernel: Array, levels: str, seed: int = 0) -> Array:
    """float32 values of the kernel's shape on named levels with a step that is no power of two."""
    r = np.random.RandomState(seed)
    if levels == "zeros":
        return np.zeros_like(kernel)
    if levels == "16 clusters":
        return CLUSTERS[r.randint(0, 16, kernel.shape)]
    return r.choice(BITS[levels], kernel.shape).astype(np.float32) * np.float32(0.037)


def put_on_levels(model: Model, levels: str) -> Model:
    """Every kernel on levels, every BatchNormalization with factors and shifts that matter."""
    r = np.random.RandomState(1)
    for layer in model.layers:
        weights = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            count = weights[0].shape
            normal = [r.uniform(0.5, 1.5, count), r.normal(0, 0.2, count)]
            layer.set_weights([*normal, r.normal(0, 0.1, count), r.uniform(0.5, 2, count)])
        elif weights:
            kernel, *bias = weights
            layer.set_weights([on_levels(kernel, levels), *bias])
    return model


def network(flavour: str, first: Layer, behind: list[Layer]) -> Model:
    """[12, 12, 8] → `first` → `behind` → pooling → dense."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((12, 12, 8)),
            first,
            *behind,
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, name="head"),
        ]
    )


def converted(model: Model, target: Packed) -> Artifact:
    """The packed file, after the outputs of both kinds of kernels were compared with Keras's."""
    artifact = tfc.convert(model, target)
    x = np.random.RandomState(3).uniform(-1, 1, (4, 12, 12, 8)).astype(np.float32)
    expected = bridge.predict(model, [x])[0]
    for delegates in (True, False):
        opened = open_interpreter(artifact.data, runtime="litert", delegates=delegates)
        error = np.linalg.norm(opened.predict([x])[0] - expected)
        assert error <= 0.05 * np.linalg.norm(expected), delegates
    return artifact


@pytest.mark.parametrize(("flavour", "levels"), LEVELS)
@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
def test_normalization_behind_an_activation(flavour: str, kind: str, levels: str) -> None:
    layers = importlib.import_module(flavour).layers
    if kind == "Conv2D":
        first = layers.Conv2D(16, 3, activation="relu", name="first")
    else:
        first = layers.DepthwiseConv2D(3, activation="relu", name="first")
    model = network(flavour, first, [layers.BatchNormalization(name="bn")])
    put_on_levels(model, levels)
    for target in (Packed(prefer="size"), Packed(prefer="size", runtime="any"), Packed()):
        artifact = converted(model, target)
        held = {layer.name: layer for layer in packed_layers(artifact.data)}
        kernel = np.moveaxis(model.get_layer("first").get_weights()[0], -1, 0)
        if kind == "Conv2D":
            np.testing.assert_allclose(held["first"].weights(), kernel, rtol=2.0**-22)


def test_a_factor_of_the_models_own_is_not_the_weights(keras_flavour: str) -> None:
    layers = importlib.import_module(keras_flavour).layers
    scale = np.linspace(0.5, 2, 16).tolist()
    first = layers.Conv2D(16, 3, activation="relu", name="first")
    model = put_on_levels(network(keras_flavour, first, [layers.Rescaling(scale)]), "16 clusters")
    (layer, _) = packed_layers(converted(model, Packed(prefer="size")).data)
    kernel = np.moveaxis(model.get_layer("first").get_weights()[0], -1, 0)
    np.testing.assert_array_equal(layer.weights(), kernel)


def test_a_constant_in_front_of_the_models_own_multiplication(
    one_layer: OneLayer, weights_on: WeightsOn
) -> None:
    """`constant · y` behind unit-scale weights: what an encoding writes, but the model's own."""
    weights = weights_on("clusters", (40, 256))
    source, x = one_layer("FULLY_CONNECTED", weights, activation=0)
    model = flatbuffer.read(source)
    builder = Builder(model)
    (dense,) = builder.graph.operators
    scaled = builder.copy_tensor(dense.outputs[0])
    builder.ops.append(dense)
    factor = builder.constant(np.linspace(0.5, 2, 40).astype(np.float32))
    builder.op("MUL", [factor, dense.outputs[0]], scaled)
    builder.graph.operators, builder.graph.outputs = builder.ops, [scaled]
    source = flatbuffer.write(model)
    packed = pack(source, force={"layer": "once"})
    (layer,) = packed_layers(packed)
    np.testing.assert_array_equal(layer.weights(), weights)
    expected, result = (open_interpreter(data).run([x])[0] for data in (source, packed))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("flavour", "levels"), LEVELS)
@pytest.mark.parametrize("size", [1, 3])
def test_grouped_convolutions(flavour: str, size: int, levels: str) -> None:
    layers = importlib.import_module(flavour).layers
    filters = 2048 if size == 1 else 256  # so many weights that words of digits are smaller
    first = layers.Conv2D(filters, size, groups=2, activation="relu", name="first")
    model = put_on_levels(network(flavour, first, []), levels)
    for target in (Packed(prefer="size"), Packed(prefer="size", runtime="any"), Packed()):
        artifact = converted(model, target)
        assert packed_layers(artifact.data)[0].name == "first"


def grouped_file(
    levels: str, weights_on: WeightsOn, size: int, one_scale: bool
) -> tuple[bytes, Array]:
    """A file of one CONV_2D with two groups, and inputs for it."""
    builder = Builder()
    weights = weights_on(levels, (24, size, size, 8), per_channel=not one_scale)
    x, y = builder.tensor([1, 7, 7, 16]), builder.tensor([1, 7, 7, 24])
    builder.graph.tensors[y].name = "layer"
    bias = builder.constant(np.linspace(-0.1, 0.1, 24).astype(np.float32))
    builder.op(
        "CONV_2D",
        [x, builder.constant(weights), bias],
        y,
        padding=0,
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=1,
    )
    graph = builder.graph
    graph.inputs, graph.outputs, graph.operators = [x], [y], builder.ops
    inputs = np.random.RandomState(0).randint(-127, 128, (1, 7, 7, 16)) / 64
    inputs.reshape(-1)[:2] = -127 / 64, 127 / 64
    return flatbuffer.write(builder.model), inputs.astype(np.float32)


GROUPED_LEVELS = ["binary", "2-bit", "8-bit", "clusters and zeros", "sparse int8"]


def every_grouped_file(
    weights_on: WeightsOn, runtime: str
) -> dict[str, tuple[bytes, Array, Array]]:
    """{what: (packed file, inputs, outputs of the float file)} in every encoding that fits."""
    files = {}
    for levels in GROUPED_LEVELS:
        for size, one_scale in ((1, False), (1, True), (3, False), (3, True)):
            source, x = grouped_file(levels, weights_on, size, one_scale)
            expected = open_interpreter(source, runtime="litert").run([x])[0]
            layer = find_layers(flatbuffer.read(source))[0]
            for encoding in ENCODINGS:
                if encoding.fits(layer, runtime):
                    packed = pack(source, runtime=runtime, force={"layer": encoding.name})
                    what = f"{encoding.name}-{levels}-{size}-{one_scale}".replace(" ", "_")
                    files[what] = packed, x, expected
    return files


def assert_near(result: Array, expected: Array, what: str) -> None:
    """Within the rounding of inputs to 8 bits; float kernels only sum in another order."""
    exact = any(word in what for word in ("dequantize", "csr", "float", "clusters"))
    bound = (1e-5 if exact else 2e-2) * np.abs(expected).max()
    assert np.abs(result - expected).max() <= bound, what


@pytest.mark.parametrize("delegates", [True, False], ids=["xnnpack", "builtin"])
def test_every_encoding_of_a_grouped_convolution(weights_on: WeightsOn, delegates: bool) -> None:
    files = every_grouped_file(weights_on, "litert")
    assert {what.split("-")[0] for what in files} >= {"int8", "folded", "once", "bitmask", "csr"}
    for what, (packed, x, expected) in files.items():
        opened = open_interpreter(packed, runtime="litert", delegates=delegates)
        assert_near(opened.run([x])[0], expected, what)


def test_every_encoding_of_a_grouped_convolution_on_tflite_runtime(
    weights_on: WeightsOn, edge: Edge
) -> None:
    files = every_grouped_file(weights_on, "any")
    results = edge({what: (packed, x) for what, (packed, x, _) in files.items()})
    for what, (_, _, expected) in files.items():
        for result in results[what]:
            assert_near(result, expected, what)


@pytest.mark.parametrize("prefer", ["speed", "size"])
def test_a_kernel_of_zeros_is_packed(keras_flavour: str, prefer: str) -> None:
    """One level is no digit: counting how many of them a word holds never ended."""
    layers = importlib.import_module(keras_flavour).layers
    first = layers.Conv2D(16, 3, activation="relu", bias_initializer="ones", name="first")
    model = network(keras_flavour, first, [])
    model.get_layer("first").set_weights([np.zeros((3, 3, 8, 16)), np.ones(16)])
    layer = packed_layers(converted(model, Packed(prefer=prefer)).data)[0]
    assert not layer.weights().any() and layer.bits < 32


def test_a_sum_of_the_models_own_is_not_the_weights(keras_flavour: str) -> None:
    """conv(x) + 0.3 · Σx, and a convolution of Σx with one channel: both are the model's layers."""
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    x = inputs = layers.Input((12, 12, 8))
    total = layers.Conv2D(1, 3, padding="same", name="window")(
        layers.Lambda(lambda t: sum_over_channels(keras, t), (12, 12, 1))(x)
    )
    y = layers.Conv2D(16, 3, padding="same", name="first")(x)
    z = layers.GlobalAveragePooling2D()(layers.Add()([y, layers.Rescaling(0.3)(total)]))
    model = put_on_levels(keras.Model(inputs, layers.Dense(8, name="head")(z)), "2-bit")
    held = packed_layers(converted(model, Packed(prefer="size")).data)
    assert {layer.name for layer in held} == {"window", "first", "head"}


def sum_over_channels(keras: ModuleType, tensor: Tensor) -> Tensor:
    """Σ over the last axis, kept as one channel."""
    if keras.__name__ == "keras":
        return keras.ops.sum(tensor, axis=-1, keepdims=True)
    import tensorflow as tf

    return tf.reduce_sum(tensor, axis=-1, keepdims=True)


def test_clusters_rounded_to_int8_where_the_largest_is_in_another_channel(
    keras_flavour: str,
) -> None:
    """Half a step is 1/254 of the largest cluster times the factor, not of the channel's own."""
    layers = importlib.import_module(keras_flavour).layers
    conv = layers.Conv2D(16, 3, use_bias=False, name="first")
    model = network(keras_flavour, conv, [layers.BatchNormalization(name="bn")])
    r = np.random.RandomState(0)
    clusters = np.sort(r.uniform(0.02, 1, 16)).astype(np.float32)
    kernel = clusters[r.randint(0, 16, (3, 3, 8, 16))]
    kernel[..., 0] = clusters[r.randint(0, 6, (3, 3, 8))]
    conv.set_weights([kernel])
    factor = np.ones(16)
    factor[0] = 50
    model.get_layer("bn").set_weights([factor, np.zeros(16), np.zeros(16), np.ones(16) - 1e-3])
    artifact = converted(model, Packed(prefer="size", rest="int8"))
    (check,) = [c for c in artifact.checks if c.layer == "first"]
    assert 0.2 / 127 < check.value <= 0.502 / 127
