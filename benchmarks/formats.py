"""Which format is fast for convolutional networks on this CPU: five formats of two
keras.applications, in turn in one run.

    python benchmarks/formats.py [--size 96]

Weights are random: they change no time. Prints Markdown, the median of each file and its ratio to
float32.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfcompress as tfc
from tfcompress import profiling

NETWORKS = ("MobileNetV2", "EfficientNetB0")
FORMATS = ("float32", "dynamic", "float16", "int8", "int16x8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=96, help="of the images")
    args = parser.parse_args()
    print("| network | " + " | ".join(FORMATS) + " |\n|---|" + "--:|" * len(FORMATS))
    for name in NETWORKS:
        model = getattr(keras.applications, name)(
            weights=None, input_shape=(args.size, args.size, 3), classes=10
        )
        scale = 255.0 if name == "EfficientNetB0" else 1.0
        samples = scale * np.random.default_rng(0).random(
            (100, *model.input_shape[1:]), dtype=np.float32
        )
        cells, files = dict.fromkeys(FORMATS, "refused"), {}
        for to in FORMATS:
            try:
                files[to] = tfc.convert(model, to, samples)
            except tfc.TfcompressError as error:
                print(f"<!-- {name} {to}: {error} -->")
        found = profiling.profile_many(
            list(files.values()), names=list(files), ops=False, timeout=900
        )
        ms = {to: profile.latency[0].latency_ms_p50 for to, profile in zip(files, found)}
        cells |= {to: f"{value:.2f} ms, {value / ms['float32']:.2f}×" for to, value in ms.items()}
        print(
            f"| {name} {args.size}×{args.size} | " + " | ".join(cells.values()) + " |", flush=True
        )


if __name__ == "__main__":
    main()
