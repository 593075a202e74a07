"""Packed files of QuantNET: bytes and latency beside the float file, all files of a runtime interleaved in one process.

    python benchmarks/packed.py [--quick] [--runtimes litert,litert-builtin,tensorflow,tflite_runtime] [--out packed.json]
    python benchmarks/packed.py --costs          each encoding on one layer: the numbers behind targets/packing/_choose.py

One thread; the median of each file's runs over rounds in which every file takes its turn. tflite_runtime is run in the Python that
TFCOMPRESS_EDGE_PYTHON names. Weights are random on the levels that training gives: sizes and times do not depend on which is where.
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
from tfcompress.targets.packing import ENCODINGS, pack, packed_layers
from tfcompress.targets.packing._pack import find_layers
from tfcompress.zoo import quantnet

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
module = {"litert": "ai_edge_litert.interpreter", "litert-builtin": "ai_edge_litert.interpreter",
          "tensorflow": "tensorflow.lite.python.interpreter", "tflite_runtime": "tflite_runtime.interpreter"}[runtime]
tfl = importlib.import_module(module)
kind = tfl.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if runtime.endswith("builtin") else tfl.OpResolverType.AUTO
opened, times, errors = {}, {}, {}
for name in json.load(open(folder + "/names.json")):
    try:
        it = tfl.Interpreter(folder + "/" + name + ".tflite", num_threads=1, experimental_op_resolver_type=kind)
        it.allocate_tensors()
        detail = it.get_input_details()[0]
        it.set_tensor(detail["index"], np.random.RandomState(0).uniform(0, 1, detail["shape"]).astype(detail["dtype"]))
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
print(json.dumps({"us": {name: 1e6 * float(np.median(t)) for name, t in times.items()}, "errors": errors}))
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
    found = ["litert"] if options.quick else ["litert", "litert-builtin", "tensorflow"]
    if not options.quick and os.environ.get("TFCOMPRESS_EDGE_PYTHON"):
        found.append("tflite_runtime")
    runtimes = options.runtimes.split(",") if options.runtimes else found
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
    """One FULLY_CONNECTED 4096 → 128 and one CONV_2D 3×3 64 → 64 on 16×16, in every encoding on weights that suit it."""
    r, files = np.random.RandomState(0), {}
    for kind, shape in (("FULLY_CONNECTED", (128, 4096)), ("CONV_2D", (64, 3, 3, 64))):
        full = np.repeat(
            r.random_sample((shape[0], int(np.prod(shape[1:])) // 16)) < 0.1, 16, axis=1
        ).reshape(shape)
        weights = {
            "binary": r.choice([-1, 1], shape),
            "2-bit": r.choice([-3, -1, 1, 3], shape),
            "8-bit": 2 * r.randint(-128, 128, shape) + 1,
            "clusters": r.normal(0, 30, 16)[r.randint(0, 16, shape)],
            "pruned": r.randint(-127, 128, shape) * (r.random_sample(shape) < 0.1),
            "pruned floats": r.normal(0, 30, shape) * (r.random_sample(shape) < 0.1),
            "blocks": r.randint(-127, 128, shape) * full,
            "float blocks": r.normal(0, 30, shape) * full,
        }
        for levels, values in weights.items():
            source = one_layer(kind, (values * np.float32(0.01)).astype(np.float32))
            files.setdefault(f"{kind} float", source)
            layer = find_layers(flatbuffer.read(source))[0]
            for runtime in ("litert", "any"):
                for encoding in (
                    e for e in ENCODINGS if e.name != "float" and e.fits(layer, runtime)
                ):
                    files[f"{kind} {encoding.name}, {levels}, {runtime}"] = pack(
                        source, runtime=runtime, force={"layer": encoding.name}
                    )
        integers = {
            "clusters": np.rint(weights["clusters"]).clip(-127, 127),
            "pruned": weights["pruned"],
        }
        for levels, values in integers.items():
            source = one_layer(kind, values.astype(np.int8))
            files.setdefault(f"{kind} of an int8 network", source)
            layer = find_layers(flatbuffer.read(source))[0]
            for encoding in (
                e for e in ENCODINGS if e.integer and e.name != "float" and e.fits(layer, "litert")
            ):
                files[f"{kind} of an int8 network {encoding.name}, {levels}"] = pack(
                    source, force={"layer": encoding.name}
                )
    return files


def one_layer(kind: str, weights: np.ndarray) -> bytes:
    """A file of a single operator with ReLU: in float32, or with int8 weights in int8."""
    b, channels = Builder(), weights.shape[0]
    dense = kind == "FULLY_CONNECTED"
    integer = weights.dtype == np.int8
    form = {"kind": "INT8", "scale": 0.1} if integer else {}
    shapes = (
        [[1, weights.shape[1]], [1, channels]]
        if dense
        else [[1, 16, 16, n] for n in (64, channels)]
    )
    x, y = (b.tensor(shape, **form) for shape in shapes)
    kernel = (
        b.tensor(weights.shape, "INT8", data=weights, scale=np.full(channels, 0.01), axis=0)
        if integer
        else b.constant(weights)
    )
    bias = (
        b.tensor(
            [channels], "INT32", data=np.zeros(channels, np.int32), scale=np.full(channels, 0.001)
        )
        if integer
        else None
    )
    bias = b.constant(np.zeros(channels, np.float32)) if bias is None else bias
    options = (
        {}
        if dense
        else {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    )
    b.graph.tensors[y].name = "layer"
    b.op(kind, [x, kernel, bias], y, 4 if integer else 1, fusedActivationFunction=1, **options)
    b.graph.inputs, b.graph.outputs, b.graph.operators = [x], [y], b.ops
    return flatbuffer.write(b.model)


def with_weights(
    data: bytes, names: list[str], change: Callable[[int, np.ndarray], np.ndarray]
) -> bytes:
    """The float file with each layer's weights changed by `change(place, weights)`."""
    model = flatbuffer.read(data)
    for place, layer in enumerate(find_layers(model, names)):
        tensor = model.subgraphs[0].tensors[layer.op.inputs[1]]
        values = np.ascontiguousarray(change(place, layer.weights), np.float32)
        model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    return flatbuffer.write(model)


def bits(*widths: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """Random symmetric levels of as many bits in each layer; 32 leaves the weights."""
    r = np.random.RandomState(0)

    def change(place, weights):
        n = 2 ** widths[place] - 1
        step = np.float32(np.abs(weights).mean() / n)
        return (
            weights
            if widths[place] == 32
            else (2 * r.randint(0, n + 1, weights.shape) - n).astype(np.float32) * step
        )

    return change


def clusters(place: int, weights: np.ndarray) -> np.ndarray:
    """16 random values."""
    r = np.random.RandomState(place)
    return r.normal(0, weights.std(), 16).astype(np.float32)[r.randint(0, 16, weights.shape)]


def pruned(width: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """90 % of the weights of the layers inside zero, the smallest blocks of `width` first."""

    def change(place, weights):
        rows = weights.reshape(-1, width if place not in (0, 4) else 1)
        size = np.abs(rows).sum(axis=1)
        keep = size > np.quantile(size, 0.9) if place not in (0, 4) else np.ones(len(size), bool)
        return (rows * keep[:, None]).reshape(weights.shape)

    return change


def timed(runtime: str, folder: str, rounds: int) -> dict:
    """{"us": {file: microseconds}, "errors": {file: message}} of a fresh process of that runtime."""
    python = (
        os.environ.get("TFCOMPRESS_EDGE_PYTHON", sys.executable)
        if runtime == "tflite_runtime"
        else sys.executable
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [python, "-c", TIMER, runtime, folder, str(rounds)],
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(
            f"{runtime} ended with code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def key(name: str) -> str:
    """A file name for a row."""
    return "".join(c if c.isalnum() else "_" for c in name)


def table(files: dict[str, bytes], measured: dict[str, dict], *, costs: bool) -> list[dict]:
    """Print and return one row a file: bytes, times smaller than float, microseconds and the ratio to float on each runtime."""
    rows = []
    print(
        "| file | bytes | float/bytes | "
        + " | ".join(f"{r} µs (× float)" for r in measured)
        + " |"
        + ("" if costs else " goal |")
    )
    print("|---" * (3 + len(measured) + (not costs)) + "|")
    for name, data in files.items():
        base = f"{name.split(' ')[0]} float" if costs else "float32"
        row = {"name": name, "size_bytes": len(data), "ratio": len(files[base]) / len(data)}
        row["layers"] = [f"{layer.name} {layer.encoding}" for layer in packed_layers(data)]
        cells = []
        for runtime, result in measured.items():
            micros, reference = result["us"].get(key(name)), result["us"].get(key(base))
            row[runtime] = (
                {"us": micros, "times_float": micros / reference}
                if micros
                else {"error": result["errors"].get(key(name))}
            )
            cells.append(
                f"{micros:.0f} ({micros / reference:.2f})"
                if micros
                else f"fails: {row[runtime]['error'][:60]}"
            )
        goal = "" if costs else f" {GOALS[name]:,} |" if name in GOALS else " |"
        print(f"| {name} | {len(data):,} | {row['ratio']:.2f} | " + " | ".join(cells) + " |" + goal)
        rows.append(row)
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
