"""`significance`: the dimension of every layer's output, its change, the bits that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.core import RecipeError

if TYPE_CHECKING:
    from tfcompress.analysis import LayerScores

By = Annotated[
    str,
    typer.Option(
        help="twonn (intrinsic dimension) or pca (components for 99 % of the variance), each with "
        "the view of its paper."
    ),
]
ViewOption = Annotated[
    str,
    typer.Option(
        help="flatten: an image is a point; channels: a position is a point; default: by's own."
    ),
]
Threshold = Annotated[
    float, typer.Option(help="A layer is significant when its dimension changes by more.")
]


def significance(
    model: _options.ModelFile,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    by: By = "twonn",
    view: ViewOption = "",
    images: _options.Images = 1000,
    threshold: Threshold = 20.0,
    plot: _options.Plot = None,
    trust: _options.Trust = False,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Which layers matter: the intrinsic dimension of every layer's output, its change, the bits.

    `twonn` and `pca` stand for what they stand for in recipes' names.
    """
    from tfcompress import analysis
    from tfcompress.analysis.dimension import by_name

    named = by_name(by)
    _require_view(view)
    _output.require_writable([plot], overwrite=overwrite)
    purpose = "significance looks at what the layers make of real inputs"
    network, known = _inputs.model_and_data(model, data, scale, purpose, trust=trust)
    samples = known.x_train[:images]
    scores = analysis.significance(
        network,
        samples,
        by=named.by,
        view=view or named.view,  # type: ignore[arg-type]
        rule=named.rule,
    )
    bits = analysis.allocate_bits(scores, threshold=threshold)
    if as_json:
        _output.print_json({**scores.to_dict(), "bits": bits, "threshold": threshold})
    else:
        _print(scores, bits, threshold, len(samples))
    _output.write(plot, lambda file: scores.plot(threshold, path=file), overwrite=overwrite)


def _require_view(view: str) -> None:
    if view not in ("", "flatten", "channels"):
        raise RecipeError(f"--view {view}: expected flatten or channels.")


def _print(scores: LayerScores, bits: dict[str, int], threshold: float, inputs: int) -> None:
    """A table: dimension, change, rank and bits of a layer a line."""
    rank = scores.rank()
    typer.echo(
        f"{'layer':24s} {'dimension':>10s} {'change':>8s} {'rank':>5s} {'bits':>5s}   "
        f"({scores.by}, {inputs:,} inputs)"
    )
    for layer in scores:
        dimension = scores.details["dimension"][layer]
        mark = "*" if scores[layer] > threshold else " "
        typer.echo(
            f"{layer:24s} {dimension:10.2f} {scores[layer]:8.2f}{mark}"
            f"{rank.index(layer) + 1:5d} {bits.get(layer, 32):5d}"
        )
    typer.echo(f"* changes the dimension by more than {threshold:g}")
