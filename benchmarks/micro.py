"""Trained networks packed for microcontrollers: QuantNET in 1 and 2 bits, ResNet-8 in 16 clusters.

    python benchmarks/micro.py [--shared ../shared] [--out studies/micro] [--seeds 3]

Source: `../shared/data/cifar10.npz` and MLPerf Tiny's pretrained ResNet-8 beside it. QuantNET tells
cats from dogs; conv1 stays as it is, conv2 gets 1 bit, linear1 and linear2 get 2. ResNet-8's
kernels get 16 values each. The first seed is trained at every learning rate of `RATES`; the best on
its validation images is that of all seeds. Every (network, seed, rate) is a line of trained.jsonl
in the output folder, with its model beside it: run again, and only what is missing is trained. Then
each network is written as int8 and packed for TensorFlow Lite for Microcontrollers, both files
answer every test image on its interpreter (the first N with --images N), and docs/results/micro.md
is written; --table writes it of what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress._backend.interpreter._micro_run import run_micro
from tfcompress.core._types import Array, Model
from tfcompress.targets import Int8, Packed
from tfcompress.techniques import Cluster, MixedPrecision
from tfcompress.training import Fit

ROOT = Path(__file__).resolve().parents[1]
RATES = {"quantnet": (1e-3, 3e-4), "resnet8": (1e-3, 3e-4)}
BITS = {"conv2": 1, "linear1": 2, "linear2": 2}
NAMES = {"quantnet": "QuantNET full/1/2/2 bits", "resnet8": "ResNet-8, 16 clusters"}
BUDGETS = {"quantnet": 85_000, "resnet8": None}
CLAIMS = {
    "quantnet": {"flash": 155_000, "arena": 85_000},
    "resnet8": {"flash": 72_000, "accuracy": 86.5},
}
"""What was asked: bytes at most, per cent at least."""
CALIBRATION = 500
VIEWS, SHIFT = 2, 4


@dataclass(frozen=True)
class Case:
    """One network's data and where its files are."""

    name: str
    seed: int
    shared: Path
    out: Path

    def data(self) -> zoo.Data:
        """CIFAR-10's cats and dogs in 0..1, or all ten classes in 0..255."""
        folder = self.shared / "data"
        if self.name == "quantnet":
            return zoo.load_data("cifar10", folder, classes=("cat", "dog"), seed=self.seed)
        return zoo.load_data("cifar10", folder, scale=1, seed=self.seed)

    def path(self, rate: float) -> Path:
        """The trained model."""
        return self.out / f"{self.name}-seed{self.seed}-rate{rate:g}.keras"

    def train(self, rate: float, data: zoo.Data) -> tfc.Artifact:
        """The trained network as an int8 file."""
        if self.name == "quantnet":
            made = MixedPrecision(BITS)
            fit = _fit(data, rate, epochs=8, early_stopping=2, seed=self.seed)
            model = self._quantnet(data)
        else:
            made = Cluster(16)
            x, y = _views(data.x_train, data.y_train, self.seed)
            steps = -(-len(x) // 64)
            fit = _fit(data, _cosine(rate, steps), epochs=1, seed=self.seed, x=x, y=y)
            model = tfc.load_model(self.shared / "models" / "mlperf_tiny_resnet8_cifar10.h5")
        samples = data.x_train[:CALIBRATION]
        recipe = tfc.Recipe([made], Int8(), name=f"{self.name}-int8")
        return tfc.compress(model, recipe, fit=fit, samples=samples, seed=self.seed)

    def _quantnet(self, data: zoo.Data) -> Model:
        """QuantNET in full precision, trained as the thesis says."""
        import keras

        path = self.out / f"quantnet-seed{self.seed}-base.keras"
        if path.exists():
            return tfc.load_model(path)
        keras.utils.set_random_seed(self.seed)
        model = zoo.quantnet(compile=True)
        _fit(data, 1e-3, epochs=100, early_stopping=5, seed=self.seed)(model)
        model.save(path)
        return model


def _fit(data: zoo.Data, rate, *, x: Array | None = None, y: Array | None = None, **options) -> Fit:
    """Adam on the data's training images, or on `x` and `y`, watched on the validation images."""
    import keras

    binary = int(data.y_train.max()) == 1
    return Fit(
        data.x_train if x is None else x,
        data.y_train if y is None else y,
        batch_size=64,
        validation_data=(data.x_val, data.y_val),
        optimizer=keras.optimizers.Adam(rate),
        loss="binary_crossentropy" if binary else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **options,
    )


def _cosine(rate: float, steps: int):
    import keras

    return keras.optimizers.schedules.CosineDecay(rate, steps)


def _views(x: Array, y: Array, seed: int) -> tuple[Array, Array]:
    """`VIEWS` of every image, each moved by up to `SHIFT` pixels, half of them mirrored."""
    rng = np.random.default_rng(seed)
    margin = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
    wide = np.pad(x.astype(np.uint8), margin, mode="reflect")
    views: list[Array] = []
    height, width = x.shape[1:3]
    for _ in range(VIEWS):
        view = np.empty(x.shape, np.uint8)
        moves = rng.integers(0, 2 * SHIFT + 1, (len(x), 2))
        for place, (down, right) in enumerate(moves):
            view[place] = wide[place, down : down + height, right : right + width]
        mirrored = rng.random(len(x)) < 0.5
        view[mirrored] = view[mirrored, :, ::-1]
        views.append(view)
    return np.concatenate(views), np.tile(y, VIEWS)


def rates_of(case: Case, log: Path) -> tuple[float, ...]:
    """The learning rates to train at: all of them, or the best of the first seed."""
    return RATES[case.name] if case.seed == 0 else (best_rate(case.name, log),)


def best_rate(name: str, log: Path) -> float:
    """The learning rate with the highest accuracy on the first seed's validation images."""
    lines = [line for line in read(log) if line["key"][:2] == [name, 0]]
    return max(lines, key=lambda line: line["validation"])["key"][2]


def train_all(cases: list[Case], log: Path) -> None:
    """Every (network, seed, rate) that has no line yet."""
    for case in cases:
        done = [tuple(line["key"]) for line in read(log)]
        keys = [(case.name, case.seed, rate) for rate in rates_of(case, log)]
        missing = [key for key in keys if key not in done]
        if not missing:
            continue
        data = case.data()
        for key in missing:
            rate = key[2]
            start = time.perf_counter()
            artifact = case.train(rate, data)
            assert artifact.model is not None
            artifact.model.save(case.path(rate))
            case.path(rate).with_suffix(".tflite").write_bytes(artifact.data)
            validation = tfc.evaluate(artifact, data.x_val, data.y_val)
            seconds = round(time.perf_counter() - start, 1)
            line = {"key": key, "validation": validation, "seconds": seconds}
            print(json.dumps(line), flush=True)
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")


def pack(case: Case, rate: float, log: Path, images: int | None) -> None:
    """Write the network as int8 and packed, and let both answer the first test images."""
    if any(line["key"] == [case.name, case.seed, rate] for line in read(log)):
        return
    data, model = case.data(), tfc.load_model(case.path(rate))
    samples = data.x_train[:CALIBRATION]
    target = Packed(runtime="micro", max_arena_bytes=BUDGETS[case.name])
    files = {
        "int8": tfc.convert(model, Int8(), samples),
        "micro": tfc.convert(model, target, samples),
    }
    x, y = data.x_test[:images], data.y_test[:images]
    runs = {name: run_micro(file.data, [x], timeout=7200) for name, file in files.items()}
    line: dict = {"key": [case.name, case.seed, rate]}
    line["host_accuracy"] = tfc.evaluate(files["int8"], data.x_test, data.y_test)
    for name, run in runs.items():
        line[name] = {
            "flash": files[name].size_bytes,
            "arena": run.arena.total_bytes,
            "accuracy": _accuracy(run.outputs[0], y),
        }
    first, second = (run.outputs[0] for run in runs.values())
    line["images"] = len(first)
    line["equal"] = int((first == second).reshape(len(first), -1).all(axis=1).sum())
    line["layers"] = [str(layer) for layer in tfc.packed_layers(files["micro"].data)]
    print(json.dumps(line), flush=True)
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _accuracy(outputs: Array, labels: Array) -> float:
    """Share of the images whose class is right."""
    decided = outputs.argmax(1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
    return float(np.mean(decided == labels))


def page(lines: list[dict]) -> str:
    """docs/results/micro.md."""
    text = [
        "# Packed for microcontrollers",
        "",
        "`python benchmarks/micro.py`: trained networks as int8 files and packed by",
        '`Packed(runtime="micro")`, both run in TensorFlow Lite for Microcontrollers (the wheel',
        f"`tflite-micro` {version('tflite-micro')}, whose arena has pointers of 8 bytes).",
        "Accuracy in LiteRT is of the int8 file on every test image; then both files answer the"
        " images that are counted.",
        "",
        "QuantNET, cat vs dog of CIFAR-10: conv1 as it is, conv2 in 1 bit, linear1 and linear2 in 2"
        " bits (`MixedPrecision`, at most 8 epochs of 8,400 images). ResNet-8: MLPerf Tiny's",
        f"pretrained network in 16 clusters (`Cluster(16)`, {VIEWS} views of each of 45,000"
        " training images). It was pretrained on CIFAR-10's",
        "training images, those that validate here too. Learning rates were chosen on the"
        " validation images of the first seed.",
        "",
        "| network | seed | int8: flash | arena | accuracy % in LiteRT | packed: flash | arena |"
        " outputs equal | accuracy % of these |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    text += [_row(line) for line in lines]
    for name in RATES:
        mine = [line for line in lines if line["key"][0] == name]
        text += ["", *_claims(name, mine)] if mine else []
    for name in RATES:
        first = next((line for line in lines if line["key"][:2] == [name, 0]), None)
        if first is not None:
            text += ["", f"What the packed {NAMES[name]} of seed 0 holds:", "", "```"]
            text += [layer.rstrip() for layer in first["layers"]] + ["```"]
    return "\n".join(text) + "\n"


def _row(line: dict) -> str:
    cells = [NAMES[line["key"][0]], str(line["key"][1])]
    for name in ("int8", "micro"):
        cells += [f"{line[name]['flash']:,}", f"{line[name]['arena']:,}"]
    cells.insert(4, f"{100 * line['host_accuracy']:.2f}")
    cells.append(f"{line['equal']:,} of {line['images']:,}")
    return "| " + " | ".join([*cells, f"{100 * line['micro']['accuracy']:.2f}"]) + " |"


def _claims(name: str, lines: list[dict]) -> list[str]:
    """What was asked of a network, and whether every seed's file holds it."""
    claims = []
    for what, limit in CLAIMS[name].items():
        is_share = what == "accuracy"
        values = [
            100 * line["host_accuracy"] if is_share else line["micro"][what] for line in lines
        ]
        worst = min(values) if is_share else max(values)
        holds = worst >= limit if is_share else worst <= limit
        relation = "at least" if is_share else "at most"
        verdict = "holds" if holds else "**missed**"
        claims.append(
            f"{what} {relation} {limit:,}: {verdict} (worst of {len(lines)}: {round(worst, 2):,})"
        )
    equal = all(line["equal"] == line["images"] for line in lines)
    claims.append(f"outputs bit for bit the int8 file's: {'holds' if equal else '**missed**'}")
    return [f"{NAMES[name]}:", "", *(f"- {claim}" for claim in claims)]


def read(log: Path) -> list[dict]:
    """The lines of a .jsonl file."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines()]


def _order(line: dict) -> tuple[int, int]:
    return list(RATES).index(line["key"][0]), line["key"][1]


def main() -> None:
    """Train and pack what is missing, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path, default=ROOT / "studies" / "micro")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", type=Path, default=ROOT / "docs" / "results" / "micro.md")
    parser.add_argument("--networks", nargs="+", default=list(RATES), choices=list(RATES))
    parser.add_argument("--images", type=int, help="of the test set (default: all)")
    parser.add_argument("--table", action="store_true", help="write the page, run nothing")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cases = [
        Case(name, seed, args.shared, args.out)
        for seed in range(args.seeds)
        for name in args.networks
    ]
    trained, packed = args.out / "trained.jsonl", args.out / "packed.jsonl"
    if not args.table:
        train_all(cases, trained)
    for case in [] if args.table else cases:
        pack(case, best_rate(case.name, trained), packed, args.images)
    wanted = [[case.name, case.seed, best_rate(case.name, trained)] for case in cases]
    lines = sorted((line for line in read(packed) if line["key"] in wanted), key=_order)
    args.markdown.write_text(page(lines))


if __name__ == "__main__":
    main()
