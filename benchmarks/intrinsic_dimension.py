"""Speed, memory and exactness of TwoNN and PCA on a network's real activations, beside scikit-dimension and scikit-learn.

    python benchmarks/intrinsic_dimension.py --data ../shared/data --out benchmarks/results/intrinsic_dimension.json
    python benchmarks/intrinsic_dimension.py --quick

A QuantNET is trained on CIFAR-10's cats and dogs (without --data: on synthetic images with a 1/f spectrum). All times are CPU
seconds of one BLAS thread, the methods one after the other in every round, medians over the rounds. The limit is the bare
symmetric product X·Xᵀ; `rate` is that time over ours, `search` the neighbours alone, `whole` with checks and duplicates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tfcompress import zoo
from tfcompress.analysis import PCADimension, TwoNN, activations
from tfcompress.analysis.dimension._neighbours import two_nearest


def images(folder: str | None, count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """`count` images [n, 32, 32, 3] in 0..1 with labels 0 and 1: cats and dogs, or noise with a 1/f spectrum in two orientations."""
    if folder:
        data = zoo.load_data("cifar10", folder, classes=("cat", "dog"))
        x, y = (
            np.concatenate([data.x_train, data.x_val, data.x_test]),
            np.concatenate([data.y_train, data.y_val, data.y_test]),
        )
        return x[:count], y[:count], "CIFAR-10 cat, dog"
    rng = np.random.default_rng(0)
    row, column = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    y = rng.integers(0, 2, count)
    x = np.empty((count, 32, 32, 3), np.float32)
    for label, stretch in ((0, (1, 2)), (1, (2, 1))):
        decay = 1 / np.maximum(np.hypot(stretch[0] * row, stretch[1] * column), 1 / 32)
        noise = rng.normal(size=((y == label).sum(), 3, 32, 32))
        made = np.fft.ifft2(np.fft.fft2(noise) * decay).real.transpose(0, 2, 3, 1)
        x[y == label] = 0.5 + made / (6 * made.std())
    return np.clip(x, 0, 1), y, "synthetic 1/f images"


def interleaved(methods: dict, rounds: int) -> dict[str, tuple[float, object]]:
    """Median CPU seconds and last result of each method; `prepare` copies what a method may overwrite, outside the clock."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    results = {}
    for _ in range(rounds):
        for name, (prepare, run) in methods.items():
            given = prepare()
            start = time.process_time()
            results[name] = run(given)
            seconds[name].append(time.process_time() - start)
            del given
    return {name: (statistics.median(times), results[name]) for name, times in seconds.items()}


def peak_extra(run, given) -> int:
    """Bytes by which the resident memory of this process rises above its present one while `run(given)` works (Linux)."""

    def status(key: str) -> int:
        lines = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        return int(lines[key].split()[0]) * 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    run(given)
    return max(0, status("VmHWM") - before)


def two_nn_row(name: str, x: np.ndarray, rounds: int, float64: bool) -> dict:
    """One data set: times, ratios, agreement and memory."""
    from skdim.id import TwoNN as Theirs

    n, d = x.shape
    product = np.empty((n, n), np.float32)
    copy, same = lambda: x.copy(), lambda: x
    methods = {
        "product": (same, lambda given: np.matmul(given, given.T, out=product)),
        "search": (copy, lambda given: two_nearest(given, overwrite=True, threads=1)),
        "whole in place": (
            copy,
            lambda given: TwoNN("linear").measure(given, overwrite=True, threads=1),
        ),
        "whole copying": (same, lambda given: TwoNN("linear").measure(given, threads=1)),
        "scikit-dimension float32": (same, lambda given: Theirs().fit(given).dimension_),
    }
    if float64:
        methods["scikit-dimension float64"] = (
            same,
            lambda given: Theirs().fit(given.astype(np.float64)).dimension_,
        )
    found = interleaved(methods, rounds)
    times = {method: seconds for method, (seconds, _) in found.items()}
    ours = found["whole copying"][1]
    oracle = found["scikit-dimension float64" if float64 else "scikit-dimension float32"][1]
    given = x.copy()
    in_place = peak_extra(lambda points: two_nearest(points, overwrite=True, threads=1), given)
    del given
    return {
        "data": name,
        "n": n,
        "d": d,
        "seconds": times,
        "rate_of_product_search": times["product"] / times["search"],
        "rate_of_product_whole": times["product"] / times["whole in place"],
        "speedup_float32": times["scikit-dimension float32"] / times["whole in place"],
        "speedup_float64": times.get("scikit-dimension float64", float("nan"))
        / times["whole in place"],
        "id": ours.id,
        "id_relative_difference": abs(ours.id / oracle - 1),
        "extra_in_place": in_place / x.nbytes,
        "extra_copying": peak_extra(lambda points: two_nearest(points, threads=1), x) / x.nbytes,
    }


def pca_row(name: str, x: np.ndarray, rounds: int) -> dict:
    """Components for 99 % of the variance, ours against scikit-learn's PCA with all components."""
    from sklearn.decomposition import PCA

    def theirs(given):
        return int(np.searchsorted(np.cumsum(PCA().fit(given).explained_variance_ratio_), 0.99) + 1)

    methods = {
        "ours": (lambda: x, lambda given: PCADimension().measure(given, threads=1)),
        "scikit-learn": (lambda: x, theirs),
    }
    found = interleaved(methods, rounds)
    return {
        "data": name,
        "n": len(x),
        "d": x.shape[1],
        "seconds": {method: seconds for method, (seconds, _) in found.items()},
        "speedup": found["scikit-learn"][0] / found["ours"][0],
        "count": found["ours"][1].id,
        "count_scikit_learn": found["scikit-learn"][1],
    }


def duplicate_rows(x: np.ndarray) -> list[dict]:
    """What 10, 30 and 60 % of added copies do to the dimension."""
    from skdim.id import TwoNN as Theirs

    rng = np.random.default_rng(0)
    alone = TwoNN("linear")(x)
    out = []
    for share in (0.1, 0.3, 0.6):
        doubled = np.concatenate([x, x[rng.choice(len(x), int(share * len(x)), replace=False)]])
        theirs = float(Theirs().fit(doubled).dimension_)
        out.append(
            {
                "share": share,
                "id_alone": alone,
                "id": TwoNN("linear")(doubled, overwrite=True),
                "id_scikit_dimension": theirs,
            }
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder with cifar10.npz")
    parser.add_argument("--out", help="JSON file of all numbers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round on a few hundred points")
    options = parser.parse_args()
    sizes, most, rounds, epochs = (
        ([300, 600], 1000, 1, 1)
        if options.quick
        else ([2000, 5000, 10000], 10000, options.rounds, options.epochs)
    )
    x, y, source = images(options.data, most)
    model = zoo.quantnet(keras="keras", compile=True)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    report: dict = {
        "images": source,
        "trained_epochs": epochs,
        "rounds": rounds,
        "two_nn": [],
        "pca": [],
    }
    with threadpool_limits(1):
        for n in sizes:
            conv1 = activations(model, x[:n], ["conv1"], budget_bytes=1 << 34)["conv1"].reshape(
                n, -1
            )
            report["two_nn"].append(two_nn_row("conv1", conv1, rounds, float64=n <= 5000))
            show(report["two_nn"][-1])
            if n == sizes[0]:
                report["pca"].append(pca_row("conv1", conv1, 1))
                report["duplicates"] = duplicate_rows(conv1)
            del conv1
        linear1 = activations(model, x[:most], ["linear1"])["linear1"]
        report["two_nn"].append(two_nn_row("linear1", linear1, rounds, float64=True))
        show(report["two_nn"][-1])
        for name, points in (
            ("images", x[: most // 2].reshape(most // 2, -1)),
            ("linear1", linear1),
        ):
            report["pca"].append(pca_row(name, points, 1))
    for row in (*report["pca"], *report["duplicates"]):
        print(json.dumps(row))
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")


def show(row: dict) -> None:
    """One line a data set."""
    print(
        f"{row['data']} {row['n']} x {row['d']}: {row['seconds']['whole in place']:.3g} s, {row['speedup_float32']:.2f}x scikit-dimension "
        f"(float64 {row['speedup_float64']:.2f}x), {100 * row['rate_of_product_search']:.0f} % of X·Xᵀ (whole "
        f"{100 * row['rate_of_product_whole']:.0f} %), ID {row['id']:.4f} off {row['id_relative_difference']:.1e}, "
        f"extra {row['extra_in_place']:.2f} in place, {row['extra_copying']:.2f} copying",
        flush=True,
    )


if __name__ == "__main__":
    main()
