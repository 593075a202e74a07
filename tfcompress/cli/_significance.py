"""What `significance` does: the dimension of every layer's output, its change, the bits that follow, and a plot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from tfcompress.cli._loading import load_tensorflow
from tfcompress.cli._model import load_data
from tfcompress.core import DataError, RecipeError, write_all


def run(
    path: Path,
    data_name: str,
    by: str,
    view: str,
    images: int,
    threshold: float,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Print one line a layer of the model at `path`: dimension, change, rank, bits; draw them to `plot`."""
    from tfcompress import analysis
    from tfcompress._compress import load_model

    estimators = {"twonn": analysis.TwoNN, "pca": analysis.PCADimension}
    if by not in estimators:
        raise RecipeError(f"--by {by}: expected one of {', '.join(estimators)}.")
    if not data_name:
        raise DataError(
            "significance looks at what the layers make of real inputs: pass --data digits, an .npz or a folder of images."
        )
    load_tensorflow()
    model = load_model(path)
    x = load_data(data_name, model).x_train[:images]
    scores = analysis.significance(
        model, x, by=estimators[by](), view=view, progress=sys.stderr.isatty()
    )
    bits = analysis.allocate_bits(scores, threshold=threshold)
    if as_json:
        typer.echo(
            json.dumps(
                {**scores.to_dict(), "bits": bits, "threshold": threshold},
                indent=2,
                sort_keys=True,
                default=float,
            )
        )
    else:
        _tell(scores, bits, threshold, len(x))
    if plot is not None:  # what was measured is said before a file can fail
        write_all(
            {plot: lambda temporary: scores.plot(threshold, path=temporary)}, overwrite=overwrite
        )
        typer.echo(f"wrote {plot}", err=True)


def _tell(scores: Any, bits: dict[str, int], threshold: float, inputs: int) -> None:
    """A table: dimension, change, rank and bits of a layer a line."""
    rank = scores.rank()
    typer.echo(
        f"{'layer':24s} {'dimension':>10s} {'change':>8s} {'rank':>5s} {'bits':>5s}   ({scores.by}, {inputs:,} inputs)"
    )
    for layer in scores:
        dimension = scores.details["dimension"][layer]
        mark = "*" if scores[layer] > threshold else " "
        typer.echo(
            f"{layer:24s} {dimension:10.2f} {scores[layer]:8.2f}{mark}{rank.index(layer) + 1:5d} {bits.get(layer, 32):5d}"
        )
    typer.echo(f"* changes the dimension by more than {threshold:g}")
