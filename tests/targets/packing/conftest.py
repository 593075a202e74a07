"""One-layer nets on known levels, every encoding written for them, and a second runtime."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing import ENCODINGS, pack
from tfcompress.targets.packing._find import find_layers
from tfcompress.targets.packing._layer import KINDS

SHAPES = {
    "FULLY_CONNECTED": (40, 256),
    "CONV_2D": (24, 3, 3, 16),
    "CONV_2D 1x1": (24, 1, 1, 32),
    "DEPTHWISE_CONV_2D": (1, 3, 3, 32),
}
INTEGERS = {
    "binary": [-1, 1],
    "ternary": [-1, 0, 1],
    "int2": [-2, -1, 0, 1],
    "2-bit": [-3, -1, 1, 3],
    "3-bit": list(range(-7, 8, 2)),
    "4-bit": list(range(-15, 16, 2)),
    "8-bit": list(range(-255, 256, 2)),
    "int4": list(range(-8, 8)),
    "int8": list(range(-127, 128)),
}
KINDS_OF_LEVELS = [
    *(name for name in INTEGERS if name != "3-bit"),
    "clusters",
    "clusters and zeros",
    "sparse",
    "sparse int8",
    "blocks",
    "blocks int8",
]
BOTH_SCALES = ("binary", "2-bit", "8-bit", "sparse int8")
"""Levels that are tried with one scale as well as with one for each channel."""

Key = tuple[str, str, bool, str, str]
"""(operator, levels, a scale for each channel, runtime, encoding)."""
Files = dict[Key, tuple[bytes, bytes, Array]]
"""What was packed → (float file, packed file, inputs)."""


def _axis_of(kind: str) -> int:
    """The weights' dimension of output channels."""
    return 3 if kind == "DEPTHWISE_CONV_2D" else 0


def _weights_on(
    levels: str, shape: tuple[int, ...], axis: int = 0, per_channel: bool = False, seed: int = 0
) -> Array:
    """float32 weights of `shape` on named levels, with one scale or one for each channel."""
    r = np.random.RandomState(seed)
    scale = np.float32(0.037)
    if per_channel:
        wide = [1] * len(shape)
        wide[axis] = shape[axis]
        scale = r.uniform(0.02, 0.1, wide).astype(np.float32)
    if levels == "clusters":
        values = r.normal(0, 1, 16).astype(np.float32)[r.randint(0, 16, shape)]
    elif levels == "clusters and zeros":
        table = np.append(0, r.normal(0, 1, 6)).astype(np.float32)
        values = table[np.where(r.random_sample(shape) < 0.8, 0, r.randint(1, 7, shape))]
    elif levels in ("sparse", "blocks"):
        values = r.normal(0, 30, shape)
    else:
        values = r.choice(INTEGERS.get(levels, INTEGERS["int8"]), shape)
    if levels.startswith("sparse"):
        values = values * (r.random_sample(shape) < 0.1)
    if levels.startswith("blocks"):
        full = r.random_sample((shape[0], int(np.prod(shape[1:])) // 16)) < 0.2
        values = values * np.repeat(full, 16, axis=1).reshape(shape)
    return (values.astype(np.float32) * scale).astype(np.float32)


def _one_layer(
    kind: str, weights: Array, activation: int = 1, bias: bool = True, size: int = 7, seed: int = 0
) -> tuple[bytes, Array]:
    """A float `.tflite` of a single operator called "layer", and inputs for it.

    They reach both ends of the 8-bit range exactly.
    """
    r = np.random.RandomState(seed)
    builder = Builder()
    channels = weights.shape[_axis_of(kind)]
    options = {"fusedActivationFunction": activation}
    if kind == "FULLY_CONNECTED":
        shapes = [1, weights.shape[1]], [1, channels]
    else:
        shapes = [1, size, size, weights.shape[3]], [1, size, size, channels]
        ones = ("strideH", "strideW", "dilationHFactor", "dilationWFactor")
        options |= {"padding": 0, **dict.fromkeys(ones, 1)}
    if kind == "DEPTHWISE_CONV_2D":
        options["depthMultiplier"] = 1
    x, y = (builder.tensor(shape) for shape in shapes)
    builder.graph.tensors[y].name = "layer"
    weight = builder.constant(weights)
    values = r.normal(0, 0.1, channels).astype(np.float32)
    shift = builder.constant(values) if bias else -1
    builder.op(kind.split()[0], [x, weight, shift], y, **options)
    graph = builder.graph
    graph.inputs, graph.outputs, graph.operators = [x], [y], builder.ops
    inputs = r.randint(-127, 128, builder.shape(x)) / 64
    inputs.reshape(inputs.shape[0], -1)[:, :2] = -127 / 64, 127 / 64
    return flatbuffer.write(builder.model), inputs.astype(np.float32)


def _encodings_for(source: bytes, runtime: str) -> list[str]:
    """Names of the encodings that fit the file's only layer."""
    layer = find_layers(flatbuffer.read(source))[0]
    fitting = [encoding.name for encoding in ENCODINGS if encoding.fits(layer, runtime)]
    return [name for name in fitting if name != "float"]


def _codes_of(shape: tuple[int, ...], axis: int | None, values: int, seed: int) -> Array:
    """int8 codes with at most so many values in each channel, or in all."""
    rng = np.random.default_rng(seed)
    channels = 1 if axis is None else shape[axis]
    tables = rng.integers(-128, 128, (channels, values))
    places = rng.integers(0, values, (channels, int(np.prod(shape)) // channels))
    rows = np.take_along_axis(tables, places, axis=1).astype(np.int8)
    if axis is None:
        return rows.reshape(shape)
    moved = [shape[axis], *shape[:axis], *shape[axis + 1 :]]
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), 0, axis))


def _integer_net(
    kind: str,
    shape: tuple[int, ...],
    *,
    values: int = 4,
    per_channel: bool = True,
    bias: bool = True,
    seed: int = 0,
) -> tuple[bytes, Array]:
    """An int8 `.tflite` of one operator called "layer", its weights of few values, and inputs."""
    rng = np.random.default_rng(seed)
    builder = Builder()
    axis = KINDS[kind]
    channels = shape[axis]
    scale = rng.uniform(0.001, 0.01, channels if per_channel else 1).astype(np.float32)
    codes = _codes_of(shape, axis if per_channel else None, values, seed)
    ends = {"scale": np.float32(0.05), "zero_point": -3}, {"scale": 0.07, "zero_point": 4}
    spatial = [] if kind == "FULLY_CONNECTED" else [4, 4]
    inputs = shape[1] if kind == "FULLY_CONNECTED" else shape[3]
    x = builder.tensor([1, *spatial, inputs], "INT8", **ends[0])
    y = builder.tensor([1, *spatial, channels], "INT8", **ends[1])
    weight = builder.tensor(shape, "INT8", data=codes, scale=scale, axis=axis)
    shift = -1
    if bias:
        numbers = rng.integers(-900, 900, channels).astype(np.int32)
        shift = builder.tensor([channels], "INT32", data=numbers, scale=scale * np.float32(0.05))
    builder.graph.tensors[y].name = "layer"
    options = {"fusedActivationFunction": 1}
    if kind != "FULLY_CONNECTED":
        ones = ("strideH", "strideW", "dilationHFactor", "dilationWFactor")
        options |= {"padding": 0, **dict.fromkeys(ones, 1)}
    if kind == "DEPTHWISE_CONV_2D":
        options["depthMultiplier"] = 1
    builder.op(kind, [x, weight, shift], y, **options)
    graph = builder.graph
    graph.inputs, graph.outputs, graph.operators = [x], [y], builder.ops
    samples = rng.integers(-128, 128, (3, *builder.shape(x)[1:])).astype(np.int8)
    return flatbuffer.write(builder.model), samples


def _answers(data: bytes, x: Array) -> Array:
    """The outputs of the only graph, in the runtime of microcontrollers."""
    return open_interpreter(data, runtime="micro").predict([x])[0]


@pytest.fixture(scope="session")
def codes_of() -> Callable[..., Array]:
    """int8 codes of few values: (shape, axis or None, values, seed)."""
    return _codes_of


@pytest.fixture(scope="session")
def integer_net() -> Callable[..., tuple[bytes, Array]]:
    """An int8 `.tflite` of one layer and inputs: (operator, shape, values=4, per_channel=True)."""
    return _integer_net


@pytest.fixture(scope="session")
def answers() -> Callable[[bytes, Array], Array]:
    """The outputs of a file in the runtime of microcontrollers: (file, inputs)."""
    return _answers


@pytest.fixture(scope="session")
def weights_on() -> Callable[..., Array]:
    """float32 weights on named levels: (levels, shape, axis=0, per_channel=False, seed=0)."""
    return _weights_on


@pytest.fixture(scope="session")
def one_layer() -> Callable[..., tuple[bytes, Array]]:
    """A float `.tflite` and inputs: (operator, weights, activation=1, bias=True, size=7)."""
    return _one_layer


@pytest.fixture(scope="session")
def encodings_for() -> Callable[[bytes, str], list[str]]:
    """Names of the encodings that fit the only layer: (float file, runtime)."""
    return _encodings_for


@pytest.fixture(scope="session")
def every_file() -> Files:
    """Every operator on every levels for both runtimes, in all encodings that fit."""
    files = {}
    for kind, shape in SHAPES.items():
        for levels in KINDS_OF_LEVELS:
            if levels.startswith("blocks") and kind != "FULLY_CONNECTED":
                continue
            for per_channel in (False, True) if levels in BOTH_SCALES else (True,):
                weights = _weights_on(levels, shape, _axis_of(kind), per_channel)
                source, x = _one_layer(kind, weights)
                for runtime in ("litert", "any"):
                    for name in _encodings_for(source, runtime):
                        packed = pack(source, runtime=runtime, force={"layer": name})
                        files[kind, levels, per_channel, runtime, name] = source, packed, x
    return files


_EDGE = """
import json, sys, numpy as np
import tflite_runtime.interpreter as tfl
folder = sys.argv[1]
kinds = tfl.OpResolverType.AUTO, tfl.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
for name in json.load(open(folder + "/names.json")):
    path = folder + "/" + name
    try:
        for place, kind in enumerate(kinds):
            options = {"num_threads": 1, "experimental_op_resolver_type": kind}
            it = tfl.Interpreter(path + ".tflite", **options)
            it.allocate_tensors()
            it.set_tensor(it.get_input_details()[0]["index"], np.load(path + ".npy"))
            it.invoke()
            it.invoke()
            outputs = it.get_tensor(it.get_output_details()[0]["index"])
            np.save(path + ".out" + str(place) + ".npy", outputs)
    except Exception as error:
        print(name, type(error).__name__, error)
"""


@pytest.fixture(scope="session")
def edge(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[dict[str, tuple[bytes, Array]]], dict[str, list[Array]]]:
    """{name: (file, inputs)} → {name: [outputs, outputs without delegates]} of tflite_runtime.

    It runs in the Python that TFCOMPRESS_EDGE_PYTHON names.
    """
    python = os.environ.get("TFCOMPRESS_EDGE_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("TFCOMPRESS_EDGE_PYTHON names no Python with tflite-runtime==2.14 and numpy<2")

    def run(files: dict[str, tuple[bytes, Array]]) -> dict[str, list[Array]]:
        folder = tmp_path_factory.mktemp("edge")
        for name, (data, x) in files.items():
            (folder / f"{name}.tflite").write_bytes(data)
            np.save(folder / f"{name}.npy", x)
        (folder / "names.json").write_text(json.dumps(list(files)))
        command = [python, "-c", _EDGE, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr[-2000:]
        return {name: [np.load(folder / f"{name}.out{i}.npy") for i in (0, 1)] for name in files}

    return run
