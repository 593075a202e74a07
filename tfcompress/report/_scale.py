"""Data values to positions on an axis, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
LOG_FROM = 3
"""A positive axis that spans this ratio may be drawn logarithmic."""

Tick = tuple[float, str, str]
"""A tick along x: where, its words, and which end of the words is there."""


class Scale:
    """Maps data values to positions between `start` and `end`, linear or logarithmic.

    `ticks` are round values that lie inside.

    Args:
        values: what must fit.
        start: the position of the smallest value, in SVG user units.
        end: the position of the largest value.
        log: logarithmic where the values are positive and span `LOG_FROM`.
        zero: a linear axis begins at zero.
        ticks: about how many.
    """

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        zero: bool = False,
        ticks: int = 5,
    ) -> None:
        low, high = min(values), max(values)
        self.start, self.end = start, end
        self.log = log and low > 0 and high / low >= LOG_FROM
        if self.log:
            self.low, self.high = low / 1.35, high * 1.35
            self.ticks = _log_ticks(self.low, self.high)
            return
        low = 0.0 if zero else low
        pad = (high - low) * 0.09 or abs(high) * 0.05 or 1.0
        self.low, self.high = (low if zero else low - pad), high + pad
        self.ticks = _round_ticks(self.low, self.high, ticks)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def clipped(self, value: float) -> float:
        """The position of `value`, or of the nearer end of the axis where it lies outside."""
        return self(min(max(value, self.low), self.high))


def x_ticks(scale: Scale, write: Callable[[float, str], str], name: str) -> list[Tick]:
    """Ticks along x in the words of column `name`; those at the edges stay inside."""
    ticks: list[Tick] = []
    for value in scale.ticks:
        at, anchor = scale(value), "middle"
        if at > WIDTH - 30:
            anchor = "end"
        elif at < 20:
            anchor = "start"
        ticks.append((at, write(value, name), anchor))
    return ticks


def reach_of(line: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Mean minus and plus one standard deviation over seeds."""
    deviation = line.get(name + "_std", 0.0)
    return line[name] - deviation, line[name] + deviation


def _round_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 · 10^k inside [low, high], about as many as asked for."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(lead * power for lead in (1, 2, 5, 10) if lead * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 · 10^k inside [low, high]; the powers of ten alone over more than two decades."""
    leads = (1, 2, 5) if high / low <= 100 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [lead * 10.0**power for power in powers for lead in leads]
    return [value for value in ticks if low <= value <= high]
