"""The main job on the embedded default: real digits, a small network, eight files, one comparison."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from tfcompress.cli._loading import load_tensorflow

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


def run(out: Path, seed: int, epochs: int) -> None:
    """Train, compress by every recipe, print the table, write `out`/report.html and the files."""
    start = time.perf_counter()
    load_tensorflow()
    from tfcompress import zoo
    from tfcompress._backend import bridge as _keras
    from tfcompress._study import study
    from tfcompress.core import write_all
    from tfcompress.training import Fit

    data = zoo.load_data("digits")
    _keras.set_seed(seed)
    model = zoo.quantnet(input_shape=data.x_train.shape[1:], classes=10)
    common = {
        "validation_data": (data.x_val, data.y_val),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
    }
    typer.echo(f"Training QuantNET on {len(data.x_train)} real 8×8 digits …", err=True)
    Fit(data.x_train, data.y_train, epochs=epochs, optimizer="adam", early_stopping=4, **common)(
        model, []
    )
    fit = Fit(data.x_train, data.y_train, epochs=12, optimizer="adam", **common)

    def tell(what: str, done: int, total: int) -> None:
        typer.echo(f"[{time.perf_counter() - start:5.0f} s] {what}", err=True)

    report = study(
        model,
        list(RECIPES),
        fit=fit,
        samples=data.x_train[:200],
        evaluate=(data.x_test, data.y_test),
        seeds=[seed],
        out=out,
        progress=tell,
        threads=(1, 2),
        title="QuantNET on digits",
    )
    columns = ["accuracy", "size_bytes", "gzip_bytes", "latency_ms_p50"]
    typer.echo(report.to_markdown(columns))
    report.to_html(out / "report.html", overwrite=True)
    write_all(
        {out / "report.md": report.to_markdown(columns), out / "report.csv": report.to_csv()},
        overwrite=True,
    )
    failed = [row for row in report.rows if row.get("error")]
    files, seconds = len(report.rows) - len(failed), time.perf_counter() - start
    typer.echo(f"Wrote {out}/report.html and {files} .tflite files in {seconds:.0f} s.", err=True)
    if failed:
        raise typer.Exit(1)
