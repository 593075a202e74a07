"""Packed files of QuantNET: bytes and latency beside the float file.

    python benchmarks/packed.py [--quick] [--runtimes RUNTIMES] [--out packed.json]
    python benchmarks/packed.py --costs    each encoding on one layer: its class's `costs`

RUNTIMES are some of litert,litert-builtin,tensorflow,tflite_runtime. One thread; all files of a
runtime take turns in one process, and each file's time is the median over the rounds.
tflite_runtime is run in the Python that TFCOMPRESS_EDGE_PYTHON names. Weights are random on the
levels that training gives: sizes and times do not depend on which is where.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing import ENCODINGS, pack, packed_layers
from tfcompress.targets.packing._find import find_layers
from tfcompress.zoo import quantnet

Change = Callable[[int, Array], Array]
"""(place of a layer, weights) → other weights."""
NAMES = ("conv1", "conv2", "linear1", "linear2", "output")
GOALS = {
    "mixed 2/1 bit, speed": 162_000,
    "mixed 2/1 bit, size": 148_500,
    "binary, size": 82_000,
    "16 clusters, size": 292_000,
    "90 % pruned, size": 125_000,
    "90 % pruned in blocks, size": 82_000,
}
TIMER = """
import importlib, json, sys, time, numpy as np
runtime, folder, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
modules = {
    "litert": "ai_edge_litert.interpreter",
    "litert-builtin": "ai_edge_litert.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
}
tfl = importlib.import_module(modules[runtime])
kind = tfl.OpResolverType.AUTO
if runtime.endswith("builtin"):
    kind = tfl.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
opened, times, errors = {}, {}, {}
for name in json.load(open(folder + "/names.json")):
    try:
        path, options = folder + "/" + name + ".tflite", {"experimental_op_resolver_type": kind}
        it = tfl.Interpreter(path, num_threads=1, **options)
        it.allocate_tensors()
        detail = it.get_input_details()[0]
        x = np.random.RandomState(0).uniform(0, 1, detail["shape"])
        it.set_tensor(detail["index"], x.astype(detail["dtype"]))
        for _ in range(3):
            it.invoke()
        opened[name], times[name] = it, []
    except Exception as error:
        errors[name] = str(error).splitlines()[0][:120]
for _ in range(rounds):
    for name, it in opened.items():
        for _ in range(10):
            start = time.perf_counter()
            it.invoke()
            times[name].append(time.perf_counter() - start)
medians = {name: 1e6 * float(np.median(each)) for name, each in times.items()}
print(json.dumps({"us": medians, "errors": errors}))
"""


def main() -> int:
    """Print the tables; exit code 1 if a size goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, LiteRT only")
    parser.add_argument(
        "--costs", action="store_true", help="every encoding on one layer instead of whole networks"
    )
    parser.add_argument(
        "--runtimes", default=None, help="comma-separated; default: all that are there"
    )
    parser.add_argument("--out", type=Path, help="also write everything measured as JSON")
    options = parser.parse_args()
    available = ["litert"] if options.quick else ["litert", "litert-builtin", "tensorflow"]
    if not options.quick and os.environ.get("TFCOMPRESS_EDGE_PYTHON"):
        available.append("tflite_runtime")
    runtimes = options.runtimes.split(",") if options.runtimes else available
    files = single_layers() if options.costs else networks()
    rounds = 8 if options.quick else 60
    with tempfile.TemporaryDirectory(prefix="tfc-packed-") as folder:
        for name, data in files.items():
            (Path(folder) / f"{key(name)}.tflite").write_bytes(data)
        (Path(folder) / "names.json").write_text(json.dumps([key(name) for name in files]))
        measured = {runtime: timed(runtime, folder, rounds) for runtime in runtimes}
    rows = table(files, measured, costs=options.costs)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")
    missed = [name for name, goal in GOALS.items() if not options.costs and len(files[name]) > goal]
    for name in missed:
        print(f"MISSED: {name} has {len(files[name]):,} bytes, the goal is {GOALS[name]:,}")
    return int(bool(missed))


def networks() -> dict[str, bytes]:
    """QuantNET on the levels of each goal, packed, and its float file."""
    plain = converter.convert(quantnet(), converter.Format("packed"))
    names = [layer.name for layer in find_layers(flatbuffer.read(plain), NAMES)]
    mixed, binary = (
        with_weights(plain, names, bits(*widths))
        for widths in ((32, 1, 2, 2, 32), (32, 1, 1, 1, 32))
    )
    shared = with_weights(plain, names, clusters)
    single, blocks = (with_weights(plain, names, pruned(width)) for width in (1, 16))
    files = {"float32": plain}
    for prefer in ("speed", "size"):
        for any_word, runtime in (("", "litert"), (", any runtime", "any")):
            rest = {"prefer": prefer, "runtime": runtime, "names": names}
            files[f"mixed 2/1 bit, {prefer}{any_word}"] = pack(mixed, **rest)
            files[f"binary, {prefer}{any_word}"] = pack(binary, **rest)
            files[f"90 % pruned, {prefer}{any_word}"] = pack(single, rest="int8", **rest)
            files[f"90 % pruned in blocks, {prefer}{any_word}"] = pack(blocks, rest="int8", **rest)
            files[f"16 clusters, {prefer}{any_word}"] = pack(shared, **rest)
            files[f"16 clusters on int8, {prefer}{any_word}"] = pack(shared, rest="int8", **rest)
    files["int8 weights"] = pack(
        plain, rest="int8", names=names, force=dict.fromkeys(names, "int8")
    )
    return files


def single_layers() -> dict[str, bytes]:
    """One layer in every encoding, on weights that suit it.

    A FULLY_CONNECTED 4096 → 128 and a CONV_2D 3×3 64 → 64 on 16×16; in float and in int8.
    """
    files: dict[str, bytes] = {}
    for kind, shape in (("FULLY_CONNECTED", (128, 4096)), ("CONV_2D", (64, 3, 3, 64))):
        weights = weights_of_all_kinds(shape)
        for levels, values in weights.items():
            source = one_layer(kind, (values * np.float32(0.01)).astype(np.float32))
            files.setdefault(f"{kind} float", source)
            for runtime in ("litert", "any"):
                for name in fitting(source, runtime):
                    packed = pack(source, runtime=runtime, force={"layer": name})
                    files[f"{kind} {name}, {levels}, {runtime}"] = packed
        clustered = np.rint(weights["clusters"]).clip(-127, 127)
        for levels, values in {"clusters": clustered, "pruned": weights["pruned"]}.items():
            source = one_layer(kind, values.astype(np.int8))
            files.setdefault(f"{kind} of an int8 network", source)
            for name in fitting(source, "litert", integer=True):
                packed = pack(source, force={"layer": name})
                files[f"{kind} of an int8 network {name}, {levels}"] = packed
    return files


def weights_of_all_kinds(shape: tuple[int, ...]) -> dict[str, Array]:
    """Weights of `shape` on every kind of levels, in units of a step."""
    r = np.random.RandomState(0)
    blocks = r.random_sample((shape[0], int(np.prod(shape[1:])) // 16)) < 0.1
    full = np.repeat(blocks, 16, axis=1).reshape(shape)
    return {
        "binary": r.choice([-1, 1], shape),
        "2-bit": r.choice([-3, -1, 1, 3], shape),
        "8-bit": 2 * r.randint(-128, 128, shape) + 1,
        "clusters": r.normal(0, 30, 16)[r.randint(0, 16, shape)],
        "pruned": r.randint(-127, 128, shape) * (r.random_sample(shape) < 0.1),
        "pruned floats": r.normal(0, 30, shape) * (r.random_sample(shape) < 0.1),
        "blocks": r.randint(-127, 128, shape) * full,
        "float blocks": r.normal(0, 30, shape) * full,
    }


def fitting(source: bytes, runtime: str, integer: bool = False) -> list[str]:
    """Names of the encodings that fit the file's only layer, besides its weights as they are."""
    layer = find_layers(flatbuffer.read(source))[0]
    return [
        encoding.name
        for encoding in ENCODINGS
        if encoding.name != "float"
        and (encoding.integer or not integer)
        and encoding.fits(layer, runtime)
    ]


def one_layer(kind: str, weights: Array) -> bytes:
    """A file of a single operator with ReLU: in float32, or with int8 weights in int8."""
    builder, channels = Builder(), weights.shape[0]
    integer = weights.dtype == np.int8
    shapes = [[1, 16, 16, count] for count in (64, channels)]
    options = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    if kind == "FULLY_CONNECTED":
        shapes, options = [[1, weights.shape[1]], [1, channels]], {}
    if integer:
        x, y = (builder.tensor(shape, "INT8", scale=0.1) for shape in shapes)
        scale, zeros = np.full(channels, 0.01), np.zeros(channels, np.int32)
        kernel = builder.tensor(weights.shape, "INT8", data=weights, scale=scale, axis=0)
        bias = builder.tensor([channels], "INT32", data=zeros, scale=scale / 10)
    else:
        x, y = (builder.tensor(shape) for shape in shapes)
        kernel, bias = builder.constant(weights), builder.constant(np.zeros(channels, np.float32))
    graph = builder.graph
    graph.tensors[y].name = "layer"
    version = 4 if integer else 1
    builder.op(kind, [x, kernel, bias], y, version, fusedActivationFunction=1, **options)
    graph.inputs, graph.outputs, graph.operators = [x], [y], builder.ops
    return flatbuffer.write(builder.model)


def with_weights(data: bytes, names: list[str], change: Change) -> bytes:
    """The float file with each layer's weights changed by `change(place, weights)`."""
    model = flatbuffer.read(data)
    for place, layer in enumerate(find_layers(model, names)):
        tensor = model.subgraphs[0].tensors[layer.op.inputs[1]]
        values = np.ascontiguousarray(change(place, layer.weights), np.float32)
        model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    return flatbuffer.write(model)


def bits(*widths: int) -> Change:
    """Random symmetric levels of as many bits in each layer; 32 leaves the weights."""
    r = np.random.RandomState(0)

    def change(place: int, weights: Array) -> Array:
        if widths[place] == 32:
            return weights
        most = 2 ** widths[place] - 1
        step = np.float32(np.abs(weights).mean() / most)
        return (2 * r.randint(0, most + 1, weights.shape) - most).astype(np.float32) * step

    return change


def clusters(place: int, weights: Array) -> Array:
    """16 random values."""
    r = np.random.RandomState(place)
    return r.normal(0, weights.std(), 16).astype(np.float32)[r.randint(0, 16, weights.shape)]


def pruned(width: int) -> Change:
    """90 % of the weights of the layers inside zero, the smallest blocks of `width` first."""

    def change(place: int, weights: Array) -> Array:
        if place in (0, 4):
            return weights
        rows = weights.reshape(-1, width)
        size = np.abs(rows).sum(axis=1)
        return (rows * (size > np.quantile(size, 0.9))[:, None]).reshape(weights.shape)

    return change


def timed(runtime: str, folder: str, rounds: int) -> dict[str, dict]:
    """{"us": {file: microseconds}, "errors": {file: message}} of a fresh process."""
    python = sys.executable
    if runtime == "tflite_runtime":
        python = os.environ.get("TFCOMPRESS_EDGE_PYTHON", python)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, "-c", TIMER, runtime, folder, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise SystemExit(f"{runtime} ended with code {done.returncode}: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def key(name: str) -> str:
    """A file name for a row."""
    return "".join(c if c.isalnum() else "_" for c in name)


def table(files: dict[str, bytes], measured: dict[str, dict], *, costs: bool) -> list[dict]:
    """Print and return one row a file: bytes, how much smaller and how fast beside float."""
    heads = ["file", "bytes", "float/bytes", *(f"{runtime} µs (× float)" for runtime in measured)]
    heads += [] if costs else ["goal"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    rows = []
    for name, data in files.items():
        base = f"{name.split(' ')[0]} float" if costs else "float32"
        row = row_of(name, data, files[base], base, measured)
        cells = [name, f"{len(data):,}", f"{row['ratio']:.2f}"]
        cells += [cell(row[runtime]) for runtime in measured]
        if not costs:
            cells.append(f"{GOALS[name]:,}" if name in GOALS else "")
        print(f"| {' | '.join(cells)} |")
        rows.append(row)
    return rows


def row_of(name: str, data: bytes, plain: bytes, base: str, measured: dict[str, dict]) -> dict:
    """What was measured of one file."""
    row = {"name": name, "size_bytes": len(data), "ratio": len(plain) / len(data)}
    row["layers"] = [f"{layer.name} {layer.encoding}" for layer in packed_layers(data)]
    for runtime, result in measured.items():
        micros = result["us"].get(key(name))
        if micros:
            row[runtime] = {"us": micros, "times_float": micros / result["us"][key(base)]}
        else:
            row[runtime] = {"error": result["errors"].get(key(name))}
    return row


def cell(result: dict) -> str:
    """The text of one measurement."""
    if "error" in result:
        return f"fails: {result['error'][:60]}"
    return f"{result['us']:.0f} ({result['times_float']:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
