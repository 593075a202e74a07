"""Matplotlib axes of a report: a column's head, unit and numbers, and names that do not collide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tfcompress.core import column
from tfcompress.report._labels import overlap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Annotation

LOG_FROM = 3
"""A positive axis that spans this ratio is drawn logarithmic."""
DECADE = 30
"""A logarithmic axis that spans less than this is marked at 1, 2 and 5 too."""
Offset = tuple[int, int, Literal["left", "center", "right"]]
OFFSETS: tuple[Offset, ...] = (
    *((8, -3, "left"), (-8, -3, "right"), (0, 8, "center"), (0, -15, "center")),
    *((8, 9, "left"), (-8, 9, "right"), (8, -15, "left"), (-8, -15, "right")),
    *((0, 20, "center"), (0, -27, "center"), (8, 21, "left"), (-8, -27, "right")),
)
"""Where a name may stand: points right and up from its point, and the end that is there."""

Names = Sequence[tuple[str, tuple[float, float]]]


def label_axis(axis: Axis, name: str) -> None:
    """The column's head and unit beside `axis`, and its ticks as the column writes numbers."""
    from matplotlib.ticker import FuncFormatter

    shown = column(name)
    unit = f", {shown.unit}" if shown.unit else ""
    axis.set_label_text(shown.head + unit)
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown.tick(value)))


def logarithmic(ax: Axes, values: Sequence[float]) -> None:
    """Draw x logarithmically where the values span a ratio of 3, with ticks that can be read."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if not values or min(values) <= 0 or max(values) / min(values) < LOG_FROM:
        return
    formatter = ax.xaxis.get_major_formatter()
    ax.set_xscale("log")
    if max(values) / min(values) < DECADE:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.set_minor_formatter(NullFormatter())


def name_points(ax: Axes, names: Names) -> None:
    """Write each name beside its point where it covers no other name and no point.

    A name that finds no such place within the axes stands where it covers least.
    """
    figure = ax.get_figure(root=True)
    if figure is None or not names:
        return
    figure.draw_without_rendering()
    taken = []
    for _, point in names:
        x, y = ax.transData.transform(point)
        taken.append((x - 5, y - 5, x + 5, y + 5))
    for name, point in names:
        taken.append(_place(ax, name, point, taken))


def _place(
    ax: Axes, name: str, point: tuple[float, float], taken: Sequence[tuple[float, ...]]
) -> tuple[float, ...]:
    """Write one name in its best place; the box that it covers then."""
    note = ax.annotate(name, point, xytext=(0, 0), textcoords="offset points", fontsize=8.5)
    frame = ax.get_window_extent().extents
    best, fewest = OFFSETS[0], len(taken) + 2
    for offset in OFFSETS:
        _move(note, offset)
        box = note.get_window_extent().extents
        inside = frame[0] <= box[0] and box[2] <= frame[2]
        inside = inside and frame[1] <= box[1] and box[3] <= frame[3]
        covered = sum(overlap(box, other) for other in taken) + (not inside)
        if covered < fewest:
            best, fewest = offset, covered
        if covered == 0:
            break
    _move(note, best)
    return tuple(note.get_window_extent().extents)


def _move(note: Annotation, offset: Offset) -> None:
    right, up, end = offset
    note.xyann = (right, up)
    note.set_horizontalalignment(end)
