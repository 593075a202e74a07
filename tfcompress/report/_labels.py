"""Labels beside points, where they cover no other point or label and no line runs through them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tfcompress.report._scale import BOTTOM, HEIGHT, LEFT, WIDTH

CHARACTER, LINE = 7.4, 16
"""Width of a letter and height of a line at the size that a phone shows them in."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Point = dict[str, Any]
Place = tuple[str, float, float]
"""Which end of the words is at the point, their left edge, their base line."""


def place_labels(points: list[Point], lines: Sequence[Box]) -> None:
    """Label the base, the recommended and the front's points, as far as there is room.

    Args:
        points: with "x", "y", "recipe", "mark" and "front"; get their "label".
        lines: what is drawn beside points: no label lies over one, but that of a marked point may
            where it has no other place.
    """
    taken: list[Box] = []
    for point in points:
        x, y = point["x"], point["y"]
        taken.append((x - 6, y - 6, x + 6, y + 6))
    for point in sorted(points, key=lambda point: (not point["mark"], not point["front"])):
        if not (point["mark"] or point["front"]):
            continue
        if not _place(point, taken, [*taken, *lines]) and point["mark"]:
            _place(point, taken, taken)


def staircase(points: Sequence[tuple[float, float]], more_x_is_better: bool) -> list[Box]:
    """The lines of the front's staircase, from point to point."""
    lines: list[Box] = []
    for (x, y), (next_x, next_y) in pairwise(points):
        corner_x, corner_y = (x, next_y) if more_x_is_better else (next_x, y)
        lines.append(line_box(x, y, corner_x, corner_y))
        lines.append(line_box(corner_x, corner_y, next_x, next_y))
    return lines


def line_box(x: float, y: float, end_x: float, end_y: float) -> Box:
    """The room that a line takes."""
    return min(x, end_x) - 1, min(y, end_y) - 1, max(x, end_x) + 1, max(y, end_y) + 1


def overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes cover a common place."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _place(point: Point, taken: list[Box], avoid: Sequence[Box]) -> bool:
    """Give the point a label in its first place that is free of `avoid`; False if none is."""
    width = CHARACTER * len(point["recipe"])
    for anchor, left, base in _places(point, width):
        box = (left, base - LINE + 4, left + width, base + 4)
        inside = box[0] >= LEFT and box[2] <= WIDTH - 2 and box[1] >= 0
        if not inside or box[3] > HEIGHT - BOTTOM or any(overlap(box, other) for other in avoid):
            continue
        taken.append(box)
        at = {"start": left, "end": left + width, "middle": left + width / 2}[anchor]
        point["label"] = {"x": round(at, 1), "y": round(base, 1), "anchor": anchor}
        return True
    return False


def _places(point: Point, width: float) -> tuple[Place, ...]:
    """Right of the point, left, above and below it, its four corners, and two lines away.

    Above and below, a label that would leave the frame is moved sideways into it.
    """
    x, y = point["x"], point["y"]
    off = 14 if point["mark"] == "recommended" else 9
    middle = min(max(x - width / 2, LEFT), WIDTH - 2 - width)
    return (
        ("start", x + off, y + 4),
        ("end", x - off - width, y + 4),
        ("middle", middle, y - off - 2),
        ("middle", middle, y + off + 11),
        ("start", x + 5, y - 11),
        ("end", x - 5 - width, y - 11),
        ("start", x + 5, y + 20),
        ("end", x - 5 - width, y + 20),
        ("middle", middle, y - off - 2 - LINE),
        ("middle", middle, y + off + 11 + LINE),
    )
