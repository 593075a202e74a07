"""`debug`: which layer of a `.tflite` is off, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfcompress.cli import _inputs, _options, _output

TfliteFile = Annotated[Path, typer.Argument(help="A .tflite that was written from the model.")]
KerasFile = Annotated[
    Path, typer.Option("--model", help="That model: .keras, .h5 or a SavedModel folder.")
]
Most = Annotated[int, typer.Option(min=1, help="Layers printed, the worst first.")]


def debug(
    file: TfliteFile,
    model: KerasFile,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    images: _options.Images = 100,
    most: Most = 20,
    plot: _options.Plot = None,
    trust: _options.Trust = False,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Which layer of a .tflite is off: its own tensors against the model's layers."""
    from tfcompress import analysis
    from tfcompress._backend.interpreter._interpreter import check_file

    check_file(file)
    _output.require_writable([plot], overwrite=overwrite)
    purpose = "debug compares the layers on real inputs"
    network, known = _inputs.model_and_data(model, data, scale, purpose, trust=trust)
    errors = analysis.error_by_layer(file, network, known.x_train, inputs=images)
    if as_json:
        _output.print_json(errors.to_dict())
    else:
        typer.echo(errors.table(most), nl=False)
    _output.write(plot, lambda to: errors.plot(path=to), overwrite=overwrite)
