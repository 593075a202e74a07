"""What `sensitivity` does: accuracy against the share of filters removed, by layer or block, and a recipe of the ratios it suggests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from tfcompress.cli._loading import load_tensorflow
from tfcompress.cli._model import load_data
from tfcompress.core import DataError, Recipe, write_all


def run(
    path: Path,
    data_name: str,
    by: str,
    importance: str,
    images: int,
    max_drop: float,
    plot: Path | None,
    recipe: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Print a curve a line and the ratios within `max_drop`; draw them to `plot`; write what prunes by them to `recipe`."""
    from tfcompress import analysis
    from tfcompress._compress import load_model
    from tfcompress.targets import Int8
    from tfcompress.techniques import PruneFilters

    if not data_name:
        raise DataError(
            "sensitivity measures accuracy: pass --data digits, an .npz or a folder of images."
        )
    load_tensorflow()
    model = load_model(path)
    data = load_data(data_name, model)
    x, y = data.x_val[:images], data.y_val[:images]
    curves = analysis.filter_sensitivity(
        model, (x, y), by=by, importance=importance, progress=sys.stderr.isatty()
    )
    ratios = analysis.suggest_ratios(curves, max_drop)
    if as_json:
        said = {"base": curves.base, "metric": curves.metric, "n": curves.n, "suggested": ratios}
        said |= {
            "curves": {
                name: {f"{ratio:g}": value for ratio, value in curve.items()}
                for name, curve in curves.curves.items()
            }
        }
        typer.echo(json.dumps(said, indent=2, sort_keys=True))
    else:
        _tell(curves, ratios, by, max_drop)
    if plot is not None:  # what was measured is said before a file can fail
        write_all(
            {plot: lambda temporary: curves.plot(max_drop, path=temporary)}, overwrite=overwrite
        )
        typer.echo(f"wrote {plot}", err=True)
    if recipe is not None:
        if not ratios:
            raise DataError(
                f"No recipe written: no layer loses filters within {max_drop:.1%}; a larger --max-drop allows more."
            )
        pruned = Recipe([PruneFilters(ratios, importance=importance)], Int8(), name=recipe.stem)
        write_all({recipe: pruned.to_json() + "\n"}, overwrite=overwrite)
        typer.echo(f"wrote {recipe}", err=True)


def _tell(curves: Any, ratios: dict[str, float], by: str, max_drop: float) -> None:
    """A table: a curve a line, with the ratio suggested for it."""
    wide = max(len("filters removed"), *(len(name) for name in curves.curves))
    steps = list(next(iter(curves.curves.values())))
    typer.echo(
        f"{'filters removed':<{wide}} {' '.join(f'{ratio:>6.0%}' for ratio in steps)}   suggested"
    )
    for name, curve in curves.curves.items():
        best = ratios.get(curves.layers[name][0], 0.0)
        typer.echo(
            f"{name:<{wide}} {' '.join(f'{100 * value:>6.2f}' for value in curve.values())} {best:>11.0%}"
        )
    typer.echo(
        f"accuracy in %; the whole model: {curves.base:.2%} of {curves.n:,} validation images; each {by} alone, not trained again"
    )
    typer.echo(f"suggested: the most that loses no more than {max_drop:.1%}")
