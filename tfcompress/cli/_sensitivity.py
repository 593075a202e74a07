"""`sensitivity`: accuracy against the share of filters removed, and the ratios it suggests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.core import DataError, Recipe

if TYPE_CHECKING:
    from tfcompress.analysis import FilterCurves

By = Annotated[str, typer.Option(help="layer, or block: all filters of a residual block.")]
Importance = Annotated[str, typer.Option(help="Which filters go first: l1, l2 or bn_gamma.")]
MaxDrop = Annotated[
    float, typer.Option(help="Accuracy that one layer's or block's loss of filters may cost.")
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(help="Also write a recipe .json with the suggested ratios, for compress."),
]


def sensitivity(
    model: _options.ModelFile,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    by: By = "layer",
    importance: Importance = "l1",
    images: _options.Images = 1000,
    max_drop: MaxDrop = 0.02,
    plot: _options.Plot = None,
    recipe: RecipeFile = None,
    trust: _options.Trust = False,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """How many filters each layer can lose: accuracy against the share removed."""
    from tfcompress import analysis
    from tfcompress.analysis._filters import require_max_drop

    require_max_drop(max_drop)
    _output.require_writable([plot, recipe], overwrite=overwrite)
    purpose = "sensitivity measures accuracy"
    network, known = _inputs.model_and_data(model, data, scale, purpose, trust=trust)
    x, y = known.x_val[:images], known.y_val[:images]
    curves = analysis.filter_sensitivity(network, (x, y), by=by, importance=importance)
    ratios = analysis.suggest_ratios(curves, max_drop)
    if as_json:
        _output.print_json(_as_dict(curves, ratios))
    else:
        _print(curves, ratios, by, max_drop)
    _output.write(plot, lambda file: curves.plot(max_drop, path=file), overwrite=overwrite)
    if recipe is not None:
        _write_recipe(recipe, ratios, importance, max_drop, overwrite=overwrite)


def _write_recipe(
    path: Path, ratios: dict[str, float], importance: str, max_drop: float, *, overwrite: bool
) -> None:
    """The recipe that prunes by `ratios`, as JSON; DataError where there are none."""
    from tfcompress.targets import Int8
    from tfcompress.techniques import PruneFilters

    if not ratios:
        raise DataError(
            f"No recipe written: no layer loses filters within {max_drop:.1%}; a larger "
            "--max-drop allows more."
        )
    pruned = Recipe([PruneFilters(ratios, importance=importance)], Int8(), name=path.stem)
    _output.write(path, pruned.to_json() + "\n", overwrite=overwrite)


def _as_dict(curves: FilterCurves, ratios: dict[str, float]) -> dict[str, object]:
    by_name = {}
    for name, curve in curves.curves.items():
        by_name[name] = {f"{ratio:g}": value for ratio, value in curve.items()}
    return {
        "base": curves.base,
        "metric": curves.metric,
        "n": curves.n,
        "suggested": ratios,
        "curves": by_name,
    }


def _print(curves: FilterCurves, ratios: dict[str, float], by: str, max_drop: float) -> None:
    """A table: a curve a line, with the ratio suggested for it."""
    head = "filters removed"
    width = max(len(name) for name in (head, *curves.curves))
    steps = list(next(iter(curves.curves.values())))
    typer.echo(f"{head:<{width}} {' '.join(f'{ratio:>6.0%}' for ratio in steps)}   suggested")
    for name, curve in curves.curves.items():
        best = ratios.get(curves.layers[name][0], 0.0)
        numbers = " ".join(f"{100 * value:>6.2f}" for value in curve.values())
        typer.echo(f"{name:<{width}} {numbers} {best:>11.0%}")
    typer.echo(
        f"accuracy in %; the whole model: {curves.base:.2%} of {curves.n:,} validation images; "
        f"each {by} alone, not trained again"
    )
    typer.echo(f"suggested: the most that loses no more than {max_drop:.1%}")
