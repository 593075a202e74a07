"""What tfcompress costs over TFMOT written directly, and `preserve=` over plain quantization-aware
training, as ratios in one run.

    python benchmarks/overhead.py [--models mobilenet vgg16] [--size 96] [--steps 3] \\
        [--repeats 3] [--out overhead.json] [--tfmot-collab]

A case is apply + k training steps + strip, from a model in memory to a stripped one. Every time is
taken in a process of its own, after the imports and one warm-up on a small net; the cases take
turns. Processor time stands beside the clock's, for a machine that others use as well. `--out` is
read back: finished cases are not run again. Bounds: Prune, Cluster, QuantizeAware ≤ 1.05 × direct;
preserve ≤ 2 × plain QuantizeAware. `--tfmot-collab` adds TFMOT's own cluster-preserving schemes,
which take minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RATIOS = [
    ("prune", "prune direct", 1.05),
    ("cluster", "cluster direct", 1.05),
    ("qat", "qat direct", 1.05),
    ("pqat", "qat", 2.0),
    ("cqat", "qat", 2.0),
    ("pcqat", "qat", 2.0),
]
COLLAB = [("cqattfmot", "qat", None), ("pcqattfmot", "qat", None)]


def build(name, size, steps):
    """A stock tf_keras model with random weights, compiled, and `steps` batches of 4 random images
    of `size` pixels."""
    import numpy as np
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    if name == "warm-up":
        layers = tf_keras.layers
        model = tf_keras.Sequential(
            [layers.Input((size, size, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(10)]
        )
    else:
        make = {"mobilenet": tf_keras.applications.MobileNet, "vgg16": tf_keras.applications.VGG16}[
            name
        ]
        model = make(weights=None, input_shape=(size, size, 3), classes=10)
    model.compile(tf_keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    random = np.random.RandomState(0)
    return (
        model,
        random.rand(4 * steps, size, size, 3).astype("float32"),
        random.randint(0, 10, 4 * steps),
    )


def sparse_and_clustered(model):
    """Half of every kernel's weights zero and 15 other values, as Prune and Cluster would leave it,
    made without either."""
    import numpy as np

    for layer in model.layers:
        if type(layer).__name__ in ("Conv2D", "Dense"):
            kernel, *rest = layer.get_weights()
            grid = np.linspace(kernel.min(), kernel.max(), 15, dtype="float32")
            near = grid[
                np.clip(np.round((kernel - grid[0]) / (grid[1] - grid[0])).astype(int), 0, 14)
            ]
            layer.set_weights(
                [
                    np.where(np.abs(kernel) < np.median(np.abs(kernel)), 0, near).astype("float32"),
                    *rest,
                ]
            )


def direct(case, model, x, y):
    """The case as its user would write it with TFMOT alone."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    if case == "prune":
        schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, 1)
        wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, schedule)
        callbacks, strip = (
            [tfmot.sparsity.keras.UpdatePruningStep()],
            tfmot.sparsity.keras.strip_pruning,
        )
    elif case == "cluster":
        copy = tf_keras.models.clone_model(model)  # cluster_weights damages the model it is given
        copy.set_weights(model.get_weights())
        start = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
        wrapped = tfmot.clustering.keras.cluster_weights(copy, 16, start)
        callbacks, strip = [], tfmot.clustering.keras.strip_clustering
    else:
        wrapped, callbacks, strip = (
            tfmot.quantization.keras.quantize_model(model),
            [],
            lambda done: done,
        )
    wrapped.compile(type(model.optimizer).from_config(model.optimizer.get_config()), model.loss)
    wrapped.fit(x, y, batch_size=4, callbacks=callbacks, verbose=0)
    return strip(wrapped)


def ours(case, model, x, y):
    """The same through tfcompress."""
    from tfcompress.techniques import Cluster, Prune, QuantizeAware

    kept = {"q": None, "pq": "sparsity", "cq": "clusters", "pcq": "both"}
    if case in ("prune", "cluster"):
        technique = Prune(0.5) if case == "prune" else Cluster(16)
    else:
        technique = QuantizeAware(
            preserve=kept[case.partition("at")[0]],
            scheme="tfmot" if case.endswith("tfmot") else "tfcompress",
        )
    wrapped = technique.apply(model)
    wrapped.fit(x, y, batch_size=4, callbacks=technique.callbacks(), verbose=0)
    return technique.strip(wrapped)


def measure(case, name, size, steps):
    """[seconds of the clock, seconds of processor time] of one case in this process."""

    what, _, how = case.partition(" ")
    run = direct if how else ours
    run(what, *build("warm-up", 16, 1))
    model, x, y = build(name, size, steps)
    if what not in ("prune", "cluster"):
        sparse_and_clustered(model)
    start = time.perf_counter(), time.process_time()
    run(what, model, x, y)
    return [time.perf_counter() - start[0], time.process_time() - start[1]]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=["mobilenet", "vgg16"], choices=["mobilenet", "vgg16"]
    )
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("overhead.json"))
    parser.add_argument("--tfmot-collab", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.size, options.steps)))
        return
    seconds = json.loads(options.out.read_text()) if options.out.exists() else {}
    ratios = RATIOS + (COLLAB if options.tfmot_collab else [])
    cases = list(dict.fromkeys(case for row in ratios for case in row[:2]))
    for repeat in range(options.repeats):
        for name in options.models:
            for case in cases:
                taken = seconds.setdefault(
                    f"{name} {options.size}px {options.steps} steps", {}
                ).setdefault(case, [])
                if len(taken) > repeat:
                    continue
                command = [
                    sys.executable,
                    __file__,
                    "--one",
                    case,
                    name,
                    "--size",
                    str(options.size),
                    "--steps",
                    str(options.steps),
                ]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{case} on {name} failed:\n{done.stderr[-3000:]}")
                taken.append(json.loads(done.stdout.splitlines()[-1]))
                print(
                    f"{name} {case}: {taken[-1][0]:.1f} s, processor {taken[-1][1]:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
                options.out.write_text(json.dumps(seconds, indent=1))
    print(table(seconds, ratios))


def table(seconds, ratios):
    """Markdown: per model and ratio the medians by the clock, their ratio and that of processor
    time, the bound."""
    lines = [
        "| model | case | s | against | s | ratio | ratio, processor time | bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, taken in seconds.items():
        for case, base, bound in ratios:
            if taken.get(case) and taken.get(base):
                (a, cpu_a), (b, cpu_b) = (
                    [statistics.median(part) for part in zip(*taken[which])]
                    for which in (case, base)
                )
                verdict = (
                    "" if bound is None else f"≤ {bound}{'' if a / b <= bound else ' **missed**'}"
                )
                lines.append(
                    f"| {name} | {case} | {a:.1f} | {base} | {b:.1f} | {a / b:.2f} | "
                    f"{cpu_a / cpu_b:.2f} | {verdict} |"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
