"""Tensors and operations of a `.tflite` as an interpreter tells of them; real numbers to stored ones and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.core._errors import DataError


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """A tensor of the file: `shape` with None where it is dynamic, `dtype`, and real = scale · (stored − zero_point) if scale ≠ 0.

    `scale` and `zero_point` are the first of `scales` and `zero_points`, which have one entry per slice along `axis`.
    """

    index: int
    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int = 0

    @property
    def scale(self) -> float:
        return float(self.scales[0]) if len(self.scales) else 0.0

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0]) if len(self.zero_points) else 0

    def to_dict(self) -> dict[str, Any]:
        """Name, shape, dtype, scale and zero point as plain JSON data."""
        said = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype.name}
        return said | ({"scale": self.scale, "zero_point": self.zero_point} if self.scale else {})

    def store(self, values: Any) -> np.ndarray:
        """Real `values` as this tensor stores them: clip(round(x / scale) + zero_point); values already of its integer type pass."""
        values = np.asarray(values)
        if values.dtype == self.dtype:
            return values
        if self.scale:
            kind = np.iinfo(self.dtype)
            return np.clip(
                np.rint(values.astype(np.float64) / self.scale) + self.zero_point,
                kind.min,
                kind.max,
            ).astype(self.dtype)
        cast = values.astype(self.dtype)
        if self.dtype.kind in "iu" and not np.array_equal(cast, values):
            raise DataError(
                f"Input {self.name!r} takes whole numbers ({self.dtype}); the values given are not."
            )
        return cast

    def real(self, stored: np.ndarray) -> np.ndarray:
        """What `stored` stands for: float32 scale · (stored − zero_point) if quantized, else as it is."""
        if not self.scale:
            return stored
        return (
            (stored.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        ).astype(np.float32)


@dataclass(frozen=True, eq=False)
class OpInfo:
    """An operation of the file: its kind (`CONV_2D`) and the indices of its tensors, -1 where an optional input is left out."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def tensor_info(detail: dict[str, Any], name: str | None = None) -> TensorInfo:
    """From what an interpreter tells of a tensor, under `name` (a signature's) or its own."""
    signature = detail.get("shape_signature", detail["shape"])
    dynamic = len(signature) == len(detail["shape"])
    shape = tuple(
        None if dynamic and s < 0 else int(n)
        for n, s in zip(detail["shape"], signature if dynamic else detail["shape"])
    )
    quantized = detail["quantization_parameters"]
    plain = re.sub(r"^serving_default_|:\d+$", "", detail["name"])
    return TensorInfo(
        int(detail["index"]),
        plain if name is None else name,
        shape,
        np.dtype(detail["dtype"]),
        quantized["scales"],
        quantized["zero_points"],
        int(quantized["quantized_dimension"]),
    )
