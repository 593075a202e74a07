"""The pictures of these pages, drawn from what the library does to QuantNET on real digits.

python docs/pictures.py
    (all, or those named: python docs/pictures.py packed)
python docs/pictures.py --report studies/digits/QuantNET/report.html
    (the report page, in a browser)
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

HERE = Path(__file__).parent / "pictures"
SIZE = (8.4, 2.9)


def trained():
    """QuantNET for 8×8 digits, its data, and a trainer."""
    import keras

    from tfcompress import zoo
    from tfcompress.training import Fit

    data = zoo.load_data("digits")
    keras.utils.set_random_seed(0)
    model = zoo.quantnet(input_shape=(8, 8, 1), classes=10, compile=True)
    Fit(data.x_train, data.y_train, epochs=15, seed=0)(model)
    return model, data, Fit(data.x_train, data.y_train, epochs=4, seed=0)


def figure(columns: int):
    """Axes side by side, and their figure."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made, axes = pyplot.subplots(1, columns, figsize=SIZE, layout="constrained")
    return made, axes


def changed(technique, model, fit):
    """The model after one technique."""
    wrapped = technique.apply(model)
    fit(wrapped, technique.callbacks())
    return technique.strip(wrapped)


def kernel(model, layer="linear1"):
    """All weights of a layer's kernel."""
    return np.asarray(model.get_layer(layer).get_weights()[0]).ravel()


def prune(model, data, fit) -> None:
    """Weights before and after, and the schedule of sparsity."""
    from tfcompress.techniques import Prune

    sparse = changed(Prune(0.8, schedule="polynomial"), model, fit)
    made, (left, right) = figure(2)
    after = kernel(sparse)
    left.hist(kernel(model), 80, alpha=0.45, label="before")
    left.hist(
        after[after != 0],
        80,
        alpha=0.8,
        label=f"after, without the {np.mean(after == 0):.0%} zeros",
    )
    left.set(xlabel="weights of linear1", ylabel="how many")
    left.legend(fontsize=8)
    t = np.linspace(0, 1.3, 200)
    right.plot(t, 0.8 * (1 - (1 - np.clip(t, 0, 1)) ** 3), label="polynomial")
    right.plot(t, np.full_like(t, 0.8), "--", label="constant")
    right.set(xlabel="step / end", ylabel="sparsity", ylim=(0, 1))
    right.legend(fontsize=8)
    made.savefig(HERE / "prune.png", dpi=110)


def cluster(model, data, fit) -> None:
    """The values that are left, and what the download is for their number."""
    import tfcompress as tfc
    from tfcompress.techniques import Cluster

    made, (left, right) = figure(2)
    values, counts = np.unique(kernel(changed(Cluster(16), model, fit)), return_counts=True)
    left.vlines(values, 0, counts)
    left.set(xlabel=f"weights of linear1: {len(values)} values", ylabel="how many")
    recipes = ["int8", *(f"cluster{n}-int8" for n in (2, 4, 8, 16, 32, 64))]
    options = {
        "fit": fit,
        "samples": data.x_train[:200],
        "evaluate": (data.x_test, data.y_test),
        "profile": False,
        "progress": False,
    }
    report = tfc.study(model, recipes, **options)
    report.plot_sweep("Cluster.clusters", ["size_bytes", "gzip_bytes"], ax=right)
    right.set(title="", ylim=(0, None), xlabel="clusters")
    made.savefig(HERE / "cluster.png", dpi=110)


def quantize_aware(model, data, fit) -> None:
    """The rounding, and a clustered layer after plain and after preserving training."""
    import tfcompress as tfc

    made, axes = figure(3)
    x = np.linspace(-1.1, 1.1, 600)
    for bits in (4, 3, 2):
        top = 2 ** (bits - 1) - 1
        axes[0].plot(x, np.clip(np.round(x * top), -top, top) / top, lw=1, label=f"{bits} bits")
    axes[0].set(xlabel="weight", ylabel="rounded to the levels of")
    axes[0].legend(fontsize=8)
    for ax, recipe in zip(axes[1:], ("cluster16-qatplain-int8", "cluster16-qat-int8")):
        artifact = tfc.compress(
            model, recipe, fit=fit, samples=data.x_train[:200], seed=0, progress=False
        )
        stored = max(
            (layer.weights() for layer in tfc.packed_layers(artifact.data)),
            key=lambda values: values.size,
        )
        ax.hist(stored.ravel(), 200)
        ax.set(
            yscale="log",
            xlabel="weights of linear1",
            title=f"{recipe}: {len(np.unique(stored))} values",
        )
        ax.title.set_fontsize(8)
    made.savefig(HERE / "quantize_aware.png", dpi=110)


def targets(model, data, fit) -> None:
    """Bytes, error and time of every number format, from one comparison."""
    import tfcompress as tfc

    names = ["float32", "float16", "dynamic", "int8", "int16x8"]
    made_of = [tfc.convert(model, name, samples=data.x_train[:200]) for name in names]
    made_of += [
        tfc.compress(model, f"cluster16-{name}", fit=fit, seed=0, progress=False)
        for name in ("packed", "packedsize")
    ]
    report = tfc.compare(made_of, evaluate=(data.x_test, data.y_test))
    lines, axes_of = (
        report.summary(),
        (
            ("size_bytes", 1000, "kB"),
            ("latency_ms_p50", 0.001, "µs, median"),
            ("error", 1, "relative error"),
        ),
    )
    made, axes = figure(3)
    errors = {
        row["recipe"]: next(c["value"] for c in row["checks"] if "relative error" in c["what"])
        for row in report.rows
    }
    for ax, (column, unit, said) in zip(axes, axes_of):
        values = [
            errors[line["recipe"]] if column == "error" else line[column] / unit for line in lines
        ]
        ax.barh([line["recipe"] for line in lines], values)
        ax.invert_yaxis()
        ax.set(xlabel=said)
        if column == "error":
            ax.set_xscale("log")
    for ax in axes[1:]:
        ax.set_yticklabels([])
    made.savefig(HERE / "targets.png", dpi=110)
    print(report.to_markdown(["accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50"]))


def significance(model, data, fit) -> None:
    """Dimension and change by layer, and the dimension against the number of points."""
    import tfcompress as tfc

    scores = tfc.significance(model, data.x_train, scales=True)
    measured, difference = scores.details["measured"], scores.details["difference"]
    made, (left, middle, right) = figure(3)
    left.plot(list(measured), [found["id"] for found in measured.values()], "o-")
    left.set(ylabel="dimension (TwoNN)")
    middle.bar(list(difference), list(difference.values()))
    middle.set(ylabel="change")
    for ax in (left, middle):
        ax.tick_params(axis="x", labelsize=7, rotation=30)
    for name, found in measured.items():
        sizes = {int(n): value for n, value in found["ids_by_n"].items()} | {
            found["n_used"]: found["id"]
        }
        right.plot(sorted(sizes), [sizes[n] for n in sorted(sizes)], "o-", ms=3, label=name)
    right.set(xlabel="points", ylabel="dimension")
    right.legend(fontsize=6)
    made.savefig(HERE / "significance.png", dpi=110)


def mixed_precision(model, data, fit) -> None:
    """A layer's weights on 1 and 2 bits, and accuracy and bytes against bits."""
    import tfcompress as tfc
    from tfcompress.techniques import MixedPrecision

    made, (left, middle, right) = figure(3)
    left.hist(kernel(model), 80, color="C7", label="float")
    left.set(xlabel="weights of linear1", ylabel="how many")
    for bits in (1, 2):
        values, counts = np.unique(
            kernel(changed(MixedPrecision({"linear1": bits}), model, fit)), return_counts=True
        )
        middle.vlines(values, 0, counts, color=f"C{bits - 1}", lw=3, label=f"{bits} bit")
    middle.set(xlabel="weights of linear1")
    middle.legend(fontsize=8)
    recipes = [f"mixed{bits}-packedsize" for bits in (1, 2, 3, 4, 8)]
    unseeded = replace(fit, seed=None)  # the study's seeds count
    report = tfc.study(
        model,
        recipes,
        fit=unseeded,
        evaluate=(data.x_test, data.y_test),
        seeds=3,
        profile=False,
        progress=False,
    )
    for line in report.summary():
        bits = int(line["recipe"][5])
        right.errorbar(bits, line["accuracy"], line.get("accuracy_std") or 0, fmt="o", color="C0")
        right.annotate(
            f"{line['size_bytes'] / 1000:.0f} kB",
            (bits, line["accuracy"]),
            (4, 4),
            textcoords="offset points",
            fontsize=7,
        )
    right.axhline(
        tfc.evaluate(tfc.convert(model, "float32"), data.x_test, data.y_test), lw=0.8, color="C7"
    )
    right.set(xlabel="bits of the middle layers", ylabel="accuracy, 3 seeds")
    made.savefig(HERE / "mixed_precision.png", dpi=110)


def packed(*_) -> None:
    """Bytes and median time of QuantNET for 32×32 images in every packed form, from the benchmark's
    own run."""
    import json
    import subprocess
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "packed.json"
        subprocess.run(
            [
                sys.executable,
                HERE.parents[1] / "benchmarks/packed.py",
                "--runtimes",
                "litert",
                "--out",
                out,
            ],
            check=True,
        )
        rows = [row for row in json.loads(out.read_text()) if "any runtime" not in row["name"]]
    made, (left, right) = figure(2)
    made.set_size_inches(8.4, 4.2)
    names = [row["name"] for row in rows]
    left.barh(names, [row["size_bytes"] / 1000 for row in rows])
    left.set(xscale="log", xlabel="kB on disk")
    left.tick_params(axis="y", labelsize=7)
    right.barh(names, [row["litert"]["us"] for row in rows], color="C1")
    right.set(xlabel="µs, median")
    right.set_yticklabels([])
    for ax in (left, right):
        ax.invert_yaxis()
    made.savefig(HERE / "packed.png", dpi=110)


def screenshot(page: Path) -> None:
    """The top of a report page as a PNG of at most 256 colours."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as kit:
        browser = kit.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        view = browser.new_page(viewport={"width": 1240, "height": 1000})
        view.goto(page.resolve().as_uri())
        box = view.locator("figure").first.bounding_box()
        end = box["y"] + box["height"] + 16
        view.screenshot(
            path=str(HERE / "report.png"),
            full_page=True,
            clip={"x": 0, "y": 0, "width": 1240, "height": end},
        )
        browser.close()
    image = Image.open(HERE / "report.png").convert("RGB").quantize(128)
    image.save(HERE / "report.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    drawn = {
        f.__name__: f
        for f in (prune, cluster, quantize_aware, targets, significance, mixed_precision, packed)
    }
    parser.add_argument(
        "pictures", nargs="*", metavar="picture", help=f"of {', '.join(drawn)} (default: all)"
    )
    parser.add_argument(
        "--report", type=Path, help="take the picture of this report page instead of drawing"
    )
    args = parser.parse_args()
    HERE.mkdir(exist_ok=True)
    if args.report:
        return screenshot(args.report)
    model, data, fit = trained()
    for name in args.pictures or drawn:
        drawn[name](model, data, fit)


if __name__ == "__main__":
    main()
