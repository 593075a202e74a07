"""Pictures: dimension by layer, scores with their threshold, variance, filters removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfcompress.analysis._figure import FilePath, styled
from tfcompress.core import Significance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tfcompress.analysis._filters import FilterCurves

MARKED, PLAIN, LINE = "#c0392b", "#9aa5b1", "#1f4e79"
Curve = Sequence[tuple[int, float]]


def draw(scores: Significance, threshold: float | None, path: FilePath) -> Figure:
    """A Matplotlib figure without a window; saved to `path` if given."""
    return styled(lambda: _scores(scores, threshold), path)


def _scores(scores: Significance, threshold: float | None) -> Figure:
    from matplotlib.figure import Figure

    details = scores.details
    curves = _variance_curves(details)
    profile = details.get("dimension") or details.get("metric")
    panels = 1 + sum(1 for shown in (profile, curves) if shown)
    figure = Figure(figsize=(max(5.0, 0.35 * len(scores)) * panels, 4.2), layout="constrained")
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if profile:
        _draw_profile(next(axes), profile, details)
    _draw_bars(next(axes), scores, threshold)
    if curves:
        _draw_variance(next(axes), curves)
    figure.suptitle(scores.by, fontsize=11)
    return figure


def draw_curves(curves: FilterCurves, max_drop: float | None, path: FilePath) -> Figure:
    """The metric against the share of filters removed, one curve a layer or block.

    As figure 2 of Li et al. 2017.
    """
    return styled(lambda: _curves(curves, max_drop), path)


def _curves(curves: FilterCurves, max_drop: float | None) -> Figure:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axis = figure.subplots()
    colours = colormaps["viridis"]
    for number, (name, curve) in enumerate(curves.curves.items()):
        removed = [ratio for ratio in sorted(curve) if ratio > 0]
        colour = colours(0.95 * number / max(len(curves.curves) - 1, 1))
        axis.plot(
            [0.0, *removed],
            [curves.base, *(curve[ratio] for ratio in removed)],
            "o-",
            markersize=3,
            linewidth=1.2,
            label=_short(name),
            color=colour,
        )
    if max_drop is not None:
        _draw_limit(axis, curves.base - max_drop, f"{max_drop:g} lost")
    axis.set_xlabel("share of filters removed")
    axis.set_ylabel(f"{curves.metric} of {curves.n:,} without fine-tuning")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _short(name: str) -> str:
    """A sum joins many layers, whose names would leave the axes no room."""
    first, *more = name.split(" + ")
    return f"{first} + {len(more)} more" if more else first


def _variance_curves(details: Mapping[str, Any]) -> dict[str, Curve]:
    """Name → cumulative variance, of the dimensions that have one."""
    curves: dict[str, Curve] = {}
    for name, dimension in details.get("measured", {}).items():
        if dimension.get("curve"):
            curves[name] = dimension["curve"]
    return curves


def _draw_profile(axis: Axes, profile: Mapping[str, float], details: Mapping[str, Any]) -> None:
    """Dimension, or metric, of every layer, with its interval."""
    names = list(profile)
    axis.plot(range(len(names)), [profile[name] for name in names], "o-", color=LINE, markersize=4)
    for place, name in enumerate(names):
        interval = details.get("measured", {}).get(name, {}).get("ci")
        if interval:
            axis.plot([place, place], interval, color=LINE, alpha=0.5)
    if "base" in details:
        axis.axhline(details["base"], color=PLAIN, linestyle="--", label="nothing changed")
        axis.legend()
    is_dimension = "dimension" in details
    what = "dimension of the output" if is_dimension else "metric with this layer changed"
    _label(axis, names, what)


def _draw_bars(axis: Axes, scores: Significance, threshold: float | None) -> None:
    """Scores, those above the threshold marked."""
    limit = float("inf") if threshold is None else threshold
    colours = [MARKED if scores[name] > limit else PLAIN for name in scores]
    heights = [scores[name] for name in scores]
    bars = axis.bar(range(len(scores)), heights, color=colours)
    axis.bar_label(bars, fmt="%.3g", fontsize=8)
    if threshold is not None:
        _draw_limit(axis, threshold, f"threshold {threshold:g}")
        axis.legend()
    _label(axis, list(scores), f"significance ({scores.unit})" if scores.unit else "significance")


def _draw_variance(axis: Axes, curves: Mapping[str, Curve]) -> None:
    """Cumulative variance against the number of components."""
    for name, curve in curves.items():
        axis.plot([k for k, _ in curve], [share for _, share in curve], label=name)
    axis.set_xscale("log")
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("components")
    axis.set_ylabel("cumulative variance")
    if len(curves) <= 12:
        axis.legend()


def _draw_limit(axis: Axes, height: float, label: str) -> None:
    axis.axhline(height, color=MARKED, linestyle="--", linewidth=1, label=label)


def _label(axis: Axes, names: list[str], what: str) -> None:
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axis.set_ylabel(what)
