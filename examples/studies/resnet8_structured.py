"""MLPerf Tiny's pretrained ResNet-8 with fewer multiply-accumulates: what each part of structured
pruning buys on CIFAR-10.

    python examples/studies/resnet8_structured.py pretrainedResnet.h5 \\
        --data folder/with/cifar10.npz --seeds 3
    python examples/studies/resnet8_structured.py pretrainedResnet.h5 --data … --seeds 3 \\
        --epochs 2 --steps 3 --only "taylor-distil"

Filters are chosen by L1 norm (the same share of every layer), by slimming (one threshold) or by
Taylor importance (one threshold) until 70 % or 50 % of the MACs remain; what is left is fine-tuned
plainly or distilled from the unpruned network. The controls have the architecture that L1 or Taylor
importance leaves, fresh weights and the same training. Every (row, seed) is a line of the .jsonl;
run again, only what is missing is done, and the .md is written from the lines. An epoch is every
image once as it is and once mirrored; with --shift, every image twice, mirrored or not and moved at
random, anew every epoch. --epochs is the length of every training; slimming has one more of them
first. --only limits the rows to those whose method-trainer-MACs begins as a regular expression
says, such as "taylor-distil|l1-plain-50"; without it the controls of Taylor importance are left
out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.analysis import cost
from tfcompress.techniques import FineTune, PruneFilters, Slim
from tfcompress.training import Distill, Fit

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = (0.7, 0.5)
METHODS = ("l1", "slim", "taylor")
TRAINERS = ("plain", "distil")
CONTROLS = {"scratch": "l1", "scratch taylor": "taylor"}
SIZE = ("images", "epochs", "rate", "shift", "steps")
BATCH, SLIM_L1, TAYLOR_BATCHES = 64, 1e-3, 50

PARTS = {
    "weights kept (L1) instead of new ones": (("l1", "plain"), ("scratch", "plain")),
    "filters by slimming instead of L1": (("slim", "plain"), ("l1", "plain")),
    "filters by Taylor importance instead of L1": (("taylor", "plain"), ("l1", "plain")),
    "weights kept (Taylor importance) instead of new ones": (
        ("taylor", "plain"),
        ("scratch taylor", "plain"),
    ),
    "weights kept (Taylor importance) instead of new ones, both distilled": (
        ("taylor", "distil"),
        ("scratch taylor", "distil"),
    ),
    "distillation, filters by L1": (("l1", "distil"), ("l1", "plain")),
    "distillation, filters by slimming": (("slim", "distil"), ("slim", "plain")),
    "distillation, filters by Taylor importance": (("taylor", "distil"), ("taylor", "plain")),
}


def trainers(model, data, epochs: int, rate: float) -> dict:
    """Fit and Distill for all seeds, so that the teacher is asked once."""
    import keras

    steps = epochs * -(-len(data.x_train) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    options = {"epochs": epochs, "batch_size": BATCH, "optimizer": optimizer}
    loss = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    x, y = data.x_train, data.y_train
    return {"plain": Fit(x, y, **loss, **options), "distil": Distill(model, x, y, **options)}


class Seed:
    """One seed's data order and trainings; the slimmed network is trained once, when it is first
    asked for."""

    def __init__(self, model, seed: int, fits: dict):
        self.model, self.seed, self.fits, self.slimmed = model, seed, fits, None

    def train(self, kind: str, net, callbacks=()) -> None:
        import keras

        keras.utils.set_random_seed(self.seed)
        self.fits[kind](net, callbacks)

    def pruned(self, method: str, budget: float, trainer: str, steps: int):
        """The narrow network before the last fine-tuning."""
        if method == "l1":
            return PruneFilters(target_macs=budget).apply(self.model)
        if method == "taylor":
            technique = PruneFilters(
                target_macs=budget, importance="taylor", scope="global", batches=TAYLOR_BATCHES
            )
            net = self.model
            for number, step in enumerate(technique.in_steps(steps)):
                watched = step.apply(net)
                self.train(trainer if number else "plain", watched, step.callbacks())
                net = step.strip(watched)
            return net
        slim = Slim(target_macs=budget, l1=SLIM_L1)
        if self.slimmed is None:
            self.slimmed = slim.apply(self.model)
            self.train("plain", self.slimmed)
        return slim.strip(self.slimmed)


def views(data, epochs: int, shift: int):
    """The data with every image twice: as it is and mirrored. With a `shift`, two of every image
    for every epoch, each mirrored or not and moved by up to that many pixels, edges reflected, all
    of them here at once."""
    x, y = data.x_train, data.y_train
    if not shift:
        return dataclasses.replace(
            data, x_train=np.concatenate([x, x[:, :, ::-1]]), y_train=np.concatenate([y, y])
        )
    rng = np.random.default_rng(0)
    wide = np.pad(
        x.astype(np.uint8), ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect"
    )
    windows = np.lib.stride_tricks.sliding_window_view(wide, x.shape[1:3], axis=(1, 2)).transpose(
        0, 1, 2, 4, 5, 3
    )
    made = np.empty((2 * epochs, *x.shape), np.uint8)
    for view in made:
        down, right = rng.integers(0, 2 * shift + 1, (2, len(x)))
        view[:] = windows[np.arange(len(x)), down, right]
        mirrored = rng.random(len(x)) < 0.5
        view[mirrored] = view[mirrored, :, ::-1]
    return dataclasses.replace(
        data, x_train=made.reshape(-1, *x.shape[1:]), y_train=np.tile(y, 2 * epochs)
    )


def fresh(model, seed: int):
    """The same architecture with new random weights."""
    import keras

    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(model)


def accuracy(model, data) -> float:
    return float(
        np.mean(model.predict(data.x_test, batch_size=500, verbose=0).argmax(1) == data.y_test)
    )


def cells(seeds: int):
    """(seed, budget, method, trainer) of every row, all of one seed before the next."""
    for seed in range(seeds):
        for budget in BUDGETS:
            yield from (
                (seed, budget, method, trainer) for method in METHODS for trainer in TRAINERS
            )
            yield from (
                (seed, budget, control, trainer) for control in CONTROLS for trainer in TRAINERS
            )


def run(model, data, args) -> None:
    lines = read(args.out)
    size = {
        "epochs": args.epochs,
        "images": len(data.x_train),
        "rate": args.rate,
        "shift": args.shift,
        "steps": args.steps,
    }
    data = views(data, args.epochs, args.shift)
    fits = trainers(model, data, 1 if args.shift else args.epochs, args.rate)
    wanted = args.only or "l1|slim|taylor|scratch-plain"
    done = {
        (line["seed"], line["budget"], line["method"], line["trainer"])
        for line in lines
        if size.items() <= line.items()
    }
    whole, states, before = cost(model), {}, {}
    for seed, budget, method, trainer in cells(args.seeds):
        if (seed, budget, method, trainer) in done or not re.match(
            wanted, f"{method}-{trainer}-{round(100 * budget)}"
        ):
            continue
        start = time.time()
        state = states.setdefault(seed, Seed(model, seed, fits))
        key = seed, budget, method, trainer if args.steps > 1 else ""
        # Both trainers go on from the same network, unless it was trained between steps.
        if key not in before:
            narrow = state.pruned(CONTROLS.get(method, method), budget, trainer, args.steps)
            narrow = fresh(narrow, seed) if method in CONTROLS else narrow
            before[key] = narrow, accuracy(narrow, data)
        narrow, untrained = before[key]
        found = cost(narrow)
        net = FineTune().apply(narrow)
        state.train(trainer, net)
        line = {"seed": seed, "budget": budget, "method": method, "trainer": trainer, **size}
        line |= {"accuracy_before": untrained, "accuracy": accuracy(net, data)}
        line |= {
            "params": found.params,
            "macs": found.macs,
            "macs_share": found.macs / whole.macs,
            "seconds": round(time.time() - start),
        }
        args.models.mkdir(parents=True, exist_ok=True)
        name = [method.replace(" ", "-"), trainer, f"{100 * budget:.0f}", f"seed{seed}"]
        name += [f"{key}{value:g}" for key, value in size.items()]
        net.save(args.models / f"{'-'.join(name)}.keras")
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        args.markdown.write_text(table(read(args.out)))
        print(line, flush=True)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(lines: list[dict]) -> str:
    """Markdown: mean ± standard deviation over seeds."""
    out = ["# ResNet-8 (MLPerf Tiny, pretrained, 87.19 %) on CIFAR-10 with fewer filters", ""]
    out += [
        "Written by `python examples/studies/resnet8_structured.py`. Accuracy in % on the 10,000 "
        "test images, mean ± standard"
    ]
    out += [
        f"deviation over seeds; Adam with cosine decay from the rate in the table, batch {BATCH}; "
        f"slimming: λ = {SLIM_L1:g} for as"
    ]
    out += [
        f"many epochs first; Taylor: {TAYLOR_BATCHES} batches; distillation: T = 4, α = 0.9; "
        "scratch and scratch taylor: what L1"
    ]
    out += [
        "norm and Taylor importance leave, with new weights. Images × epochs: an epoch has every "
        "image twice, as it is and"
    ]
    out += [
        "mirrored, or moved: shifted at random by up to so many pixels, mirrored or not, anew "
        "every epoch. In steps: pruned"
    ]
    out += ["little by little, with an equal part of the epochs after each step.", ""]
    out += [
        "| MACs left | filters by | training | images × epochs | rate | seeds | parameters | MACs "
        "| before training | after |",
        "|--:|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    groups: dict[tuple, list[dict]] = {}
    for line in lines:
        groups.setdefault(
            (*(line[name] for name in SIZE), -line["budget"], line["method"], line["trainer"]), []
        ).append(line)
    order = {name: number for number, name in enumerate((*METHODS, *CONTROLS, *TRAINERS))}
    for key in sorted(groups, key=lambda key: (*key[:-2], order[key[-2]], order[key[-1]])):
        (*size, _, method, trainer), rows = key, groups[key]
        who = f"{method} | {trainer} | {training(size)} | {len(rows)}"
        mean = {
            name: statistics.mean(row[name] for row in rows)
            for name in ("params", "macs", "macs_share")
        }
        out.append(
            f"| {100 * mean['macs_share']:.1f} % | {who} | {mean['params']:,.0f} | "
            f"{mean['macs']:,.0f} "
            f"| {spread(rows, 'accuracy_before')} | {spread(rows, 'accuracy')} |"
        )
    out += [
        "",
        "What each part bought: points of accuracy between two rows of the same seed, mean ± "
        "standard deviation over seeds.",
        "",
    ]
    out += ["| at most | images × epochs | rate | part | points |", "|--:|--:|--:|---|--:|"]
    for size in sorted({tuple(line[name] for name in SIZE) for line in lines}):
        for budget in BUDGETS:
            found = {
                (line["method"], line["trainer"], line["seed"]): 100 * line["accuracy"]
                for line in lines
                if tuple(line[name] for name in SIZE) == size and line["budget"] == budget
            }
            for part, (one, other) in PARTS.items():
                gains = [
                    found[(*one, seed)] - found[(*other, seed)]
                    for *row, seed in found
                    if (*row,) == one and (*other, seed) in found
                ]
                if gains:
                    std = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
                    where = f"{100 * budget:.0f} % | {training(size)}"
                    out.append(f"| {where} | {part} | {statistics.mean(gains):+.2f}{std} |")
    return "\n".join(out).replace("| -", "| −") + "\n"


def training(size) -> str:
    """Cells of the table: images × epochs, with the shift and the steps, and the rate."""
    images, epochs, rate, shift, steps = size
    more = (f", moved by {shift}" if shift else "") + (f", in {steps} steps" if steps > 1 else "")
    return f"{images:,} × {epochs * steps}{more} | {rate:g}"


def spread(rows: list[dict], name: str) -> str:
    values = [100 * row[name] for row in rows]
    return f"{statistics.mean(values):.2f}" + (
        f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="the trained Keras model (.h5 or .keras), input 0..255; none: the .md only",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with cifar10.npz (default: TFCOMPRESS_DATA, else Keras downloads it)",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument(
        "--rate", type=float, default=1e-3, help="Adam's, at the start of the cosine decay"
    )
    parser.add_argument(
        "--shift", type=int, default=0, help="also move images, by up to so many pixels"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=1,
        help="Taylor importance: prune in so many steps, --epochs of training after each",
    )
    parser.add_argument(
        "--images", type=int, default=50_000, help="how many of the training images"
    )
    parser.add_argument(
        "--only",
        default="",
        help="how method-trainer-MACs begins, a regular expression: taylor-distil-50",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results" / "resnet8_structured.jsonl"
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("resnet8_structured"),
        help="folder for the trained networks",
    )
    parser.add_argument(
        "--markdown", type=Path, default=ROOT / "docs" / "results" / "resnet8_structured.md"
    )
    args = parser.parse_args()
    if args.model:
        data = zoo.load_data("cifar10", args.data, scale=1)
        data = dataclasses.replace(
            data, x_train=data.x_train[: args.images], y_train=data.y_train[: args.images]
        )
        run(tfc.load_model(args.model), data, args)
    args.markdown.parent.mkdir(parents=True, exist_ok=True)
    args.markdown.write_text(table(read(args.out)))


if __name__ == "__main__":
    main()
