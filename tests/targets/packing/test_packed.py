"""Packed: files as small as promised, that hold the model's weights and say what they left."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress._backend import bridge as bridge
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core import Artifact, ArtifactError, ConversionError, InvariantError, RecipeError
from tfcompress.core._types import Array, Model, Tensor
from tfcompress.targets import Packed, _packed, packed_layers
from tfcompress.targets.packing import pack
from tfcompress.targets.packing._pack import find_layers

Edge = Callable[[dict[str, tuple[bytes, Array]]], dict[str, list[Array]]]
Change = Callable[[int, Array], "Array | None"]
"""(place of a layer, weights) → other weights, or None."""
Sized = dict[tuple, tuple[bytes, bytes, int, dict[str, str]]]

QUANTNET = ("conv1", "conv2", "linear1", "linear2", "linear3")
ENDS = ("conv1", "linear3")


@pytest.fixture(scope="module")
def quantnet_file() -> tuple[bytes, list[str]]:
    """QuantNET (545,889 weights) as a float `.tflite`, and its layers' names in order."""
    from tfcompress._backend.tflite import _converter as converter
    from tfcompress.zoo import quantnet

    model = quantnet()
    names = [layer.name for layer in bridge.leaf_layers(model) if layer.weights]
    return converter.convert(model, converter.Format("packed")), names


def with_weights(data: bytes, names: list[str], change: Change) -> bytes:
    """The float file with the weights that `change` gives; left where it gives None."""
    model = flatbuffer.read(data)
    for layer in find_layers(model, names):
        new = change(names.index(layer.name), layer.weights)
        if new is not None:
            tensor = model.subgraphs[0].tensors[layer.op.inputs[1]]
            model.buffers[tensor.buffer].data = np.frombuffer(
                np.ascontiguousarray(new, np.float32).tobytes(), np.uint8
            )
    return flatbuffer.write(model)


def on_bits(*bits: int) -> Change:
    """Weights on symmetric levels of as many bits for each layer, 32 leaving it."""
    r = np.random.RandomState(0)

    def change(place: int, weights: Array) -> Array | None:
        if bits[place] == 32:
            return None
        n = 2 ** bits[place] - 1
        step = np.float32(np.abs(weights).mean() / n)
        return (2 * r.randint(0, n + 1, weights.shape) - n).astype(np.float32) * step

    return change


def clustered(place: int, weights: Array) -> Array:
    r = np.random.RandomState(place)
    return r.normal(0, weights.std(), 16).astype(np.float32)[r.randint(0, 16, weights.shape)]


def pruned(block: int) -> Change:
    def change(place: int, weights: Array) -> Array | None:
        if place in (0, 4):
            return None
        rows = weights.reshape(-1, block)
        size = np.abs(rows).sum(axis=1)
        return (rows * (size > np.quantile(size, 0.9))[:, None]).reshape(weights.shape)

    return change


SIZES = [
    ("full/1/2/2/full", on_bits(32, 1, 2, 2, 32), {"prefer": "speed"}, 162_000),
    ("full/1/2/2/full", on_bits(32, 1, 2, 2, 32), {"prefer": "size"}, 148_500),
    ("full/1/2/2/full", on_bits(32, 1, 2, 2, 32), {"prefer": "size", "runtime": "any"}, 148_500),
    ("full/1/1/1/full", on_bits(32, 1, 1, 1, 32), {"prefer": "size"}, 82_000),
    ("full/1/1/1/full", on_bits(32, 1, 1, 1, 32), {"prefer": "size", "runtime": "any"}, 82_000),
    ("16 clusters", clustered, {"prefer": "size"}, 292_000),
    ("16 clusters", clustered, {"prefer": "size", "runtime": "any"}, 292_000),
    ("90 % pruned", pruned(1), {"prefer": "size", "rest": "int8"}, 125_000),
    ("90 % pruned", pruned(1), {"prefer": "size", "rest": "int8", "runtime": "any"}, 125_000),
    ("90 % pruned in blocks", pruned(16), {"prefer": "size", "rest": "int8"}, 82_000),
    ("90 % pruned in blocks", pruned(16), {"prefer": "speed", "rest": "int8"}, 82_000),
    (
        "90 % pruned in blocks",
        pruned(16),
        {"prefer": "size", "rest": "int8", "runtime": "any"},
        82_000,
    ),
]


@pytest.fixture(scope="module")
def sized(quantnet_file: tuple[bytes, list[str]]) -> Sized:
    data, names = quantnet_file
    out = {}
    for what, change, options, limit in SIZES:
        source = with_weights(data, names, change)
        out[(what, *options.values())] = (
            source,
            pack(source, names=names, **options),
            limit,
            options,
        )
    return out


def test_sizes_of_quantnet(sized: Sized) -> None:
    for key, (_, packed, limit, _) in sized.items():
        assert len(packed) <= limit, (
            key,
            len(packed),
            [str(layer) for layer in packed_layers(packed)],
        )


def test_bytes_of_the_layers_add_up(sized: Sized) -> None:
    for key, (_, packed, _, _) in sized.items():
        held = sum(layer.bytes for layer in packed_layers(packed))
        assert 0.9 * len(packed) <= held + 6_000 and held < len(packed), key


@pytest.mark.parametrize("delegates", [True, False], ids=["xnnpack", "builtin"])
def test_sized_files_compute_what_the_float_file_does(sized: Sized, delegates: bool) -> None:
    x = np.random.RandomState(0).uniform(0, 1, (4, 32, 32, 3)).astype(np.float32)
    for key, (source, packed, _, _) in sized.items():
        wanted = open_interpreter(source, runtime="litert").predict([x])[0]
        got = open_interpreter(packed, runtime="litert", delegates=delegates).predict([x])[0]
        assert np.abs(got - wanted).max() <= (1e-5 if key[0] == "16 clusters" else 0.02), key


def test_sized_files_run_on_tflite_runtime(sized: Sized, edge: Edge) -> None:
    x = np.random.RandomState(0).uniform(0, 1, (1, 32, 32, 3)).astype(np.float32)
    chosen = {
        str(place): value for place, (key, value) in enumerate(sized.items()) if key[-1] == "any"
    }
    assert len(chosen) >= 5
    results = edge({name: (value[1], x) for name, value in chosen.items()})
    for name, (source, _, _, _) in chosen.items():
        wanted = open_interpreter(source, runtime="litert").predict([x])[0]
        for got in results[name]:
            assert np.abs(got - wanted).max() <= 0.02


@pytest.mark.slow
def test_sized_files_run_on_tensorflow(sized: Sized) -> None:
    x = np.random.RandomState(0).uniform(0, 1, (1, 32, 32, 3)).astype(np.float32)
    for key, (source, packed, _, _) in sized.items():
        wanted = open_interpreter(source, runtime="litert").predict([x])[0]
        assert (
            np.abs(open_interpreter(packed, runtime="tensorflow").predict([x])[0] - wanted).max()
            <= 0.02
        ), key


def folded_net(flavour: str) -> Model:
    """Residual net of Conv2D, DepthwiseConv2D and 1×1 Conv2D, each normalized.

    Some of the factors to fold are negative.
    """
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(1)
    layers = keras.layers

    def normalized(x: Tensor, name: str, relu: bool = True) -> Tensor:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    x = inputs = layers.Input((12, 12, 3), name="image")
    x = normalized(layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(x), "stem")
    y = normalized(layers.Conv2D(32, 1, use_bias=False, name="expand")(x), "expand")
    y = normalized(
        layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depth")(y), "depth"
    )
    y = normalized(layers.Conv2D(16, 1, use_bias=False, name="project")(y), "project", relu=False)
    x = layers.Add(name="add")([x, y])
    x = normalized(layers.Conv2D(24, 3, strides=2, use_bias=False, name="down")(x), "down")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="head")(x), name="folded")
    r = np.random.RandomState(0)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            gamma, beta, mean, variance = layer.get_weights()
            sign = r.choice([-1, 1], gamma.shape)
            layer.set_weights(
                [
                    r.uniform(0.5, 1.5, gamma.shape) * sign,
                    r.normal(0, 0.1, beta.shape),
                    mean,
                    r.uniform(0.5, 2, variance.shape),
                ]
            )
    return model


def put_on_levels(model: Model, bits: dict[str, int]) -> Model:
    """Kernels of the named layers on symmetric levels of a step of their own."""
    r = np.random.RandomState(0)
    for name, width in bits.items():
        layer = model.get_layer(name)
        kernel, *rest = layer.get_weights()
        n = 2**width - 1
        values = (2 * r.randint(0, n + 1, kernel.shape) - n).astype(np.float32) * np.float32(
            np.abs(kernel).mean() / n
        )
        layer.set_weights([values, *rest])
    return model


@pytest.mark.parametrize(
    "options",
    [{}, {"prefer": "size"}, {"prefer": "size", "runtime": "any"}, {"rest": "int8"}],
    ids=str,
)
def test_folded_factors_keep_their_levels(keras_flavour: str, options: dict[str, Any]) -> None:
    model = put_on_levels(
        folded_net(keras_flavour), {"expand": 1, "depth": 3, "project": 2, "down": 2}
    )
    target = Packed(**options)
    data = target.convert(model)
    checks = {check.layer: check for check in target.check(model, data)}
    found = {layer.name: layer for layer in packed_layers(data)}
    assert set(found) == set(checks) == {"stem", "expand", "depth", "project", "down", "head"}
    for name in ("expand", "depth", "project", "down"):
        assert checks[name].value <= 2.0**-22
        if options.get("prefer") == "size":
            assert found[name].encoding != "float" and found[name].bits <= 8
    x = np.random.RandomState(0).uniform(0, 1, (4, 12, 12, 3)).astype(np.float32)
    wanted, got = bridge.predict(model, [x])[0], open_interpreter(data).predict([x])[0]
    assert np.linalg.norm(got - wanted) <= 0.05 * np.linalg.norm(wanted)


def test_what_is_left_float_is_listed(keras_flavour: str) -> None:
    model = put_on_levels(folded_net(keras_flavour), {"project": 2})
    target = Packed()
    left = {item.layer: item.reason for item in target.skips(model, target.convert(model))}
    assert (
        "lie on no levels" in left["stem"]
        and "rest='int8'" in left["stem"]
        and "project" not in left
    )
    rounded = Packed(rest="int8", prefer="size")
    assert rounded.skips(model, rounded.convert(model)) == ()


def test_other_operators_with_weights_are_listed(keras_flavour: str) -> None:
    layers = importlib.import_module(keras_flavour).layers
    keras = importlib.import_module(keras_flavour)
    model = keras.Sequential(
        [
            layers.Input((4, 4, 3)),
            layers.Conv2DTranspose(8, 3, name="up"),
            layers.Flatten(),
            layers.Dense(2, name="out"),
        ]
    )
    target = Packed()
    reasons = [item.reason for item in target.skips(model, target.convert(model))]
    assert any("no encoding for TRANSPOSE_CONV" in reason for reason in reasons)


def test_a_file_with_other_weights_fails_its_check(keras_flavour: str) -> None:
    model = put_on_levels(folded_net(keras_flavour), {"project": 2})
    data = Packed().convert(model)
    kernel = model.get_layer("project").get_weights()[0]
    model.get_layer("project").set_weights([kernel * np.float32(1.001)])
    with pytest.raises(InvariantError, match="'project'"):
        Packed().check(model, data)


def test_through_the_engine(keras_flavour: str) -> None:
    model = put_on_levels(folded_net(keras_flavour), {"project": 2, "down": 1})
    artifact = tfc.convert(model, Packed(prefer="size"))
    assert artifact.name.startswith("packed") and artifact.size_bytes == len(artifact.data)
    assert any("relative error of the weights" in check.what for check in artifact.checks)
    assert {item.layer for item in artifact.skipped} >= {"stem", "head"}


def test_packed_layers_reads_foreign_files(keras_flavour: str, tmp_path: Path) -> None:
    from tfcompress.targets import DynamicRange, Float16, Float32

    model = folded_net(keras_flavour)
    path = tmp_path / "net.tflite"
    path.write_bytes(DynamicRange().convert(model))
    plain = packed_layers(Float32().convert(model))
    assert {layer.encoding for layer in plain} == {"float"} and {layer.bits for layer in plain} == {
        32
    }
    half = packed_layers(Float16().convert(model))
    assert {layer.encoding for layer in half} == {"float16"} and {layer.bits for layer in half} == {
        16
    }
    assert any(layer.encoding.startswith("int8") for layer in tfc.packed_layers(path))
    for layer, other in zip(plain, half):
        np.testing.assert_allclose(other.weights(), layer.weights(), rtol=1e-3, atol=1e-6)
    with pytest.raises(ArtifactError, match=r"No \.tflite could be read"):
        packed_layers(tmp_path / "nowhere.tflite")
    with pytest.raises(ConversionError, match=r"Not a \.tflite"):
        packed_layers(b"nothing at all")


@pytest.mark.parametrize("options", [{"prefer": "small"}, {"runtime": "tf"}, {"rest": "int4"}])
def test_unknown_words_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="expected one of"):
        Packed(**options)


def test_it_is_data() -> None:
    target = Packed(prefer="size", runtime="any", rest="int8")
    assert Packed.from_dict(target.to_dict()) == target
    assert (Packed().label, target.label) == ("packed", "packedsize-any-int8rest")


@pytest.fixture(scope="module")
def quantization_aware(digits: tuple[Array, ...]) -> Callable[[str, str], Artifact]:
    """Factory (flavour, what) → a network of int8 ranges whose kernels are clustered or pruned."""
    from tfcompress.techniques import Cluster, Prune, QuantizeAware
    from tfcompress.training import Fit

    made = {}

    def get(flavour: str, what: str) -> Artifact:
        if (flavour, what) not in made:
            keras = importlib.import_module(flavour)
            keras.utils.set_random_seed(0)
            layers = keras.layers
            model = keras.Sequential(
                [
                    layers.Input((8, 8, 1)),
                    layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
                    layers.Conv2D(48, 3, padding="same", activation="relu", name="conv2"),
                    layers.MaxPooling2D(name="pool"),
                    layers.Flatten(name="flat"),
                    layers.Dense(64, activation="relu", name="dense1"),
                    layers.Dense(10, activation="softmax", name="out"),
                ]
            )
            model.compile("adam", "sparse_categorical_crossentropy")
            first = {"clusters": Cluster(16), "sparsity": Prune(0.8)}[what]
            fit = Fit(digits[0][:200], digits[1][:200], epochs=1)
            recipe = tfc.Recipe([first, QuantizeAware(preserve=what)], Packed(prefer="size"))
            made[flavour, what] = tfc.compress(model, recipe, fit=fit, seed=0)
        return made[flavour, what]

    return get


WHATS = {"clusters": "once", "sparsity": "bitmask"}


@pytest.mark.parametrize(("what", "encoding"), WHATS.items())
def test_an_int8_network_is_packed_and_stays_bit_identical(
    keras_flavour: str,
    what: str,
    encoding: str,
    quantization_aware: Callable[[str, str], Artifact],
    digits: tuple[Array, ...],
) -> None:
    artifact = quantization_aware(keras_flavour, what)
    dense = tfc.convert(artifact.model, "int8", samples=digits[0][:100])
    held = {layer.name.removeprefix("quant_"): layer for layer in packed_layers(artifact.data)}
    plain = {layer.name.removeprefix("quant_"): layer for layer in packed_layers(dense.data)}
    assert {name: layer.encoding for name, layer in held.items()} == {
        **{"conv1": "int8", "conv2": encoding, "dense1": encoding, "out": "int8"},
    }
    for name, layer in held.items():
        np.testing.assert_array_equal(layer.weights(), plain[name].weights())
    assert artifact.size_bytes < 0.62 * dense.size_bytes
    x = digits[2][:64]
    dense_file = _packed._plain_file(artifact.model)
    wanted, got = (
        open_interpreter(data, runtime="litert", delegates=False).predict([x])[0]
        for data in (dense_file, artifact.data)
    )
    np.testing.assert_array_equal(got, wanted)
    fast = open_interpreter(artifact.data, runtime="litert").predict([x])[0]
    assert (
        np.abs(fast - wanted).max() <= 4 / 256
    )  # XNNPACK rounds some int8 operators the other way


def test_speed_leaves_an_int8_network_to_xnnpack(
    quantization_aware: Callable[[str, str], Artifact],
) -> None:
    artifact = quantization_aware("keras", "clusters")
    quick = tfc.convert(artifact.model, Packed())
    assert {layer.encoding for layer in packed_layers(quick.data)} == {"int8"}
    old = tfc.convert(artifact.model, Packed(runtime="tflite_runtime"))
    assert {
        layer.name.removeprefix("quant_"): layer.encoding for layer in packed_layers(old.data)
    } == {
        **{"conv1": "int8", "conv2": "once", "dense1": "folded", "out": "int8"},
    }


def test_packed_int8_networks_run_on_tflite_runtime(
    quantization_aware: Callable[[str, str], Artifact], digits: tuple[Array, ...], edge: Edge
) -> None:
    x = digits[2][:1]
    files = {
        what: tfc.convert(
            quantization_aware("keras", what).model, Packed(prefer="size", runtime="any")
        ).data
        for what in WHATS
    }
    results = edge({what: (data, x) for what, data in files.items()})
    for what, data in files.items():
        wanted = open_interpreter(data, runtime="litert", delegates=False).predict([x])[0]
        for got in results[what]:
            assert np.abs(got - wanted).max() <= 4 / 256
