"""MLPerf Tiny's pretrained ResNet-8 to int8: accuracy on CIFAR-10's 10,000 test images and bytes,
beside the file MLPerf ships.

    python examples/resnet8_int8.py pretrainedResnet.h5 --data folder/with/cifar10.npz \\
        --calibration calibration_samples_idxs.npy --reference pretrainedResnet_quant.tflite

MLPerf's calibration indices point into the test images (its rules); --calibration is optional, and
without it 500 training images calibrate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tfcompress as tfc
from tfcompress import zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "model", type=Path, help="the trained Keras model (.h5 or .keras), input 0..255"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with cifar10.npz (default: TFCOMPRESS_DATA, else Keras downloads it)",
    )
    parser.add_argument("--calibration", type=Path, help=".npy of indices into the test images")
    parser.add_argument(
        "--reference", type=Path, help="another .tflite of this model to compare with"
    )
    parser.add_argument("--out", type=Path, help="folder for the written files")
    args = parser.parse_args()
    data = zoo.load_data("cifar10", args.data, scale=1)
    model = tfc.load_model(args.model)
    rows = [
        ("float32", tfc.convert(model, "float32")),
        ("int8, training images", tfc.convert(model, "int8", data.x_train[:500])),
    ]
    if args.calibration:
        rows.append(
            (
                "int8, given images",
                tfc.convert(model, "int8", data.x_test[np.load(args.calibration)]),
            )
        )
    print("| file | accuracy % | bytes |\n|---|--:|--:|")
    for name, artifact in rows:
        print(
            f"| {name} | {100 * tfc.evaluate(artifact, data.x_test, data.y_test):.2f} | "
            f"{artifact.size_bytes:,} |",
            flush=True,
        )
        if args.out:
            artifact.save(args.out / name.replace(", ", "-").replace(" ", "-"), overwrite=True)
    if args.reference:
        accuracy = tfc.evaluate(args.reference, data.x_test, data.y_test)
        print(
            f"| {args.reference.name} | {100 * accuracy:.2f} | {args.reference.stat().st_size:,} |"
        )


if __name__ == "__main__":
    main()
