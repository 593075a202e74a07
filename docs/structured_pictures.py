"""The pictures of the pages on structured pruning, slimming, distillation and low rank: ResNet-8 on
real 8×8 digits.

python docs/structured_pictures.py [prune_filters slim distill low_rank]
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tfcompress import analysis, zoo
from tfcompress.techniques import LowRank, PruneFilters, Slim
from tfcompress.training import Distill, Fit

HERE = Path(__file__).parent / "pictures"
SIZE = (8.4, 3.1)
COUNTS = (50, 100, 200, 400, 800)


def trained():
    """ResNet-8 for digits and its data."""
    import keras

    data = zoo.load_data("digits")
    keras.utils.set_random_seed(0)
    model = zoo.resnet(8, input_shape=(8, 8, 1), compile=True)
    Fit(data.x_train, data.y_train, epochs=15, seed=0)(model)
    return model, data


def accuracy(model, data) -> float:
    return float(np.mean(model.predict(data.x_test, verbose=0).argmax(1) == data.y_test))


def figure(columns: int):
    """Axes side by side, and their figure."""
    from matplotlib.figure import Figure

    made = Figure(figsize=SIZE, layout="constrained")
    return made, made.subplots(1, columns)


def prune_filters(model, data) -> None:
    """Accuracy against the share of filters removed, by layer and by residual block, without
    fine-tuning."""
    made, axes = figure(2)
    for axis, by in zip(axes, ("layer", "block")):
        found = analysis.filter_sensitivity(model, (data.x_val, data.y_val), by=by)
        for name, curve in found.curves.items():
            axis.plot(
                [0, *curve],
                [found.base, *curve.values()],
                "o-",
                markersize=3,
                label=name.replace(" + ", " +\n"),
            )
        axis.set(
            xlabel=f"share of the filters of one {by} removed", ylabel="accuracy", ylim=(0, 1.02)
        )
        axis.legend(fontsize=5, frameon=False)
        print(f"{by}: suggested for 2 points", analysis.suggest_ratios(found, 0.02))
    for share in (0.7, 0.5, 0.3):
        pruned = PruneFilters(target_macs=share).apply(model)
        before = accuracy(pruned, data)
        Fit(data.x_train, data.y_train, epochs=6, seed=0)(pruned)
        print(
            f"MACs ≤ {share:.0%}: {before:.3f} before fine-tuning, {accuracy(pruned, data):.3f} "
            f"after; whole {accuracy(model, data):.3f}"
        )
    made.savefig(HERE / "prune_filters.png", dpi=110)


def slim(model, data) -> None:
    """The sorted scales after training with and without the penalty, and the threshold."""
    import keras

    made, axis = figure(1)
    for l1 in (0.0, 1e-3, 1e-2):
        technique = Slim(0.5, l1=l1)
        wrapped = technique.apply(model)
        Fit(data.x_train, data.y_train, epochs=15, optimizer=keras.optimizers.Adam(5e-3), seed=0)(
            wrapped
        )
        gammas = np.sort(
            np.concatenate(
                [
                    np.abs(v.get_weights()[0])
                    for v in wrapped.layers
                    if "BatchNorm" in type(v).__name__
                ]
            )
        )
        axis.plot(gammas, label=f"λ = {l1:g}")
        stripped = technique.strip(wrapped)
        after = accuracy(stripped, data)
        Fit(data.x_train, data.y_train, epochs=6, seed=0)(stripped)
        print(
            f"λ = {l1:g}: whole {accuracy(wrapped, data):.3f}, half removed {after:.3f}, "
            f"fine-tuned {accuracy(stripped, data):.3f}"
        )
    axis.set(xlabel="channels, sorted", ylabel="|γ|", ylim=(0, None))
    axis.legend(fontsize=8)
    made.savefig(HERE / "slim.png", dpi=110)


def distill(model, data) -> None:
    """A small student alone and taught, by the number of training images; what was measured is kept
    in distill.json."""
    made, (left, right) = figure(2)
    z = np.log(np.clip(model.predict(data.x_test[:1], verbose=0)[0], 1e-7, 1))
    for number, temperature in enumerate((1, 4, 10)):
        soft = np.exp(z / temperature)
        left.bar(
            np.arange(10) + 0.27 * (number - 1), soft / soft.sum(), 0.25, label=f"T = {temperature}"
        )
    left.set(
        xlabel=f"class (true: {data.y_test[0]})",
        ylabel="teacher's answer",
        yscale="log",
        ylim=(1e-6, 60),
    )
    left.legend(fontsize=8, ncols=3)
    kept = HERE / "distill.json"
    points = json.loads(kept.read_text()) if kept.exists() else {}
    for count in (count for count in COUNTS if str(count) not in points):
        x, y = data.x_train[:count], data.y_train[:count]
        pairs = []
        for seed in range(3):
            options = {"epochs": max(10, 12_000 // count), "optimizer": "adam", "seed": seed}
            pair = []
            for kind in (0, 1):
                student = small(seed)
                (
                    Distill(model, x, y, **options)
                    if kind
                    else Fit(x, y, loss="sparse_categorical_crossentropy", **options)
                )(student)
                pair.append(accuracy(student, data))
            pairs.append(pair)
        points[str(count)] = [
            [round(float(f(values)), 3) for f in (np.mean, sample_deviation)]
            for values in zip(*pairs)
        ]
        kept.write_text(json.dumps(points) + "\n")
    for count in COUNTS:
        (alone, spread), (taught, spread_taught) = points[str(count)]
        print(
            f"{count} images: alone {alone:.3f} ± {spread:.3f}, taught {taught:.3f} ± "
            f"{spread_taught:.3f}"
        )
    for number, label in enumerate(("alone", "taught")):
        right.errorbar(
            COUNTS,
            *zip(*(points[str(count)][number] for count in COUNTS)),
            capsize=3,
            marker="o",
            label=label,
        )
    right.axhline(accuracy(model, data), linestyle="--", color="grey", label="teacher (all images)")
    right.set(xscale="log", xlabel="training images", ylabel="student's accuracy")
    right.set_xticks(COUNTS, [str(count) for count in COUNTS])
    right.minorticks_off()
    right.legend(fontsize=8)
    made.savefig(HERE / "distill.png", dpi=110)


def sample_deviation(values) -> float:
    return float(np.std(values, ddof=1))


def small(seed: int):
    """A student with about a thirtieth of ResNet-8's parameters."""
    import keras

    keras.utils.set_random_seed(seed)
    return zoo.student("resnet8", 0.2, input_shape=(8, 8, 1), classes=10)


def low_rank(model, data) -> None:
    """Energy against rank of every kernel, and accuracy against the parameters that remain."""
    from tfcompress.techniques.low_rank._factors import read

    made, (left, right) = figure(2)
    for layer in model.layers:
        kernel = (
            read(layer, "tucker") if layer.weights and "Norm" not in type(layer).__name__ else None
        )
        if kernel is not None and layer.name != "output":
            values = kernel.spectra[-1] ** 2
            left.plot(
                np.arange(1, len(values) + 1) / len(values),
                np.cumsum(values) / values.sum(),
                alpha=0.7,
            )
    left.axhline(0.9, linestyle="--", color="grey")
    left.set(xlabel="rank / full rank, each layer", ylabel="energy kept", ylim=(0, 1.02))
    shares, rows = (0.8, 0.6, 0.4, 0.3), []
    for share in shares:
        thin = LowRank(target_params=share).apply(model)
        before = accuracy(thin, data)
        Fit(data.x_train, data.y_train, epochs=6, seed=0)(thin)
        rows.append((before, accuracy(thin, data)))
        cost = analysis.cost(thin).macs / analysis.cost(model).macs
        print(
            f"parameters ≤ {share:.0%}: {rows[-1][0]:.3f} before fine-tuning, {rows[-1][1]:.3f} "
            f"after, {cost:.0%} of the MACs"
        )
    for label, values in zip(("before fine-tuning", "after"), zip(*rows)):
        right.plot(shares, values, "o-", label=label)
    right.axhline(accuracy(model, data), linestyle="--", color="grey", label="whole")
    right.set(xlabel="share of the parameters left", ylabel="accuracy", ylim=(0, 1.02))
    right.legend(fontsize=8)
    made.savefig(HERE / "low_rank.png", dpi=110)


PICTURES = {"prune_filters": prune_filters, "slim": slim, "distill": distill, "low_rank": low_rank}


def main() -> None:
    HERE.mkdir(exist_ok=True)
    model, data = trained()
    print(f"ResNet-8 on digits: {accuracy(model, data):.3f}")
    for name in sys.argv[1:] or PICTURES:
        print(f"-- {name}", flush=True)
        PICTURES[name](model, data)


if __name__ == "__main__":
    main()
