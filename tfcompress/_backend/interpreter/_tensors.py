"""Tensors and operations of a `.tflite` as an interpreter tells of them.

Also real numbers to stored ones, and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.core._errors import DataError
from tfcompress.core._types import Array, ArrayLike

Detail = Mapping[str, Any]
"""What an interpreter tells of a tensor."""


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """A tensor of the file.

    `shape` has None where it is open. Where `scale` ≠ 0, real = scale · (stored − zero_point).
    `scale` and `zero_point` are the first of `scales` and `zero_points`, which have one entry for
    each slice along `axis`.
    """

    index: int
    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype
    scales: Array
    zero_points: Array
    axis: int = 0

    @property
    def scale(self) -> float:
        """The first scale; 0 where the tensor is not quantized."""
        return float(self.scales[0]) if len(self.scales) else 0.0

    @property
    def zero_point(self) -> int:
        """The first zero point."""
        return int(self.zero_points[0]) if len(self.zero_points) else 0

    def to_dict(self) -> dict[str, Any]:
        """Name, shape, dtype, scale and zero point as plain JSON data."""
        fields = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype.name}
        if self.scale:
            fields |= {"scale": self.scale, "zero_point": self.zero_point}
        return fields

    def store(self, values: ArrayLike) -> Array:
        """Real `values` as this tensor stores them: clip(round(x / scale) + zero_point).

        Values already of its integer type pass.
        """
        values = np.asarray(values)
        if values.dtype == self.dtype:
            return values
        if self.scale:
            kind = np.iinfo(self.dtype)
            stored = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
            return np.clip(stored, kind.min, kind.max).astype(self.dtype)
        cast = values.astype(self.dtype)
        if self.dtype.kind in "iu" and not np.array_equal(cast, values):
            raise DataError(
                f"Input {self.name!r} takes whole numbers ({self.dtype}); the values given are not."
            )
        return cast

    def real(self, stored: Array) -> Array:
        """What `stored` stands for: float32 if quantized, else as it is."""
        if not self.scale:
            return stored
        centred = stored.astype(np.float32) - np.float32(self.zero_point)
        return (centred * np.float32(self.scale)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class OpInfo:
    """An operation: its kind (`CONV_2D`) and its tensors' indices, -1 for one left out."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def tensor_info(detail: Detail, name: str | None = None) -> TensorInfo:
    """From what an interpreter tells of a tensor, under `name` (a signature's) or its own."""
    sizes = [int(size) for size in detail["shape"]]
    signature = detail.get("shape_signature", sizes)
    shape: list[int | None] = list(sizes)
    if len(signature) == len(sizes):
        shape = [None if known < 0 else size for size, known in zip(sizes, signature)]
    quantized = detail["quantization_parameters"]
    return TensorInfo(
        int(detail["index"]),
        re.sub(r"^serving_default_|:\d+$", "", detail["name"]) if name is None else name,
        tuple(shape),
        np.dtype(detail["dtype"]),
        quantized["scales"],
        quantized["zero_points"],
        int(quantized["quantized_dimension"]),
    )
