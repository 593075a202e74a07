"""ResNet-8 of MLPerf Tiny in 8, 4 and 3 bits without training and without labels: each step alone
and together, and litert-quantizer on the same float file.

    python benchmarks/without_labels.py [--shared ../shared] [--cases packed4,int8] [--out FILE]
    pip install litert-quantizer, in an environment of its own, and add
        [--litert-quantizer ENVIRONMENT/bin/python]

Ranges and weights see 500 of the 50,000 training images, drawn with seed 0 and without labels. What
is chosen is chosen on 5,000 other training images ("validation"; the network was trained on them by
its authors, so that they stand above the test images); the 10,000 test images decide nothing.
Finished rows are read back from FILE, and the run goes on behind them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfcompress as tfc
from tfcompress._backend.quiet import quiet
from tfcompress.core import Recipe, Target
from tfcompress.core._types import Array, Model
from tfcompress.targets import Float32, Int8, Packed
from tfcompress.techniques import RoundWeights

SAMPLES, VALIDATION = 500, 5000
SMALLEST = Packed(prefer="size")
OFF: dict[str, bool] = {"feedback": False, "refit": False, "correct_bias": False}


def rounded(bits: int, target: Target, *steps: str) -> Recipe:
    """RoundWeights with the named steps alone, behind it `target`."""
    options = {**OFF, **dict.fromkeys(steps, True)}
    return Recipe([RoundWeights(bits, **options)], target)


ALL = tuple(OFF)
CASES: dict[str, Recipe] = {
    "float32": Recipe([], Float32()),
    "int8, as the converter rounds": Recipe([], Int8()),
    "int8, bias correction": rounded(8, Int8(), "correct_bias"),
    "int8, error feedback": rounded(8, Int8(), "feedback"),
    "int8, all": rounded(8, Int8(), *ALL),
    "packed4, least squares": rounded(4, SMALLEST),
    "packed4, bias correction": rounded(4, SMALLEST, "correct_bias"),
    "packed4, error feedback": rounded(4, SMALLEST, "feedback"),
    "packed4, refit": rounded(4, SMALLEST, "refit"),
    "packed4, all": rounded(4, SMALLEST, *ALL),
    "packed3, all": rounded(3, SMALLEST, *ALL),
    "packed2, all": rounded(2, SMALLEST, *ALL),
}
PEER = {
    "litert-quantizer, 4-bit weights, min-max": ("weight", 4, "min_max_uniform_quantize"),
    "litert-quantizer, 4-bit weights, OCTAV": ("weight", 4, "OCTAV"),
    "litert-quantizer, 8 bits, min-max": ("static", 8, "min_max_uniform_quantize"),
    "litert-quantizer, 8 bits, OCTAV": ("static", 8, "OCTAV"),
    "litert-quantizer, 8 bits, MSE": ("static", 8, "MSE"),
}
PEER_PROGRAM = """
import sys
import numpy as np
from litert_quantizer import quantizer
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.qtyping import TFLOperationName

source, samples, out, kind, bits, key = sys.argv[1:]
algorithm = AlgorithmName(key)
work = quantizer.Quantizer(source)
if kind == "weight":
    work.add_weight_only_config(
        ".*", TFLOperationName.ALL_SUPPORTED, int(bits), algorithm_key=algorithm
    )
else:
    work.add_static_config(
        ".*", TFLOperationName.ALL_SUPPORTED, 8, int(bits), algorithm_key=algorithm
    )
images = np.load(samples)
result = None
if work.need_calibration:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(source).get_signature_list()
    name, ends = next(iter(signatures.items()))
    result = work.calibrate({name: [{ends["inputs"][0]: image[None]} for image in images]})
open(out, "wb").write(work.quantize(result).quantized_model)
"""


class Data:
    """The images: calibration without labels, validation, test."""

    def __init__(self, shared: Path):
        images = np.load(shared / "data" / "cifar10.npz")
        order = np.random.default_rng(0).permutation(len(images["x_train"]))
        chosen = order[:SAMPLES]
        other = order[40_000 : 40_000 + VALIDATION]
        self.samples: Array = images["x_train"][chosen].astype("float32")
        self.validation = (
            images["x_train"][other].astype("float32"),
            images["y_train"].reshape(-1)[other],
        )
        self.test = images["x_test"].astype("float32"), images["y_test"].reshape(-1)


def by_us(model: Model, recipe: Recipe, data: Data) -> Callable[[], bytes]:
    """What makes a recipe's file."""
    return lambda: tfc.compress(model, recipe, samples=data.samples, progress=False).data


def by_peer(python: str, model: Model, data: Data, how: tuple[str, int, str]) -> bytes:
    """litert-quantizer's file of the same float file and the same samples."""
    kind, bits, key = how
    with tempfile.TemporaryDirectory() as folder:
        source, samples, out = (Path(folder) / name for name in ("f.tflite", "x.npy", "q.tflite"))
        source.write_bytes(plain_float(model))
        np.save(samples, data.samples)
        words = [python, "-c", PEER_PROGRAM, *map(str, (source, samples, out)), kind, str(bits)]
        done = subprocess.run([*words, key], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return out.read_bytes()


def plain_float(model: Model) -> bytes:
    """The float file of TensorFlow's converter, whose tensors have unique names: the peer asks."""
    import tensorflow as tf

    with quiet():
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def measured(make: Callable[[], bytes], data: Data) -> dict[str, float]:
    """Bytes, seconds and accuracies of the file that `make` makes."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = make()
    seconds = time.perf_counter() - start
    return {
        "bytes": len(file),
        "validation": tfc.evaluate(file, *data.validation),
        "test": tfc.evaluate(file, *data.test),
        "seconds": seconds,
    }


def row(name: str, result: dict[str, float]) -> str:
    """A line of the table."""
    shares = (f"{100 * result[part]:.2f}" for part in ("validation", "test"))
    cells = (name, f"{result['bytes']:,}", *shares, f"{result['seconds']:.1f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--cases", default="", help="only those whose names begin so, by commas")
    parser.add_argument("--out", type=Path, help="JSON of the finished rows, to go on from")
    parser.add_argument("--litert-quantizer", default="", help="a Python that has it")
    options = parser.parse_args()
    done = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    model = tfc.load_model(options.shared / "models" / "mlperf_tiny_resnet8_cifar10.h5")
    data = Data(options.shared)
    makers = {name: by_us(model, recipe, data) for name, recipe in CASES.items()}
    if options.litert_quantizer:
        for name, how in PEER.items():
            makers[name] = lambda how=how: by_peer(options.litert_quantizer, model, data, how)
    print("| how | bytes | validation % | test % | seconds |\n|---|---:|---:|---:|---:|")
    for name, make in makers.items():
        if not name.startswith(tuple(options.cases.split(","))):
            continue
        if name not in done:
            done[name] = measured(make, data)
            if options.out:
                options.out.write_text(json.dumps(done, indent=2))
        print(row(name, done[name]), flush=True)


if __name__ == "__main__":
    main()
