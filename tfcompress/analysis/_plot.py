"""The picture of a Significance: dimension by layer, scores with their threshold, cumulative variance."""

from __future__ import annotations

from typing import Any

from tfcompress.core import Significance

MARKED, PLAIN, LINE = "#c0392b", "#9aa5b1", "#1f4e79"


def draw(scores: Significance, threshold: float | None, path: Any) -> Any:
    """A Matplotlib figure without a window; saved to `path` if given."""
    from matplotlib.figure import Figure

    details = scores.details
    curves = {
        name: said["curve"]
        for name, said in details.get("measured", {}).items()
        if said.get("curve")
    }
    profile = details.get("dimension") or details.get("metric")
    panels = 1 + bool(profile) + bool(curves)
    figure = Figure(figsize=(max(5.0, 0.35 * len(scores)) * panels, 4.2), layout="constrained")
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if profile:
        _profile(next(axes), profile, details)
    _bars(next(axes), scores, threshold)
    if curves:
        _curves(next(axes), curves)
    figure.suptitle(scores.by, fontsize=10)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def draw_curves(found: Any, max_drop: float | None, path: Any) -> Any:
    """The metric against the share of filters removed, one curve a layer or block (Li et al. 2017, figure 2)."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axis = figure.subplots()
    colours = colormaps["viridis"]
    for number, (name, curve) in enumerate(found.curves.items()):
        points = [
            (0.0, found.base),
            *((ratio, value) for ratio, value in sorted(curve.items()) if ratio > 0),
        ]
        colour = colours(0.95 * number / max(len(found.curves) - 1, 1))
        first, *more = name.split(" + ")
        label = first + (
            f" + {len(more)} more" if more else ""
        )  # a sum joins many layers, whose names would leave the axes no room
        axis.plot(*zip(*points), "o-", markersize=3, linewidth=1.2, label=label, color=colour)
    if max_drop is not None:
        axis.axhline(
            found.base - max_drop,
            color=MARKED,
            linestyle="--",
            linewidth=1,
            label=f"{max_drop:g} lost",
        )
    axis.set_xlabel("share of filters removed", fontsize=9)
    axis.set_ylabel(f"{found.metric} of {found.n:,} without fine-tuning", fontsize=9)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _profile(axis: Any, profile: Any, details: Any) -> None:
    names = list(profile)
    axis.plot(range(len(names)), [profile[name] for name in names], "o-", color=LINE, markersize=4)
    for i, name in enumerate(names):
        interval = details.get("measured", {}).get(name, {}).get("ci")
        if interval:
            axis.plot([i, i], interval, color=LINE, alpha=0.5)
    if "base" in details:
        axis.axhline(details["base"], color=PLAIN, linestyle="--", label="nothing changed")
        axis.legend(frameon=False, fontsize=8)
    _label(
        axis,
        names,
        "dimension of the output" if "dimension" in details else "metric with this layer changed",
    )


def _bars(axis: Any, scores: Significance, threshold: float | None) -> None:
    names = list(scores)
    above = [threshold is not None and scores[name] > threshold for name in names]
    bars = axis.bar(
        range(len(names)),
        [scores[name] for name in names],
        color=[MARKED if yes else PLAIN for yes in above],
    )
    axis.bar_label(bars, fmt="%.3g", fontsize=7)
    if threshold is not None:
        axis.axhline(threshold, color=MARKED, linestyle="--", label=f"threshold {threshold:g}")
        axis.legend(frameon=False, fontsize=8)
    _label(axis, names, f"significance ({scores.unit})" if scores.unit else "significance")


def _curves(axis: Any, curves: Any) -> None:
    for name, curve in curves.items():
        axis.plot(*zip(*curve), label=name)
    axis.set_xscale("log")
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("components", fontsize=8)
    axis.set_ylabel("cumulative variance", fontsize=8)
    axis.tick_params(labelsize=7)
    if len(curves) <= 12:
        axis.legend(frameon=False, fontsize=7)


def _label(axis: Any, names: list[str], what: str) -> None:
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_ylabel(what, fontsize=8)
