"""Speed, memory and exactness of TwoNN and PCA on a network's real activations.

    python benchmarks/intrinsic_dimension.py --data ../shared/data \\
        --out benchmarks/results/intrinsic_dimension.json
    python benchmarks/intrinsic_dimension.py --data ../shared/data --layers linear1 images \\
        --out benchmarks/results/intrinsic_dimension_linear1.json
    python benchmarks/intrinsic_dimension.py --quick

A QuantNET is trained on CIFAR-10's cats and dogs (without --data: on synthetic images with a 1/f
spectrum), and its activations are measured beside scikit-dimension and scikit-learn. All times are
CPU seconds of one BLAS thread, the methods one after the other in every round, medians over the
rounds. `rate` is the time of the bare symmetric product X·Xᵀ over ours, `search` the neighbours
alone, `whole` with checks and duplicates. No method of products can reach 100 %: it must also make
|x_i − x_j|² of every product and look at it. `limit` is the rate of X·Xᵀ, one addition to each of
its n²/2 values and one look at each from its row's and from its column's side, all from cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tfcompress import zoo
from tfcompress.analysis import PCADimension, TwoNN, activations
from tfcompress.analysis.dimension._neighbours import two_nearest

Array = np.ndarray
Row = dict[str, Any]


class Method(NamedTuple):
    """What is timed: `run(prepare())`, the preparation outside the clock."""

    prepare: Callable[[], Array]
    run: Callable[[Array], Any]


class Timed(NamedTuple):
    """Median CPU seconds, and what the last round gave."""

    seconds: float
    result: Any


def images(folder: str | None, count: int) -> tuple[Array, Array, str]:
    """`count` images [n, 32, 32, 3] in 0..1, labels 0 and 1, and what they are."""
    if not folder:
        x, y = _synthetic(count)
        return x, y, "synthetic 1/f images"
    data = zoo.load_data("cifar10", folder, classes=("cat", "dog"))
    x = np.concatenate([data.x_train, data.x_val, data.x_test])
    y = np.concatenate([data.y_train, data.y_val, data.y_test])
    return x[:count], y[:count], "CIFAR-10 cat, dog"


def _synthetic(count: int) -> tuple[Array, Array]:
    """Noise with a 1/f spectrum, stretched one way or the other: the label."""
    rng = np.random.default_rng(0)
    row, column = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    y = rng.integers(0, 2, count)
    x = np.empty((count, 32, 32, 3), np.float32)
    for label, (tall, wide) in ((0, (1, 2)), (1, (2, 1))):
        decay = 1 / np.maximum(np.hypot(tall * row, wide * column), 1 / 32)
        noise = rng.normal(size=((y == label).sum(), 3, 32, 32))
        smooth = np.fft.ifft2(np.fft.fft2(noise) * decay).real.transpose(0, 2, 3, 1)
        x[y == label] = 0.5 + smooth / (6 * smooth.std())
    return np.clip(x, 0, 1), y


def interleaved(methods: dict[str, Method], rounds: int) -> dict[str, Timed]:
    """Every method once a round, one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, method in methods.items():
            given = method.prepare()
            start = time.process_time()
            results[name] = method.run(given)
            seconds[name].append(time.process_time() - start)
            del given
    return {name: Timed(statistics.median(seconds[name]), results[name]) for name in methods}


def peak_extra(run: Callable[[Array], object], given: Array) -> int:
    """Bytes by which resident memory rises above its present while `run(given)` works (Linux)."""

    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields[key].split()[0]) * 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    run(given)
    return max(0, status("VmHWM") - before)


BLOCK = 512
"""Side of a square of float32 values that lies in cache: 1 MiB."""


def product_and_one_look(given: Array, product: Array) -> None:
    """X·Xᵀ, and the least that has to be done with its n²/2 values to find nearest neighbours."""
    np.matmul(given, given.T, out=product)
    block, norms = product.reshape(-1)[: BLOCK**2].reshape(BLOCK, BLOCK), np.zeros(BLOCK, "float32")
    for _ in range(len(given) ** 2 // 2 // BLOCK**2):
        np.subtract(norms, block, out=block)
        block.min(axis=0)
        block.min(axis=1)


def two_nn_row(name: str, x: Array, rounds: int, float64: bool) -> Row:
    """One data set: times, ratios, agreement and memory."""
    found = interleaved(_two_nn_methods(x, float64), rounds)
    times = {method: timed.seconds for method, timed in found.items()}
    ours = found["whole copying"].result
    oracle = found["scikit-dimension float64" if float64 else "scikit-dimension float32"].result
    given = x.copy()
    in_place = peak_extra(lambda points: two_nearest(points, overwrite=True, threads=1), given)
    del given
    whole = times["whole in place"]
    return {
        "data": name,
        "n": len(x),
        "d": x.shape[1],
        "seconds": times,
        "rate_of_product_search": times["product"] / times["search"],
        "rate_of_product_whole": times["product"] / whole,
        "limit_of_rate": times["product"] / times["product and one look"],
        "speedup_float32": times["scikit-dimension float32"] / whole,
        "speedup_float64": times.get("scikit-dimension float64", float("nan")) / whole,
        "id": ours.id,
        "id_relative_difference": abs(ours.id / oracle - 1),
        "extra_in_place": in_place / x.nbytes,
        "extra_copying": peak_extra(lambda points: two_nearest(points, threads=1), x) / x.nbytes,
    }


def _two_nn_methods(x: Array, float64: bool) -> dict[str, Method]:
    from skdim.id import TwoNN as Theirs

    product = np.empty((len(x), len(x)), np.float32)
    linear = TwoNN("linear")

    def same() -> Array:
        return x

    methods = {
        "product": Method(same, lambda given: np.matmul(given, given.T, out=product)),
        "product and one look": Method(same, lambda given: product_and_one_look(given, product)),
        "search": Method(x.copy, lambda given: two_nearest(given, overwrite=True, threads=1)),
        "whole in place": Method(
            x.copy, lambda given: linear.measure(given, overwrite=True, threads=1)
        ),
        "whole copying": Method(same, lambda given: linear.measure(given, threads=1)),
        "scikit-dimension float32": Method(same, lambda given: Theirs().fit(given).dimension_),
    }
    if float64:
        methods["scikit-dimension float64"] = Method(
            same, lambda given: Theirs().fit(given.astype(np.float64)).dimension_
        )
    return methods


def pca_row(name: str, x: Array, rounds: int) -> Row:
    """Components for 99 % of the variance, beside scikit-learn's PCA with all components."""
    from sklearn.decomposition import PCA

    def theirs(given: Array) -> int:
        share = np.cumsum(PCA().fit(given).explained_variance_ratio_)
        return int(np.searchsorted(share, 0.99) + 1)

    methods = {
        "ours": Method(lambda: x, lambda given: PCADimension().measure(given, threads=1)),
        "scikit-learn": Method(lambda: x, theirs),
    }
    found = interleaved(methods, rounds)
    return {
        "data": name,
        "n": len(x),
        "d": x.shape[1],
        "rounds": rounds,
        "seconds": {method: timed.seconds for method, timed in found.items()},
        "speedup": found["scikit-learn"].seconds / found["ours"].seconds,
        "count": found["ours"].result.id,
        "count_scikit_learn": found["scikit-learn"].result,
    }


def duplicate_rows(x: Array) -> list[Row]:
    """What 10, 30 and 60 % of added copies do to the dimension."""
    from skdim.id import TwoNN as Theirs

    rng = np.random.default_rng(0)
    alone = TwoNN("linear")(x)
    rows = []
    for share in (0.1, 0.3, 0.6):
        copies = x[rng.choice(len(x), int(share * len(x)), replace=False)]
        doubled = np.concatenate([x, copies])
        theirs = float(Theirs().fit(doubled).dimension_)
        rows.append(
            {
                "share": share,
                "id_alone": alone,
                "id": TwoNN("linear")(doubled, overwrite=True),
                "id_scikit_dimension": theirs,
            }
        )
    return rows


def show(row: Row) -> None:
    """One line a data set."""
    print(
        f"{row['data']} {row['n']} x {row['d']}: {row['seconds']['whole in place']:.3g} s, "
        f"{row['speedup_float32']:.2f}x scikit-dimension "
        f"(float64 {row['speedup_float64']:.2f}x), "
        f"{100 * row['rate_of_product_search']:.0f} % of X·Xᵀ "
        f"(limit {100 * row['limit_of_rate']:.0f} %, "
        f"whole {100 * row['rate_of_product_whole']:.0f} %), "
        f"ID {row['id']:.4f} off {row['id_relative_difference']:.1e}, "
        f"extra {row['extra_in_place']:.2f} in place, {row['extra_copying']:.2f} copying",
        flush=True,
    )


def measure(model: Any, x: Array, sizes: list[int], layers: list[str], rounds: int) -> Row:
    """The rows of every layer asked for, printed as they come."""
    report: Row = {"two_nn": [], "pca": [], "duplicates": []}
    for n in sizes if "conv1" in layers else []:
        conv1 = activations(model, x[:n], ["conv1"], budget_bytes=1 << 34)["conv1"]
        conv1 = conv1.reshape(n, -1)
        report["two_nn"].append(two_nn_row("conv1", conv1, rounds, float64=n <= 5000))
        show(report["two_nn"][-1])
        if n == sizes[0]:
            report["pca"].append(pca_row("conv1", conv1, 1))
            report["duplicates"] = duplicate_rows(conv1)
        del conv1
    if "linear1" in layers:
        linear1 = activations(model, x, ["linear1"])["linear1"]
        report["two_nn"].append(two_nn_row("linear1", linear1, rounds, float64=True))
        show(report["two_nn"][-1])
        # A few milliseconds: many rounds.
        report["pca"].append(pca_row("linear1", linear1, 10 * rounds))
    if "images" in layers:
        half = x[: len(x) // 2]
        report["pca"].append(pca_row("images", half.reshape(len(half), -1), 1))
    return report


def main() -> None:
    """Train, measure, print, and write the numbers to --out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder with cifar10.npz")
    parser.add_argument("--out", help="JSON file of all numbers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--layers", nargs="+", default=["conv1", "linear1", "images"])
    parser.add_argument("--quick", action="store_true", help="one round on a few hundred points")
    options = parser.parse_args()
    sizes, most = ([300, 600], 1000) if options.quick else ([2000, 5000, 10000], 10000)
    rounds, epochs = (1, 1) if options.quick else (options.rounds, options.epochs)
    x, y, source = images(options.data, most)
    model = zoo.quantnet(keras="keras", compile=True)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    with threadpool_limits(1):
        rows = measure(model, x, sizes, options.layers, rounds)
    report = {"images": source, "trained_epochs": epochs, "rounds": rounds, **rows}
    for row in (*report["pca"], *report["duplicates"]):
        print(json.dumps(row))
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
