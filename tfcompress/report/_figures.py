"""Where everything goes in the page's figures: pure geometry in SVG user units; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfcompress.core import Rows

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
LOG_FROM = 3  # a positive axis that spans this ratio is drawn logarithmic
CHARACTER, LINE = 6.9, 15  # width and height of a label's letter


class Scale:
    """Maps data values to positions between `start` and `end`, linear or logarithmic, with round ticks that lie inside."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        zero: bool = False,
        ticks: int = 5,
    ):
        low, high = min(values), max(values)
        self.log = log and low > 0 and high / low >= LOG_FROM
        if self.log:
            self.low, self.high = low / 1.35, high * 1.35
            self.ticks = _log_ticks(self.low, self.high)
        else:
            low = 0.0 if zero else low
            pad = (high - low) * 0.09 or abs(high) * 0.05 or 1.0
            self.low, self.high = (low if zero else low - pad), high + pad
            self.ticks = _round_ticks(self.low, self.high, ticks)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def clipped(self, value: float) -> float:
        """The position of `value`, or of the nearer end of the axis where it lies outside."""
        return self(min(max(value, self.low), self.high))


def scatter(
    report: Rows, x: str, y: str, say: Callable[[float, str], str], marks: Mapping[str, str]
) -> dict[str, Any] | None:
    """Geometry of y against x over recipes: points with error bars and labels, Pareto front, ticks; None below two points.

    `say(value, column)` words a tick, `marks` gives a recipe's role ("base", "recommended").
    """
    if x not in report.columns() or y not in report.columns():
        return None
    lines = [line for line in report.summary() if x in line and y in line]
    if len(lines) < 2:
        return None
    along = Scale(
        [line[x] for line in lines], LEFT, WIDTH - RIGHT, log=True, zero=report.lower_is_better(x)
    )
    up = Scale([v for line in lines for v in reach_of(line, y)], HEIGHT - BOTTOM, TOP)
    front = {row["recipe"] for row in report.pareto(x, y).rows}
    points: list[dict[str, Any]] = []
    for line in lines:
        name = line["recipe"]
        point = {
            "recipe": name,
            "x": along(line[x]),
            "y": up(line[y]),
            "front": name in front,
            "mark": marks.get(name, ""),
        }
        point["up"] = [up(v) for v in reach_of(line, y)] if y + "_std" in line else None
        point["along"] = (
            [along.clipped(v) for v in reach_of(line, x)] if x + "_std" in line else None
        )
        points.append(point | {"label": None})
    _place_labels(points)
    on = sorted((p["x"], p["y"]) for p in points if p["front"])
    return {
        "x": x,
        "y": y,
        "log": along.log,
        "points": points,
        "front": _steps(on, not report.lower_is_better(x)),
        "x_ticks": _words(along, say, x),
        "y_ticks": [(up(v), say(v, y)) for v in up.ticks],
    }


def thread_dots(
    latency: Mapping[str, Mapping[int, float]], say: Callable[[float, str], str]
) -> dict[str, Any] | None:
    """Geometry of one line a recipe with a dot for each thread count, latency along; None where nothing was measured."""
    if not latency:
        return None
    row, head = 40, 8
    along = Scale(
        [v for points in latency.values() for v in points.values()], 8, WIDTH - 24, zero=True
    )
    bottom = head + row * len(latency)
    threads = sorted({n for points in latency.values() for n in points})
    rows = [
        {
            "recipe": name,
            "y": head + i * row + 27,
            "dots": [_thread_dot(along(v), n, v) for n, v in points.items()],
        }
        for i, (name, points) in enumerate(latency.items())
    ]
    ticks = _words(along, say, "latency_ms_p50")
    return {
        "rows": rows,
        "height": bottom + 42,
        "bottom": bottom,
        "threads": threads,
        "x_ticks": ticks,
    }


def _words(
    scale: Scale, say: Callable[[float, str], str], column: str
) -> list[tuple[float, str, str]]:
    """Ticks along x: where, what, and which end of the words is there, so that the last ones stay inside."""
    return [
        (at, say(v, column), "end" if at > WIDTH - 30 else "middle")
        for v in scale.ticks
        for at in [scale(v)]
    ]


def _thread_dot(at: float, threads: int, value: float) -> dict[str, Any]:
    return {"x": at, "text": f"{threads} thread{'s' if threads > 1 else ''}: {value:.3f} ms"}


def reach_of(line: Mapping[str, Any], column: str) -> tuple[float, float]:
    """Mean minus and plus one standard deviation over seeds."""
    std = line.get(column + "_std", 0.0)
    return line[column] - std, line[column] + std


def _round_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 · 10^k inside [low, high], about as many as asked for."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [
        k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 · 10^k inside [low, high], thinned to the powers of ten over more than two decades."""
    leads = (1, 2, 5) if high / low <= 100 else (1,)
    found = [
        m * 10.0**k
        for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for m in leads
    ]
    return [v for v in found if low <= v <= high]


def _steps(points: list[tuple[float, float]], more_x_is_better: bool) -> str:
    """SVG path along the best y attainable under a bound on x: a staircase through the front's points, sorted by x."""
    if len(points) < 2:
        return ""
    steps = (f"V{y}H{x}" if more_x_is_better else f"H{x}V{y}" for x, y in points[1:])
    return f"M{points[0][0]} {points[0][1]}" + "".join(steps)


def _place_labels(points: list[dict[str, Any]]) -> None:
    """Give the base, the recommended and the front's points a label beside them where it covers no other point or label."""
    taken = [(p["x"] - 6, p["y"] - 6, p["x"] + 6, p["y"] + 6) for p in points]
    for point in sorted(points, key=lambda p: (not p["mark"], not p["front"])):
        if not (point["mark"] or point["front"]):
            continue
        width = CHARACTER * len(point["recipe"])
        off = 14 if point["mark"] == "recommended" else 9
        x, y = point["x"], point["y"]
        for anchor, left, base in (
            ("start", x + off, y + 4),
            ("end", x - off - width, y + 4),
            ("middle", x - width / 2, y - off - 2),
            ("middle", x - width / 2, y + off + 11),
            ("start", x + 5, y - 11),
            ("end", x - 5 - width, y - 11),
            ("start", x + 5, y + 20),
            ("end", x - 5 - width, y + 20),
        ):
            box = (left, base - LINE + 4, left + width, base + 4)
            inside = (
                box[0] >= LEFT and box[2] <= WIDTH - 2 and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
            )
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                at = {"start": left, "end": left + width, "middle": left + width / 2}[anchor]
                point["label"] = {"x": round(at, 1), "y": round(base, 1), "anchor": anchor}
                break


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
