"""One-layer nets with weights on known levels, every encoding written for them, and a second Python with tflite_runtime."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.targets.packing import ENCODINGS, pack
from tfcompress.targets.packing._pack import find_layers

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


def _axis_of(kind):
    """The weights' dimension of output channels."""
    return 3 if kind == "DEPTHWISE_CONV_2D" else 0


def _weights_on(levels, shape, axis=0, per_channel=False, seed=0):
    """float32 weights of `shape` on named levels, with one scale or one for each channel."""
    r = np.random.RandomState(seed)
    scale = np.float32(0.037)
    if per_channel:
        wide = [1] * len(shape)
        wide[axis] = shape[axis]
        scale = r.uniform(0.02, 0.1, wide).astype(np.float32)
    if levels == "clusters":
        return (r.normal(0, 1, 16).astype(np.float32)[r.randint(0, 16, shape)] * scale).astype(
            np.float32
        )
    if levels == "clusters and zeros":
        table = np.append(0, r.normal(0, 1, 6)).astype(np.float32)
        return (
            table[np.where(r.random_sample(shape) < 0.8, 0, r.randint(1, 7, shape))] * scale
        ).astype(np.float32)
    values = (
        r.normal(0, 30, shape)
        if levels in ("sparse", "blocks")
        else r.choice(INTEGERS.get(levels, INTEGERS["int8"]), shape)
    )
    if levels.startswith("sparse"):
        values = values * (r.random_sample(shape) < 0.1)
    if levels.startswith("blocks"):
        full = r.random_sample((shape[0], int(np.prod(shape[1:])) // 16)) < 0.2
        values = values * np.repeat(full, 16, axis=1).reshape(shape)
    return (values.astype(np.float32) * scale).astype(np.float32)


def _one_layer(kind, weights, activation=1, bias=True, size=7, seed=0):
    """A float `.tflite` of a single operator called "layer" and inputs that reach both ends of the 8-bit range exactly."""
    r = np.random.RandomState(seed)
    b = Builder()
    channels = weights.shape[_axis_of(kind)]
    options = {"fusedActivationFunction": activation}
    if kind == "FULLY_CONNECTED":
        x, y = b.tensor([1, weights.shape[1]]), b.tensor([1, channels])
    else:
        x, y = b.tensor([1, size, size, weights.shape[3]]), b.tensor([1, size, size, channels])
        options |= {
            "padding": 0,
            "strideH": 1,
            "strideW": 1,
            "dilationHFactor": 1,
            "dilationWFactor": 1,
        }
        if kind == "DEPTHWISE_CONV_2D":
            options["depthMultiplier"] = 1
    b.graph.tensors[y].name = "layer"
    inputs = [x, b.constant(weights)] + [
        b.constant(r.normal(0, 0.1, channels).astype(np.float32))
    ] * bias
    b.op(kind.split()[0], inputs if bias else [*inputs, -1], y, **options)
    b.graph.inputs, b.graph.outputs, b.graph.operators = [x], [y], b.ops
    values = r.randint(-127, 128, b.shape(x)) / 64
    values.reshape(values.shape[0], -1)[:, :2] = -127 / 64, 127 / 64
    return flatbuffer.write(b.model), values.astype(np.float32)


def _encodings_for(source, runtime):
    """Names of the encodings that fit the file's only layer."""
    layer = find_layers(flatbuffer.read(source))[0]
    return [
        encoding.name
        for encoding in ENCODINGS
        if encoding.name != "float" and encoding.fits(layer, runtime)
    ]


@pytest.fixture(scope="session")
def weights_on():
    """`weights_on(levels, shape, axis=0, per_channel=False, seed=0)`: float32 weights on named levels."""
    return _weights_on


@pytest.fixture(scope="session")
def one_layer():
    """`one_layer(kind, weights, activation=1, bias=True, size=7)` → (float `.tflite` of that operator, inputs)."""
    return _one_layer


@pytest.fixture(scope="session")
def encodings_for():
    """`encodings_for(float file, runtime)`: names of the encodings that fit its only layer."""
    return _encodings_for


@pytest.fixture(scope="session")
def every_file():
    """{(operator, levels, per channel, runtime, encoding): (float file, packed file, inputs)} for all that fit."""
    files = {}
    for kind, shape in SHAPES.items():
        for levels in KINDS_OF_LEVELS:
            if levels.startswith("blocks") and kind != "FULLY_CONNECTED":
                continue
            for per_channel in (
                (False, True) if levels in ("binary", "2-bit", "8-bit", "sparse int8") else (True,)
            ):
                source, x = _one_layer(
                    kind, _weights_on(levels, shape, _axis_of(kind), per_channel)
                )
                for runtime in ("litert", "any"):
                    for name in _encodings_for(source, runtime):
                        key = (kind, levels, per_channel, runtime, name)
                        files[key] = (
                            source,
                            pack(source, runtime=runtime, force={"layer": name}),
                            x,
                        )
    return files


_EDGE = """
import json, sys, numpy as np
import tflite_runtime.interpreter as tfl
folder = sys.argv[1]
for name in json.load(open(folder + "/names.json")):
    try:
        for place, kind in enumerate((tfl.OpResolverType.AUTO, tfl.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)):
            it = tfl.Interpreter(folder + "/" + name + ".tflite", num_threads=1, experimental_op_resolver_type=kind)
            it.allocate_tensors()
            it.set_tensor(it.get_input_details()[0]["index"], np.load(folder + "/" + name + ".npy"))
            it.invoke()
            it.invoke()
            np.save(folder + "/" + name + ".out" + str(place) + ".npy", it.get_tensor(it.get_output_details()[0]["index"]))
    except Exception as error:
        print(name, type(error).__name__, error)
"""


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    """`edge({name: (file bytes, inputs)})` → {name: [outputs, outputs without delegates]} of tflite_runtime in the Python it is told."""
    python = os.environ.get("TFCOMPRESS_EDGE_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("TFCOMPRESS_EDGE_PYTHON names no Python with tflite-runtime==2.14 and numpy<2")

    def run(files):
        folder = tmp_path_factory.mktemp("edge")
        for name, (data, x) in files.items():
            (folder / f"{name}.tflite").write_bytes(data)
            np.save(folder / f"{name}.npy", x)
        (folder / "names.json").write_text(json.dumps(list(files)))
        done = subprocess.run(
            [python, "-c", _EDGE, str(folder)], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr[-2000:]
        return {name: [np.load(folder / f"{name}.out{i}.npy") for i in (0, 1)] for name in files}

    return run
