"""Models of keras.applications × techniques × targets: pass, partly (what was left alone) or
refused (the message).

    python benchmarks/model_matrix.py --out benchmarks/results/model_matrix.jsonl \\
        [--models MobileNet,VGG16] [--techniques none,qat]
    python benchmarks/model_matrix.py --out benchmarks/results/model_matrix.jsonl --table

Every (model, technique) runs in a process of its own and adds its cells to the file, so that a
killed run goes on where it was. Beside it stands what stock TFMOT does with the same architecture:
given the Keras 3 model, and its tf_keras twin.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

MODELS = {  # the smallest input each architecture takes, which keeps its graph whole
    "MobileNet": 32,
    "VGG16": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "EfficientNetB0": 32,
    "DenseNet121": 32,
    "Xception": 71,
    "InceptionV3": 75,
    "ConvNeXtTiny": 32,
}
TECHNIQUES = ("none", "qat", "prune", "cluster", "pcqat")
TARGETS = ("int8", "float32", "dynamic", "float16", "int16x8")
STOCK = ("stock tf_keras", "stock Keras 3")


def build(kit, name: str):
    """The architecture with random weights and 10 classes, compiled."""
    size = MODELS[name]
    options = {"minimalistic": False} if name == "MobileNetV3Small" else {}
    model = getattr(kit.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, **options
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def techniques(name: str) -> list:
    """The techniques of a row, in order; linear centroids, because k-means on millions of weights
    takes minutes."""
    from tfcompress.techniques import Cluster, Prune, QuantizeAware

    return {
        "none": [],
        "prune": [Prune(0.5)],
        "cluster": [Cluster(16, init="linear")],
        "qat": [QuantizeAware()],
        "pcqat": [
            Prune(0.5),
            Cluster(16, init="linear", keep_zeros=True),
            QuantizeAware(preserve="both"),
        ],
    }[name]


def ours(name: str, technique: str, write) -> None:
    """One technique (one training step) on one model, then every target."""
    import keras
    import numpy as np

    import tfcompress as tfc
    from tfcompress.training import Fit

    model = build(keras, name)
    rng = np.random.default_rng(0)
    x = rng.random((8, *model.input_shape[1:]), dtype=np.float32) * (
        255 if name.startswith(("EfficientNet", "MobileNetV3", "ConvNeXt")) else 1
    )
    fit = Fit(x, rng.integers(0, 10, 8), epochs=1, batch_size=8)
    work, skipped, start = model, [], time.perf_counter()
    try:
        for member in techniques(technique):
            skipped += member.skips(work)
            wrapped = member.apply(work)
            fit(wrapped, member.callbacks())
            stripped = member.strip(wrapped)
            member.check(work, stripped)
            work = stripped
    except Exception as error:  # the table is of what happens, whatever it is
        for target in TARGETS:
            write(
                target, "refused", f"{type(error).__name__}: {error}", time.perf_counter() - start
            )
        return
    spent = time.perf_counter() - start
    for target in TARGETS:
        start = time.perf_counter()
        try:
            artifact = tfc.convert(work, target, samples=x)
            left = [*skipped, *artifact.skipped]
            write(
                target,
                "partly" if left else "pass",
                reasons(left),
                spent + time.perf_counter() - start,
                artifact.size_bytes,
            )
        except Exception as error:
            write(
                target,
                "refused",
                f"{type(error).__name__}: {error}",
                spent + time.perf_counter() - start,
            )


def reasons(skipped: list) -> str:
    """What was left alone, grouped: '17 × BatchNormalization: not after a convolution'."""
    counts: dict[str, int] = {}
    for item in skipped:
        counts[f"{item.kind}: {item.reason}"] = counts.get(f"{item.kind}: {item.reason}", 0) + 1
    return "; ".join(f"{count} × {what}" for what, count in counts.items())


def stock(name: str, technique: str, write) -> None:
    """TFMOT's whole-model call on the tf_keras twin and on the Keras 3 model itself; nothing is
    trained or converted."""
    import os

    import keras
    import tensorflow as tf
    import tf_keras

    tf.keras  # noqa: B018  (resolved before TFMOT changes what it means)
    import tensorflow_model_optimization as tfmot

    os.environ.pop("TF_USE_LEGACY_KERAS", None)
    wraps = {
        "prune": lambda m: tfmot.sparsity.keras.prune_low_magnitude(
            m, tfmot.sparsity.keras.ConstantSparsity(0.5, 0)
        ),
        "cluster": lambda m: tfmot.clustering.keras.cluster_weights(
            m, 16, tfmot.clustering.keras.CentroidInitialization.LINEAR
        ),
        "qat": tfmot.quantization.keras.quantize_model,
    }
    for kit, column in ((tf_keras, STOCK[0]), (keras, STOCK[1])):
        start = time.perf_counter()
        if technique not in wraps:
            why = (
                "4 to 6 minutes a model (benchmarks/overhead.py --tfmot-collab)"
                if technique == "pcqat"
                else "nothing of TFMOT's in it"
            )
            write(column, "not run", why, 0.0)
            continue
        try:
            wraps[technique](build(kit, name))
            write(column, "pass", "", time.perf_counter() - start)
        except Exception as error:
            write(
                column, "refused", f"{type(error).__name__}: {error}", time.perf_counter() - start
            )


def child(name: str, technique: str, part: str, out: Path) -> None:
    """One (model, technique): append each cell as it is known."""

    def write(column: str, result: str, why: str, seconds: float, size: int | None = None) -> None:
        why = " ".join(why.replace(f"{Path.cwd()}/", "").split())[:400]
        cell = {
            "model": name,
            "technique": technique,
            "target": column,
            "result": result,
            "why": why,
        }
        cell |= {"seconds": round(seconds, 1), "size_bytes": size}
        with out.open("a") as file:
            file.write(json.dumps(cell) + "\n")
        print(
            f"{name:18s} {technique:8s} {column:15s} {result:8s} {seconds:7.1f} s  "
            f"{cell['why'][:150]}",
            flush=True,
        )

    (ours if part == "ours" else stock)(name, technique, write)


def read(out: Path) -> dict[tuple[str, str, str], dict]:
    """The cells so far; of a cell written twice, the last."""
    lines = out.read_text().splitlines() if out.exists() else []
    return {(c["model"], c["technique"], c["target"]): c for c in map(json.loads, lines)}


def table(out: Path) -> str:
    """The matrix in Markdown, then every reason once."""
    cells, notes = read(out), {}

    def mark(cell: dict | None) -> str:
        if cell is None:
            return "–"
        if not cell["why"] or cell["result"] == "pass":
            return cell["result"]
        return f"{cell['result']} [{notes.setdefault(cell['why'], len(notes) + 1)}]"

    columns = [*TARGETS, *STOCK]
    lines = [
        "| model | technique | " + " | ".join(columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for name in MODELS:
        for technique in TECHNIQUES:
            row = [mark(cells.get((name, technique, column))) for column in columns]
            if set(row) != {"–"}:
                lines.append(f"| {name} | {technique} | " + " | ".join(row) + " |")
    gained = sum(
        1
        for (_, technique, target), cell in cells.items()
        if target in TARGETS
        and cell["result"] != "refused"
        and cells.get((cell["model"], technique, STOCK[0]), {"result": ""})["result"] == "refused"
    )
    total = sum(1 for key in cells if key[2] in TARGETS)
    made = sum(
        1 for key, cell in cells.items() if key[2] in TARGETS and cell["result"] != "refused"
    )
    lines += [
        "",
        f"{made} of {total} cells give a checked file; {gained} of them where stock TFMOT refuses "
        "even the tf_keras twin.",
        "",
    ]
    return "\n".join(lines + [f"[{number}] {why}" for why, number in notes.items()]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/model_matrix.jsonl"))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--techniques", default=",".join(TECHNIQUES))
    parser.add_argument(
        "--table", action="store_true", help="print the matrix of what is there, run nothing"
    )
    parser.add_argument(
        "--timeout", type=int, default=1200, help="seconds a (model, technique) may take"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(*options.child, options.out)
    if options.table:
        return print(table(options.out))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for technique in options.techniques.split(","):
        for name in options.models.split(","):
            for part, columns in (("ours", TARGETS), ("stock", STOCK)):
                done = read(options.out)
                missing = [column for column in columns if (name, technique, column) not in done]
                if not missing:
                    continue
                command = [
                    sys.executable,
                    __file__,
                    "--out",
                    str(options.out),
                    "--child",
                    name,
                    technique,
                    part,
                ]
                try:
                    ended = subprocess.run(
                        command, timeout=options.timeout, stderr=subprocess.DEVNULL
                    ).returncode
                    why = f"the process ended with code {ended}"
                except subprocess.TimeoutExpired:
                    ended, why = 1, f"not finished after {options.timeout} s"
                for column in missing if ended else []:
                    if (name, technique, column) not in read(options.out):
                        cell = {
                            "model": name,
                            "technique": technique,
                            "target": column,
                            "result": "refused",
                            "why": why,
                        }
                        with options.out.open("a") as file:
                            file.write(
                                json.dumps(cell | {"seconds": None, "size_bytes": None}) + "\n"
                            )
    print(table(options.out))


if __name__ == "__main__":
    main()
