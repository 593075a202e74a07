"""The inputs that every visitor's browser runs: test images where there are any, else noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array

NOISE_SAMPLES = 16


@dataclass(frozen=True)
class Samples:
    """Inputs x float32 [n, ...], labels y [n] or None, and the values of black and white.

    A picture's value of v in 0..255 is fed as low + (high − low) · v / 255. `classes` names the
    classes, as far as their names are known.
    """

    x: Array
    y: Array | None = None
    low: float = 0.0
    high: float = 1.0
    classes: Sequence[str] = ()

    def fits(self, shape: Sequence[int | None]) -> bool:
        """Whether a file whose input has `shape` [batch, ...] takes these samples."""
        return len(shape) == self.x.ndim and all(
            side in (None, own) for side, own in zip(shape[1:], self.x.shape[1:])
        )

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """Height, width and channels where an input is a picture."""
        height, width, channels = self.x.shape[1:] if self.x.ndim == 4 else (0, 0, 0)
        return (height, width, channels) if channels in (1, 3) else None

    def of_picture(self, pixels: Array) -> Array:
        """Pixels uint8 [height, width, channels] as one input float32 [1, ...]."""
        share = pixels[None].astype("float32") / np.float32(255)
        return self.low + np.float32(self.high - self.low) * share


def chosen(
    x: Array, y: Array, count: int, *, classes: Sequence[str] = (), seed: int = 0
) -> Samples:
    """`count` of the test samples x, y, drawn without replacement with `seed`.

    Black and white are the smallest and largest value of all of x.
    """
    if len(x) != len(y):
        raise DataError(f"{len(y)} labels came for {len(x)} samples.")
    picked = np.sort(np.random.default_rng(seed).permutation(len(x))[:count])
    low, high = float(np.min(x)), float(np.max(x))
    return Samples(np.asarray(x[picked], "float32"), np.asarray(y)[picked], low, high, classes)


def noise(shape: Sequence[int | None], high: float = 1.0, seed: int = 0) -> Samples:
    """Uniform noise from 0 to `high`, for files [batch, ...] without test data."""
    sides = [side or 1 for side in shape[1:]]
    values = np.random.default_rng(seed).random((NOISE_SAMPLES, *sides), "float32")
    return Samples(values * np.float32(high), None, 0.0, high)
