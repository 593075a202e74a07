"""Residual and depthwise networks in few bits: MLPerf Tiny's ResNet-8 in half the bytes of its int8
file, and a MobileNetV2.

    python examples/studies/packed_networks.py pretrainedResnet.h5 \\
        --data folder/with/cifar10.npz --out packed/

Bits by layer: what accuracy each layer alone loses at 1, 2, 4 and 8 bits (1,000 training images),
then the best sum that the budget allows. Fine-tuned by distillation from the float network. The
MobileNetV2 has random weights and one training step: it shows parity and bytes of depthwise layers
and folded BatchNormalization, not accuracy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.targets import Packed
from tfcompress.techniques import MixedPrecision
from tfcompress.training import Distill, Fit

CHOICES = (1, 2, 4, 8)
SIZE = Packed(prefer="size")


def bits_within(model, data: zoo.Data, limit: int) -> dict[str, int]:
    """Bits by layer with the least sum of accuracies lost whose packed file, graph and all, has at
    most `limit` bytes."""
    some = data.x_train[:1000], data.y_train[:1000]
    scores = {bits: tfc.sensitivity(model, some, ("quantize", bits)) for bits in CHOICES}
    details = scores[8].details
    losses = {
        layer: {bits: max(0.0, scores[bits][layer]) for bits in CHOICES} for layer in scores[8]
    }
    print("Accuracy lost, in points, when one layer alone is rounded:")
    for layer, lost in losses.items():
        print(
            f"  {layer:14s} {details['params'][layer]:7,d} weights  "
            + "  ".join(f"{b} bit {100 * v:5.1f}" for b, v in lost.items())
        )
    budget = float(limit)
    while True:
        bits = tfc.allocate_bits(losses, budget_bytes=budget, sizes=details["params"], ends=8)
        technique = MixedPrecision(bits, scale="channel")
        size = tfc.convert(technique.strip(technique.apply(model)), SIZE).size_bytes
        print(f"budget {budget:,.0f} bytes of weights: a file of {size:,} bytes")
        if size <= limit:
            return bits
        budget -= max(64, size - limit)


def resnet8(args: argparse.Namespace) -> None:
    """The budget of half the int8 file, before and after training, beside int8."""
    import keras

    data = zoo.load_data("cifar10", args.data, scale=1)
    model = tfc.load_model(args.model)
    int8 = tfc.convert(model, "int8", data.x_train[:500])
    bits = bits_within(model, data, int8.size_bytes // 2)
    x, y = data.x_train[: args.images], data.y_train[: args.images]
    rate = keras.optimizers.schedules.CosineDecay(1e-3, args.epochs * -(-len(x) // 64))
    options = {"epochs": args.epochs, "batch_size": 64, "optimizer": keras.optimizers.Adam(rate)}
    fit = Distill(model, x, y, temperature=4, alpha=0.9, **options)
    recipe = tfc.Recipe([MixedPrecision(bits, scale="channel")], SIZE, name="half of int8")
    packed = tfc.compress(model, recipe, fit=fit, seed=0, progress=True)
    print("\n| file | accuracy % of 10,000 | bytes |\n|---|--:|--:|")
    for name, artifact in (
        ("float32", tfc.convert(model, "float32")),
        ("int8", int8),
        ("mixed, half of int8", packed),
    ):
        print(
            f"| {name} | {100 * tfc.evaluate(artifact, data.x_test, data.y_test):.2f} | "
            f"{artifact.size_bytes:,} |",
            flush=True,
        )
    simulated = packed.model.predict(data.x_test, batch_size=256, verbose=0).argmax(1)
    print(
        "\nThe trained Keras model itself: "
        f"{100 * np.mean(simulated == data.y_test.reshape(-1)):.2f} %"
    )
    layers(packed)
    packed.save(args.out / "resnet8-half", overwrite=True)


def mobilenet_v2(args: argparse.Namespace) -> None:
    """2 bits where a matrix multiplies each position, 4 in depthwise layers, 8 at the ends."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=10)
    model.compile("sgd", "sparse_categorical_crossentropy")
    kernels = [
        layer for layer in model.layers if any(len(weight.shape) >= 2 for weight in layer.weights)
    ]
    bits = {layer.name: 4 if type(layer).__name__ == "DepthwiseConv2D" else 2 for layer in kernels}
    bits |= {kernels[0].name: 8, kernels[-1].name: 8}
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 32, 32, 3), dtype=np.float32), rng.integers(0, 10, 16)
    recipe = tfc.Recipe([MixedPrecision(bits, scale="channel")], SIZE, name="mixed 2/4 bit")
    packed = tfc.compress(model, recipe, fit=Fit(x, y, epochs=1, batch_size=16), seed=0)
    rows = [tfc.convert(model, target, x) for target in ("float32", "int8")]
    print("\n| MobileNetV2, random weights | bytes |\n|---|--:|")
    for artifact in (*rows, packed):
        print(f"| {artifact.recipe.name} | {artifact.size_bytes:,} |")
    layers(packed)
    packed.save(args.out / "mobilenetv2-mixed", overwrite=True)


def layers(artifact: tfc.Artifact) -> None:
    """What every layer holds, and the parity of the file."""
    print("\n| layer | operator | encoding | levels | bytes |\n|---|---|---|---|--:|")
    for layer in tfc.packed_layers(artifact.data):
        print(
            f"| {layer.name} | {layer.op} | {layer.encoding} | {layer.levels} | {layer.bytes:,} |"
        )
    exact = max(
        check.value
        for check in artifact.checks
        if check.layer and "relative error of the weights" in check.what
    )
    parity = artifact.checks[-1]
    print(
        f"\nWeights read back: relative error at most {exact:.1e}. {parity.what}: "
        f"{parity.value:.2e} (bound {parity.bound:g})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="the trained ResNet-8 (.h5), input 0..255; without it only the MobileNetV2",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with cifar10.npz (default: TFCOMPRESS_DATA, else Keras downloads it)",
    )
    parser.add_argument("--images", type=int, default=30_000, help="training images of an epoch")
    parser.add_argument(
        "--epochs",
        type=int,
        default=6,
        help="of fine-tuning, the learning rate falling from 1e-3 to 0 by a cosine",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("packed"), help="folder for the written files"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.model:
        resnet8(args)
    mobilenet_v2(args)


if __name__ == "__main__":
    main()
