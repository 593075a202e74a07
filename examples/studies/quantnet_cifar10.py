"""QuantNET on CIFAR-10 cat vs dog: the rows of the thesis' tables 4.2, 4.4 and 4.5, printed beside
what is measured here.

    python examples/studies/quantnet_cifar10.py --seeds 3 \\
        --data folder/with/cifar10.npz --out quantnet/

Every (row, seed) is one line of rows.jsonl in the output folder; run again and only what is missing
or failed is done. Sizes are MiB (2^20 bytes). Accuracies are of the .tflite files on the 2,400 test
images.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.targets import Int8
from tfcompress.techniques import Cluster, QuantizeAware
from tfcompress.training import Fit

# stage → the stage it starts from and the technique it trains (None: the same training without one,
# the control)
STAGES = {
    "trained on": ("base", None),
    "qat": ("base", QuantizeAware()),
    "cluster16": ("base", Cluster(16)),
    "cluster16-qatplain": ("cluster16", QuantizeAware()),
    "cluster16-qat": ("cluster16", QuantizeAware(preserve="clusters")),
}
# row → stage, target, printed accuracy in per cent, printed MiB (tables 4.4 and 4.5: after gzip)
FLAT = {
    "base": ("base", "float32", 66.00, 2.0852),
    "int8": ("base", "int8", 63.70, 0.5271),
    "dynamic": ("base", "dynamic", 64.55, 0.5282),
    "float16": ("base", "float16", 64.65, 1.0453),
    "int16x8": ("base", "int16x8", 64.80, 0.5292),
    "QAT": ("qat", "float32", 65.90, 4.1784),
    "PTQ on QAT": ("qat", "int8", 65.80, 0.5278),
    "base, trained on as long": ("trained on", "float32", None, 2.0852),
}
CLUSTERED = {
    "cluster16": ("cluster16", "float32", 65.30, 0.2562),
    "cluster16 int8": ("cluster16", "int8", 63.30, 0.1920),
    "cluster16 dynamic": ("cluster16", "dynamic", 63.80, 0.1921),
    "cluster16 float16": ("cluster16", "float16", 64.40, 0.2153),
    "cluster16 int16x8": ("cluster16", "int16x8", 64.90, 0.1922),
    "cluster16 QAT": ("cluster16-qatplain", "float32", 65.75, 1.6755),
    "cluster16 PTQ on QAT": ("cluster16-qatplain", "int8", 65.60, 0.1922),
    "cluster16 cluster-preserving QAT int8": ("cluster16-qat", "int8", 65.85, 0.2394),
}
KERNELS = ("conv1", "conv2", "linear1", "linear2", "output")


class Seed:
    """All models of one seed, each trained when a row first asks for it."""

    def __init__(self, seed: int, data: zoo.Data, out: Path, epochs: int):
        self.seed, self.data, self.out = seed, data, out
        self.samples = data.x_train[:200]
        self.made: dict[str, tuple] = {}
        self.fit = Fit(
            data.x_train,
            data.y_train,
            epochs=epochs,
            batch_size=64,
            validation_data=(data.x_val, data.y_val),
            optimizer=_adam(1e-4),
            loss="binary_crossentropy",
            metrics=["accuracy"],
            seed=seed,
        )

    def base(self):
        """QuantNET trained as the thesis says: Adam 1e-3, batch 64, at most 100 epochs, stopped
        early; kept in a file."""
        path = self.out / f"base-seed{self.seed}.keras"
        if path.exists():
            return tfc.load_model(path)
        data = self.data
        _seed_weights(self.seed)
        model = zoo.quantnet(compile=True)
        options = {
            "batch_size": 64,
            "validation_data": (data.x_val, data.y_val),
            "early_stopping": 5,
            "seed": self.seed,
        }
        Fit(data.x_train, data.y_train, epochs=100, **options)(model)
        model.save(path)
        return model

    def stage(self, name: str) -> tuple:
        """(model, its int8 artifact or None) after that stage."""
        if name not in self.made:
            before, technique = STAGES.get(name, ("", None))
            if technique is None:
                model = self.base()
                if before:
                    self.fit(model)
                self.made[name] = model, None
            else:
                recipe = tfc.Recipe([technique], Int8(), name=f"{name}-int8")
                artifact = tfc.compress(
                    self.stage(before)[0],
                    recipe,
                    fit=self.fit,
                    samples=self.samples,
                    seed=self.seed,
                )
                self.made[name] = artifact.model, artifact
        return self.made[name]

    def row(self, stage: str, target: str) -> tfc.Artifact:
        """The file of that stage and target."""
        model, artifact = self.stage(stage)
        return (
            artifact
            if artifact is not None and target == "int8"
            else tfc.convert(model, target, samples=self.samples)
        )


def _adam(rate: float):
    import keras

    return keras.optimizers.Adam(rate)


def _seed_weights(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def unique_weights(data: bytes) -> dict[str, int]:
    """Number of different values in every kernel as the file stores it (before the file's own
    QUANTIZE and DEQUANTIZE)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=data,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    ops = interpreter._get_ops_details()
    source = {int(op["outputs"][0]): int(op["inputs"][0]) for op in ops}
    found = {}
    for layer, op in zip(
        KERNELS, [op for op in ops if op["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    ):
        kernel = int(op["inputs"][1])
        while kernel in source:
            kernel = source[kernel]
        # As float64: NumPy 2.4 sorts float16 wrongly on processors with AVX-512.
        found[layer] = len(np.unique(interpreter.get_tensor(kernel).astype("float64")))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, 0, 1, …")
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with cifar10.npz (default: TFCOMPRESS_DATA, else Keras downloads it)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("quantnet"), help="where models, files and rows.jsonl go"
    )
    parser.add_argument("--epochs", type=int, default=3, help="epochs of every fine-tuning")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "rows.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = [line for line in done if "error" not in line]
    known = {(line["row"], line["seed"]) for line in done}
    for number in range(args.seeds):
        missing = {
            name: row for name, row in {**FLAT, **CLUSTERED}.items() if (name, number) not in known
        }
        if not missing:
            continue
        data = zoo.load_data("cifar10", args.data, classes=("cat", "dog"), seed=number)
        seed = Seed(number, data, args.out, args.epochs)
        for name, (stage, target, *_) in missing.items():
            start = time.perf_counter()
            line: dict = {"row": name, "seed": number}
            try:
                artifact = seed.row(stage, target)
                (args.out / f"{name.replace(' ', '-')}-seed{number}.tflite").write_bytes(
                    artifact.data
                )
                line |= {
                    "accuracy": 100 * tfc.evaluate(artifact, data.x_test, data.y_test),
                    "unique": unique_weights(artifact.data),
                }
                line |= {
                    "size_bytes": artifact.size_bytes,
                    "gzip_bytes": len(gzip.compress(artifact.data, 9, mtime=0)),
                }
            except tfc.TfcompressError as error:
                line["error"] = str(error).splitlines()[0]
            line["seconds"] = round(time.perf_counter() - start, 1)
            print(json.dumps(line), flush=True)
            done.append(line)
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
    for title, rows, gzipped in (
        ("Table 4.2", FLAT, False),
        ("Tables 4.4 and 4.5 (sizes after gzip)", CLUSTERED, True),
    ):
        print(f"\n{title}, {args.seeds} seeds\n\n{table(done, rows, gzipped, args.seeds)}")


def table(lines: list[dict], rows: dict, gzipped: bool, seeds: int) -> str:
    """The rows as Markdown: what is printed, ours as mean ± standard deviation, sizes, unique
    weights (largest over seeds)."""
    out = [
        "| row | printed % | here % | printed MiB | file MiB | gzip MiB | size / printed | unique "
        "weights per kernel |"
    ]
    out.append("|---|--:|--:|--:|--:|--:|--:|---|")
    for name, (_, _, printed, size) in rows.items():
        accuracy = "" if printed is None else f"{printed:.2f}"
        mine = [line for line in lines if line["row"] == name and line["seed"] < seeds]
        good = [line for line in mine if "error" not in line]
        if not good:
            out.append(
                f"| {name} | {accuracy} | {mine[0]['error'] if mine else 'not run'} | {size:.4f} "
                "| | | | |"
            )
            continue
        accuracies = [line["accuracy"] for line in good]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(good) > 1 else ""
        file, zipped = (
            statistics.fmean(line[key] for line in good) / 2**20
            for key in ("size_bytes", "gzip_bytes")
        )
        unique = ", ".join(
            f"{max(line['unique'].get(layer, 0) for line in good):,}" for layer in KERNELS
        )
        ratio = (zipped if gzipped else file) / size
        cells = [
            name,
            accuracy,
            f"{statistics.fmean(accuracies):.2f}{spread}",
            f"{size:.4f}",
            f"{file:.4f}",
            f"{zipped:.4f}",
        ]
        out.append("| " + " | ".join([*cells, f"{ratio:.3f}", unique]) + " |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
