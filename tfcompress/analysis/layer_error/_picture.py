"""The picture of errors by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfcompress.analysis._figure import FilePath, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tfcompress.analysis.layer_error._result import ErrorByLayer

WORST, PLAIN, LINE = "#c0392b", "#9aa5b1", "#1f4e79"


def draw(errors: ErrorByLayer, path: FilePath) -> Figure:
    """Effect on the outputs as bars, errors as lines, the signal-to-noise ratio below."""
    return styled(lambda: _figure(errors), path)


def _figure(errors: ErrorByLayer) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.3 * len(errors)), 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_errors(above, errors)
    places = list(range(len(errors)))
    below.plot(places, [_or_nan(each.snr_db) for each in errors], "o-", color=LINE)
    below.set_ylabel("signal to noise, dB")
    below.set_xticks(places, [each.layer for each in errors], rotation=90, fontsize=7)
    figure.suptitle(f"{errors.file}: error by layer, {errors.inputs:,} inputs", fontsize=10)
    return figure


def _draw_errors(axis: Axes, errors: ErrorByLayer) -> None:
    places = list(range(len(errors)))
    worst = errors.rank()[:1]
    colours = [WORST if each.layer in worst else PLAIN for each in errors]
    axis.bar(places, [100 * each.effect for each in errors], color=colours, label="effect")
    axis.plot(places, [100 * each.added for each in errors], ".", color=LINE, label="added")
    axis.plot(places, [100 * each.error for each in errors], "-", color=LINE, label="error")
    axis.set_ylabel("% of the exact values")
    axis.set_yscale("symlog", linthresh=0.1)
    axis.legend(fontsize=8)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
