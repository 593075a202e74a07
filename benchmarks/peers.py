"""What the README says of other tools, carried out: each claim is a call, and its outcome is
printed.

    python benchmarks/peers.py
        (TFMOT and Keras, which are installed with tfcompress)
    pip install litert-quantizer && python benchmarks/peers.py
        (it too)

Writes docs/results/peers.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import re
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfcompress as tfc
from tfcompress import zoo

ROOT = Path(__file__).resolve().parents[1]


def told(error: BaseException, most: int = 240) -> str:
    """The line of an error that says what is wrong, for a table."""
    wrong = re.search(r"'tfl\.\w+' op .*", str(error))
    text = wrong[0] if wrong else (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text if len(text) <= most else text[:most] + ' …'}".replace(
        "|", "/"
    )


def tfmot() -> list[tuple[str, str]]:
    """TFMOT and a Keras 3 model."""
    from tfcompress._backend.tfmot import load

    try:
        load().sparsity.keras.prune_low_magnitude(zoo.quantnet(classes=10))
        return [("`prune_low_magnitude` of a Keras 3 model", "takes it")]
    except Exception as error:
        return [("`prune_low_magnitude` of a Keras 3 model", told(error))]


def keras_quantize() -> list[tuple[str, str]]:
    """`model.quantize("int8")` of a network with convolutions, and its export."""
    model = zoo.quantnet(classes=10)
    model.quantize("int8")
    kernels = {
        layer.name: str(layer.kernel.dtype) for layer in model.layers if hasattr(layer, "kernel")
    }
    rows = [
        (
            '`quantize("int8")`, types of the kernels',
            ", ".join(f"{name} {dtype}" for name, dtype in kernels.items()),
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        try:
            model.export(str(path), format="litert", verbose=False)
            rows.append(('then `export(format="litert")`', f"{path.stat().st_size:,} bytes"))
        except Exception as error:
            rows.append(('then `export(format="litert")`', told(error)))
    return rows


def litert_quantizer() -> list[tuple[str, str]]:
    """Its 8-, 4- and 2-bit recipes on a network with convolutions, run."""
    if importlib.util.find_spec("litert_quantizer") is None:
        return [("not installed", "not run")]
    import tensorflow as tf
    from litert_quantizer import quantizer, recipe

    from tfcompress import profiling

    # The converter's own file: the tool wants every tensor's name once, and files of tfcompress
    # name kernel and output of a layer alike.
    source = tf.lite.TFLiteConverter.from_keras_model(zoo.quantnet(classes=10)).convert()
    x = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    _, expected = profiling.evaluate(source, x, np.zeros(4, int), predictions=True)
    rows = []
    for name in ("dynamic_wi8_afp32", "dynamic_wi4_afp32", "dynamic_wi2c_afp32"):
        make = getattr(recipe, name, None)
        if make is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(source)
            try:
                work = quantizer.Quantizer(str(path))
                work.load_quantization_recipe(make())
                data = bytes(work.quantize().quantized_model)
            except Exception as error:
                rows.append((f"`{name}`", told(error)))
                continue
        try:
            _, outputs = profiling.evaluate(data, x, np.zeros(4, int), predictions=True)
            distance = np.linalg.norm(np.asarray(outputs) - expected) / np.linalg.norm(expected)
            ran = f"relative distance of its outputs to the float file's {distance:.2g}"
        except Exception as error:
            ran = told(error)
        rows.append((f"`{name}`", f"{len(data):,} bytes; {ran}"))
    return rows


def ours() -> list[tuple[str, str]]:
    """The same network here."""
    model, x = (
        zoo.quantnet(classes=10),
        np.random.default_rng(0).random((100, 32, 32, 3), dtype=np.float32),
    )
    return [
        (
            f"`tfc.convert(model, {to!r})`",
            f"{tfc.convert(model, to, x).size_bytes:,} bytes, checked",
        )
        for to in ("float32", "int8")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--markdown", type=Path, default=ROOT / "docs" / "results" / "peers.md")
    args = parser.parse_args()
    tools = {
        "tensorflow-model-optimization": tfmot,
        "keras": keras_quantize,
        "litert-quantizer": litert_quantizer,
        "tfcompress": ours,
    }
    lines = [
        "# Other tools, tried",
        "",
        "Written by `python benchmarks/peers.py`: QuantNET for ten classes, random weights.",
        "",
    ]
    lines += ["| tool | what was called | what came |", "|---|---|---|"]
    for name, run in tools.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        lines += [f"| {name} {version} | {what} | {came} |" for what, came in run()]
    args.markdown.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
