"""Files on devices: `python benchmarks/devices.py` makes and measures what is missing, then prints
the tables; `--only arena` or `--only ethos` takes one of them.

Arena: the zoo's networks and MLPerf Tiny's ResNet-8, as int8 files of untrained weights, measured
by `Micro` and by the wheel's own printing. Ethos: MLPerf Tiny's ResNet-8 with CIFAR-10 (input
0..255), fine-tuned for one epoch of 10,000 training images a technique at `Fit`'s defaults, with
three seeds. Accuracy is of all 10,000 test images, nothing is chosen on them. Files and results are
kept in `--out`, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
MODEL = SHARED / "models" / "mlperf_tiny_resnet8_cifar10.h5"
FILE = SHARED / "models" / "mlperf_tiny_resnet8_int8.tflite"
DATA = SHARED / "data" / "cifar10.npz"
RECIPES = ("int8io", "cluster16-qat-int8io", "cluster8-qat-int8io")
SEEDS = (0, 1, 2)
TRAINED, EPOCHS, CALIBRATED = 10_000, 1, 500
ZOO = ("quantnet", "resnet", "mobilenet", "efficientnet", "student", "vgg16")
WHEEL = """
import sys
import numpy as np
from tflite_micro import runtime
opened = runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 27)
detail = opened.get_input_details(0)
opened.set_input(np.zeros(detail["shape"], detail["dtype"]), 0)
opened.invoke()
opened.print_allocations()
"""


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the JSON file holds, else what `compute` gives, which is written there."""
    if not path.exists():
        path.write_text(json.dumps(compute()) + "\n")
    return json.loads(path.read_text())


def zoo_file(name: str, out: Path) -> Path:
    """The path of a network of the zoo as an int8 file of untrained weights."""
    from tfcompress import targets, zoo

    path = out / f"{name}.tflite"
    if not path.exists():
        model = getattr(zoo, name)(keras="tf_keras")
        samples = np.random.default_rng(0).random((16, *model.input_shape[1:]), dtype=np.float32)
        path.write_bytes(targets.Int8(io="int8").convert(model, samples))
    return path


def arena(path: Path) -> dict[str, Any]:
    """The file's arena by `Micro` and by the wheel alone, and the seconds that the first took."""
    from tfcompress._backend.interpreter._micro_run import measure_arena
    from tfcompress.core import InterpreterError

    start = time.perf_counter()
    try:
        ours = measure_arena(path)
    except InterpreterError as error:
        return {"refused": str(error)}
    seconds = time.perf_counter() - start
    command = [sys.executable, "-c", WHEEL, str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    total = re.search(r"allocation total (\d+) bytes", printed)
    assert total is not None, printed
    return {
        "bytes": path.stat().st_size,
        "arena": ours.total_bytes,
        "wheel": int(total[1]),
        "head": ours.head_bytes,
        "seconds": round(seconds, 2),
    }


def train(recipe: str, seed: int, path: Path) -> dict[str, Any]:
    """The recipe's file with that seed, written to `path`, and its accuracy."""
    import tfcompress as tfc
    from tfcompress.training import Fit

    with np.load(DATA) as file:
        x, y = file["x_train"][:TRAINED], file["y_train"].reshape(-1)[:TRAINED]
        test = file["x_test"].astype("float32"), file["y_test"].reshape(-1)
    x, labels = x.astype("float32"), np.eye(10, dtype="float32")[y]
    start = time.perf_counter()
    fit = Fit(x, labels, epochs=EPOCHS, loss="categorical_crossentropy", metrics=["accuracy"])
    model = tfc.load_model(MODEL)
    artifact = tfc.compress(model, recipe, fit=fit, samples=x[:CALIBRATED], seed=seed)
    path.write_bytes(artifact.data)
    return {
        "recipe": recipe,
        "seed": seed,
        "accuracy": float(tfc.evaluate(artifact, *test)),
        "bytes": len(artifact.data),
        "seconds": round(time.perf_counter() - start, 1),
    }


def print_arenas(out: Path) -> None:
    """Train nothing; measure every network's arena and print the table."""
    print("| file | bytes | arena | of it activations | the wheel's own | seconds |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in (*ZOO, FILE.stem):

        def compute(name: str = name) -> dict[str, Any]:
            return arena(FILE if name == FILE.stem else zoo_file(name, out))

        row = kept(out / f"arena_{name}.json", compute)
        if "refused" in row:
            print(f"| {name} | {row['refused']} | | | | |", flush=True)
            continue
        assert row["arena"] == row["wheel"], row
        print(
            f"| {name} | {row['bytes']:,} | {row['arena']:,} | {row['head']:,} | {row['wheel']:,} "
            f"| {row['seconds']} |",
            flush=True,
        )


def print_ethos(out: Path, recipes: Sequence[str], seeds: Sequence[int]) -> None:
    """Train what is missing, compile all by Vela, and print the table."""
    import tfcompress as tfc
    from tfcompress.devices import EthosU

    print("| recipe | seed | accuracy | bytes | Vela: flash, KiB | SRAM, KiB | cycles |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for recipe in recipes:
        scores: list[float] = []
        for seed in seeds if "-" in recipe else seeds[:1]:
            path = out / f"{recipe}_{seed}.tflite"

            def compute(recipe: str = recipe, seed: int = seed, path: Path = path) -> Any:
                return train(recipe, seed, path)

            row = kept(path.with_suffix(".json"), compute)
            (npu,) = tfc.profile(path, on=[EthosU()])
            scores.append(row["accuracy"])
            print(
                f"| {recipe} | {seed} | {row['accuracy']:.4f} | {row['bytes']:,} | "
                f"{(npu.estimated_flash_bytes or 0) / 1024:.1f} | "
                f"{(npu.estimated_sram_bytes or 0) / 1024:.1f} | {npu.estimated_cycles:,} |",
                flush=True,
            )
        if len(scores) > 1:
            mean, spread = fmean(scores), stdev(scores)
            print(f"| {recipe} | all | {mean:.4f} ± {spread:.4f} | | | | |", flush=True)


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("devices"))
    parser.add_argument("--only", choices=("arena", "ethos"))
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.only != "ethos":
        print_arenas(given.out)
    if given.only != "arena":
        print_ethos(given.out, given.recipes, given.seeds)


if __name__ == "__main__":
    main()
