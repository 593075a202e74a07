"""Peak resident memory of `compress`, step by step, beside TFMOT and the raw converter.

`python benchmarks/memory.py` makes a VGG16-like model of random weights and carries out
`prune50-int8` (SGD, two steps, 8 images), each way in a process of its own. Figures are the
largest resident memory above that of the process with the loaded model, in multiples of the
model's weights, and what stays at the end. `--width 1 --size 224` is VGG16 itself; `--network
dense` is a stack of Dense layers of 40 MiB, which takes half a minute a way.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

WAYS = ("tfcompress", "tfcompress int8", "TFMOT and raw converter", "raw converter")
IMAGES = 8
DENSE_INPUTS, DENSE_UNITS = 1024, 2048


def resident() -> int:
    """Bytes of memory that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peaks:
    """The largest resident memory of every step, looked at a hundred times a second."""

    def __init__(self) -> None:
        self.step, self.base = "", resident()
        self.peaks: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peaks[self.step] = max(self.peaks.get(self.step, 0), resident())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While this lasts, peaks are noted."""
        self._thread.start()
        yield
        self._stop.set()
        self._thread.join()


def network(keras: Any, kind: str, width: float, size: int) -> Any:
    """The network that is compressed, compiled."""
    model = dense(keras) if kind == "dense" else vgg(keras, width, size)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4), loss)
    return model


def dense(keras: Any) -> Any:
    """Three hidden Dense layers."""
    hidden = [keras.layers.Dense(DENSE_UNITS, activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input((DENSE_INPUTS,)), *hidden, keras.layers.Dense(10)])


def vgg(keras: Any, width: float, size: int) -> Any:
    """VGG16 with `width` times its channels for images of `size` × `size`."""
    layers = [keras.layers.Input((size, size, 3))]
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            channels = int(filters * width)
            layers.append(keras.layers.Conv2D(channels, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D())
    layers.append(keras.layers.Flatten())
    for _ in range(2):
        layers.append(keras.layers.Dense(int(4096 * width), activation="relu"))
    layers.append(keras.layers.Dense(1000))  # random weights: probabilities would all be 0.001
    return keras.Sequential(layers)


def measured(way: str, kind: str, width: float, size: int) -> dict[str, Any]:
    """Multiples of the model's bytes, by step, of one way."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (DENSE_INPUTS,) if kind == "dense" else (size, size, 3)
    x, y = rng.random((IMAGES, *shape), dtype="float32"), np.arange(IMAGES) % 10
    run = _tfcompress(way, x, y) if way.startswith("tfcompress") else _raw(way, x, y)
    import tensorflow_model_optimization  # noqa: F401 - loaded by then, as the converter is
    import tf_keras

    model = network(tf_keras, kind, width, size)
    model.predict(x[:1], verbose=0)
    gc.collect()
    weights = sum(array.nbytes for array in model.get_weights())
    peaks = Peaks()
    with peaks.watching():
        kept = run(model, peaks)
        peaks.step = "afterwards"
        gc.collect()
        peaks.peaks["afterwards"] = resident()
    del kept
    multiples = {step: (peak - peaks.base) / weights for step, peak in peaks.peaks.items() if step}
    return {"way": way, "model_mib": weights / 2**20, "multiples": multiples}


def _tfcompress(way: str, x: Any, y: Any) -> Callable[[Any, Peaks], Any]:
    import tfcompress as tfc
    from tfcompress.training import Fit

    recipe = "int8" if way.endswith("int8") else "prune50-int8"
    fit = Fit(x, y, batch_size=4)

    def run(model: Any, peaks: Peaks) -> Any:
        def tell(what: str, done: int, total: int) -> None:
            peaks.step = what.rpartition(": ")[2].partition(",")[0]

        return tfc.compress(model, recipe, fit=fit, samples=x, progress=tell)

    return run


def _raw(way: str, x: Any, y: Any) -> Callable[[Any, Peaks], Any]:
    """What a user writes without tfcompress."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf
    from tensorflow_model_optimization.sparsity import keras as sparsity

    def samples() -> Iterator[list[Any]]:
        for image in x:
            yield [image[None]]

    def run(model: Any, peaks: Peaks) -> Any:
        if way.startswith("TFMOT"):
            peaks.step, loss = "apply", model.loss
            schedule = sparsity.ConstantSparsity(0.5, 0, frequency=1)
            model = sparsity.prune_low_magnitude(model, schedule)
            model.compile("sgd", loss)
            peaks.step = "train"
            model.fit(x, y, batch_size=4, callbacks=[sparsity.UpdatePruningStep()], verbose=0)
            peaks.step = "strip"
            model = sparsity.strip_pruning(model)
        peaks.step = "convert"
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return model, converter.convert()

    return run


def main() -> None:
    """Measure every way in a process of its own and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("vgg", "dense"), default="vgg")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--in-this-process", action="store_true", help="print one way as JSON")
    args = parser.parse_args()
    if args.in_this_process:
        print(json.dumps(measured(args.way, args.network, args.width, args.size)))
        return
    steps = ("apply", "train", "strip", "convert", "parity", "afterwards")
    print("| way | " + " | ".join(steps) + " |\n|---|" + "--:|" * len(steps))
    options = ["--network", args.network, "--width", str(args.width), "--size", str(args.size)]
    for way in [args.way] if args.way else WAYS:
        command = [sys.executable, __file__, *options, "--in-this-process", "--way", way]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode:
            print(f"| {way} | failed |")
            continue
        result = json.loads(done.stdout.splitlines()[-1])
        multiples = result["multiples"]
        cells = [f"{multiples[step]:.1f}" if step in multiples else "" for step in steps]
        print(f"| {way} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nThe model's weights: {result['model_mib']:.0f} MiB.")


if __name__ == "__main__":
    main()
