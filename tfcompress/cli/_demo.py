"""`demo`: real digits, a small network, eight files, one comparison."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.cli._lines import step_lines
from tfcompress.core import ArtifactError, write_all

if TYPE_CHECKING:
    from tfcompress.report import Report
    from tfcompress.zoo import Data

RECIPES = (
    "float32",
    "dynamic",
    "float16",
    "int8",
    "int16x8",
    "prune80-int8",
    "cluster16-qat-int8",
    "prune80-cluster16-qat-int8",
)
COLUMNS = ("accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50")
OPTIONS_FILE = "demo.json"

BaseEpochs = Annotated[int, typer.Option(min=1, help="Epochs of the base training.")]


def demo(
    out: _options.Out = Path("tfcompress-demo"), seed: _options.Seed = 0, epochs: BaseEpochs = 15
) -> None:
    """Train a small network on real digits, compress it in eight ways, and compare the files."""
    start = time.perf_counter()
    _claim(out, {"seed": seed, "epochs": epochs})
    _inputs.load_tensorflow()
    kept = f"finished files are kept in {out}; the same command goes on from there"
    with _output.stopped_means(kept):
        report = _study(out, seed, epochs)
    _output.warn(report.warnings())
    typer.echo(report.to_markdown(COLUMNS))
    failed = [row for row in report.rows if row.get("error")]
    files, seconds = len(report.rows) - len(failed), time.perf_counter() - start
    typer.echo(f"Wrote {out}/report.html and {files} .tflite files in {seconds:.0f} s.", err=True)
    if failed:
        raise typer.Exit(1)


def _claim(out: Path, options: dict[str, int]) -> None:
    """Note what the folder is for; ArtifactError where it holds a demo of other options."""
    _output.require_folder(out)
    note = out / OPTIONS_FILE
    try:
        there = json.loads(note.read_text())
    except (OSError, ValueError):
        there = None
    if there is None and (out / "study.json").exists():
        raise ArtifactError(f"{out} holds another study; choose another --out, or remove it.")
    if there not in (None, options):
        asked = ", ".join(f"--{name} {value}" for name, value in there.items())
        raise ArtifactError(
            f"{out} holds the demo of {asked}; choose another --out, or remove the folder."
        )
    write_all({note: json.dumps(options) + "\n"}, overwrite=True)


def _study(out: Path, seed: int, epochs: int) -> Report:
    """Train the base on the digits and carry out all recipes on it."""
    from tfcompress import zoo
    from tfcompress._backend import bridge as keras
    from tfcompress._study import study
    from tfcompress.training import Fit

    data: Data = zoo.load_data("digits")
    keras.set_seed(seed)
    model = zoo.quantnet(input_shape=data.x_train.shape[1:], classes=10)
    common: dict[str, Any] = {
        "validation_data": (data.x_val, data.y_val),
        "optimizer": "adam",
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
    }
    typer.echo(f"Training QuantNET on {len(data.x_train)} real 8×8 digits …", err=True)
    Fit(data.x_train, data.y_train, epochs=epochs, early_stopping=4, **common)(model, [])
    return study(
        model,
        list(RECIPES),
        # Few images make few steps. `benchmarks/demo_rate.py` chooses on the validation images.
        fit=Fit(data.x_train, data.y_train, epochs=12, learning_rate=8e-3, **common),
        samples=data.x_train[:200],
        evaluate=(data.x_test, data.y_test),
        seeds=[seed],
        out=out,
        progress=step_lines(),
        threads=(1, 2),
        title="QuantNET on digits",
    )
