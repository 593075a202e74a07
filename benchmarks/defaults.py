"""What `Fit`'s defaults do to a trained network: `python benchmarks/defaults.py` prints a table of
base and results.

MLPerf Tiny's ResNet-8 with CIFAR-10 (input 0..255), two epochs of 10,000 training images for every
technique that trains, nothing tuned, as int8 files. Each result is kept, so that an interrupted run
goes on where it was; `--kept` prints those alone. `--distill 0.9` has the whole network teach what
lost parts. `--choose` measures on training images that are not trained on here, which is where
settings are chosen; without it on the 10,000 test images.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
MODEL = SHARED / "models" / "mlperf_tiny_resnet8_cifar10.h5"
DATA = SHARED / "data" / "cifar10.npz"
RESULTS = Path(__file__).parent / "results" / "defaults.jsonl"
LOSS = "categorical_crossentropy"
# Recipe → points of accuracy that the int8 file may lose against the base.
RECIPES = {
    "qat": 1.0,
    "prune60": 2.0,
    "cluster16": 2.0,
    "filters30-finetune": 2.0,
    "prune60-cluster16-qat": 2.0,
}


def images(choose: bool) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((x, y) to train on, (x, y) to measure on): float32 0..255 and one-hot labels."""
    with np.load(DATA) as file:
        x, y = file["x_train"], file["y_train"].reshape(-1)
        measured = (file["x_test"], file["y_test"].reshape(-1))
    if choose:
        measured = (x[-5_000:], y[-5_000:])
    train = (x[:10_000].astype("float32"), np.eye(10, dtype="float32")[y[:10_000]])
    return train, (measured[0].astype("float32"), measured[1])


def measure(recipe: str, options: dict[str, Any], epochs: int, choose: bool) -> dict[str, Any]:
    """Accuracy of the recipe's int8 file, seconds, and the warnings that came."""
    import tfcompress as tfc
    from tfcompress.training import Fit

    (x, y), test = images(choose)
    model = tfc.load_model(MODEL)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        fit = Fit(x, y, epochs=epochs, loss=LOSS, metrics=["accuracy"], **options)
        artifact = tfc.compress(model, f"{recipe}-int8", fit=fit, samples=x[:500], seed=0)
    seconds = time.perf_counter() - start
    words = [str(one.message) for one in raised if "Fine-tuning" in str(one.message)]
    return {
        "recipe": recipe,
        "accuracy": float(tfc.evaluate(artifact, *test)),
        "bytes": len(artifact.data),
        "seconds": round(seconds, 1),
        "warnings": words,
    }


def base(choose: bool) -> dict[str, Any]:
    """Accuracy of the network's float32 file, and of its int8 file."""
    import tfcompress as tfc

    (x, _), test = images(choose)
    model = tfc.load_model(MODEL)
    files = {
        "accuracy": tfc.convert(model, "float32"),
        "int8": tfc.convert(model, "int8", samples=x[:500]),
    }
    return {name: float(tfc.evaluate(file, *test)) for name, file in files.items()}


def kept(name: str, compute: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
    """The line of that name in the results, else what `compute` gives, which is added to them."""
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines():
            result = json.loads(line)
            if result["name"] == name:
                return result
    if compute is None:
        raise SystemExit(f"--kept: {name} is not measured yet.")
    result = {"name": name, **compute()}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(result) + "\n")
    return result


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--kept", action="store_true", help="measure nothing, print what is there")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--learning-rate", type=float, help="in place of the default")
    parser.add_argument("--distill", type=float, help="in place of the default")
    return parser.parse_args()


def main() -> None:
    """Measure what is not measured yet and print the table."""
    given = arguments()
    place = "choose" if given.choose else "test"
    options = {"learning_rate": given.learning_rate, "distill": given.distill}
    options = {name: value for name, value in options.items() if value is not None}
    rate = "default" if given.learning_rate is None else f"{given.learning_rate:g}"
    suffix = "" if given.distill is None else f"_distill{given.distill:g}"
    start = kept(f"{place}/base", None if given.kept else lambda: base(given.choose))
    print(f"base: float32 {start['accuracy']:.4f}, its int8 {start['int8']:.4f}")
    print("| recipe | rate | accuracy | points | allowed | bytes | seconds |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for recipe in given.recipes:
        name = f"{place}/{recipe}_{rate}_{given.epochs}{suffix}"

        def compute(recipe: str = recipe) -> dict[str, Any]:
            return measure(recipe, options, given.epochs, given.choose)

        result = kept(name, None if given.kept else compute)
        points = 100 * (result["accuracy"] - start["accuracy"])
        print(
            f"| {recipe}-int8 | {rate} | {result['accuracy']:.4f} | {points:+.2f} | "
            f"{-RECIPES.get(recipe, 2.0):.1f} | {result['bytes']:,} | {result['seconds']} |",
            flush=True,
        )
        for word in result["warnings"]:
            print(f"  {word}")


if __name__ == "__main__":
    main()
