"""How far values are off: of outputs and of kernels."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10

import numpy as np

from tfcompress._backend.interpreter._tensors import TensorInfo
from tfcompress.core._types import Array, Layer

LAST_IS_OUTPUT = ("DEPTHWISE_CONV_2D", "CONV_3D")
"""Operators whose kernels have their output channels on the last axis; of others, on the first."""


@dataclass(frozen=True)
class KernelError:
    """A layer's kernel in the file against the model's.

    A BatchNormalization that is folded into a kernel multiplies every output channel c by one
    number, so that the model's kernel k is first brought to the file's f, by
    a_c = ⟨f_c, k_c⟩ / ‖k_c‖².

    Args:
        stored: its type in the file.
        error: √(Σ_c ‖f_c − a_c k_c‖² / Σ_c ‖f_c‖²).
        clipped: the share of a_c k_c that lies outside what the integers reach; None if real.
        range_used: the mean over the channels of max |integer| / largest integer; None if real.
    """

    stored: str
    error: float
    clipped: float | None = None
    range_used: float | None = None


def relative_error(values: Array, exact: Array) -> float:
    """‖values − exact‖ / ‖exact‖; infinite where only `exact` is 0."""
    difference = values.astype(np.float64) - exact
    return ratio(float(np.sum(difference**2)), float(np.sum(exact.astype(np.float64) ** 2)))


def ratio(squares: float, of_squares: float) -> float:
    """√(squares / of_squares), 0 where both are 0."""
    if squares == 0:
        return 0.0
    return float(np.sqrt(squares / of_squares)) if of_squares > 0 else inf


def decibels(error: float) -> float | None:
    """The signal-to-noise ratio 20·log₁₀(1 / error) in dB; None without any error."""
    return -20 * log10(error) if 0 < error < inf else None


def limits(info: TensorInfo) -> tuple[float, float]:
    """The smallest and largest real number that a tensor of integers with one scale can hold."""
    kind = np.iinfo(info.dtype)
    return (
        info.scale * (kind.min - info.zero_point),
        info.scale * (kind.max - info.zero_point),
    )


def share_outside(values: Array, info: TensorInfo) -> int:
    """How many real values lie more than one step, which rounding alone can do, outside."""
    low, high = limits(info)
    outside = (values < low - info.scale) | (values > high + info.scale)
    return int(np.count_nonzero(outside))


def kernel_error(
    stored: Array, info: TensorInfo, operator: str, layer: Layer
) -> KernelError | None:
    """A kernel as the file stores it against the layer's; None where the layer has none like it."""
    is_last = operator in LAST_IS_OUTPUT
    rows = np.moveaxis(stored, -1, 0) if is_last else stored
    rows = rows.reshape(len(rows), -1)
    own = _own_kernel(layer, rows.shape, transposed=operator == "TRANSPOSE_CONV")
    if own is None:
        return None
    if not info.scale:
        return KernelError(info.dtype.name, _after_fitting(rows.astype(np.float64), own)[0])
    scales = np.resize(info.scales.astype(np.float64), len(rows))[:, None]
    zeros = np.resize(info.zero_points, len(rows))[:, None]
    integers = rows.astype(np.int64) - zeros
    error, fitted = _after_fitting(integers * scales, own)
    most = np.iinfo(info.dtype).max
    outside = np.abs(fitted) > (most + 1) * scales
    used = np.abs(integers).max(axis=1, initial=0) / most
    return KernelError(info.dtype.name, error, float(outside.mean()), float(used.mean()))


def _own_kernel(layer: Layer, shape: tuple[int, int], *, transposed: bool) -> Array | None:
    """The layer's kernel as [output channels, weights of each]; None if it has none of the size."""
    outputs, each = shape
    for weight in layer.weights:
        values = np.asarray(weight)
        if values.ndim < 2 or values.size != outputs * each:
            continue
        if transposed and values.ndim == 4:
            values = values.transpose(0, 1, 3, 2)
        return values.astype(np.float64).reshape(each, outputs).T
    return None


def _after_fitting(stored: Array, own: Array) -> tuple[float, Array]:
    """The error of `stored` [c, k] to a_c·own_c, and a_c·own_c."""
    squares = np.sum(own**2, axis=1)
    factors = np.sum(stored * own, axis=1) / np.where(squares > 0, squares, 1)
    fitted = factors[:, None] * own
    return ratio(float(np.sum((stored - fitted) ** 2)), float(np.sum(stored**2))), fitted
