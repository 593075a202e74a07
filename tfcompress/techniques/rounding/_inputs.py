"""What a layer's kernel multiplies: rows of its input, and their moments over samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfcompress._backend.graph._recorded import keras_class
from tfcompress.core._types import Array, Layer

KINDS = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D")
MOST_ROWS = 40_000
"""Positions of a layer's input that moments are taken over, drawn evenly."""


@dataclass(frozen=True)
class Moments:
    """Means over the positions of a layer's inputs: exact e and at hand x.

    second [k, k]: x xᵀ. crossed [k, k]: e xᵀ. exact, given [k]: e and x. With `is_centred` the
    first two are taken about the means, which a bias makes up for.
    """

    second: Array
    crossed: Array
    exact: Array
    given: Array


def reason_not_to_round(layer: Layer) -> str:
    """Why a layer with a kernel is left alone; empty for one that is rounded."""
    kind = keras_class(layer)
    if kind not in KINDS:
        return "only Dense, Conv1D, Conv2D and DepthwiseConv2D are rounded"
    if kind == "Dense":
        return ""
    if layer.data_format != "channels_last" or layer.padding not in ("same", "valid"):
        return f"no rounding with {layer.data_format}, padding {layer.padding!r}"
    if getattr(layer, "groups", 1) not in (1, None):
        return "no rounding of grouped convolutions"
    return ""


def rows_of_kernel(layer: Layer, kernel: Array) -> Array:
    """The kernel as [groups, channels, k]: a group for all, or of a depthwise kernel one each."""
    flat = kernel.astype(np.float64)
    if keras_class(layer) != "DepthwiseConv2D":
        return flat.reshape(-1, kernel.shape[-1]).T[None]
    height, width, channels, times = kernel.shape
    return flat.reshape(height * width, channels, times).transpose(1, 2, 0)


def kernel_of_rows(layer: Layer, rows: Array, shape: tuple[int, ...]) -> Array:
    """`rows_of_kernel` back in the kernel's shape."""
    if keras_class(layer) != "DepthwiseConv2D":
        return rows[0].T.reshape(shape)
    return rows.transpose(2, 0, 1).reshape(shape)


def moments(
    layer: Layer, pairs: Iterator[tuple[Array, Array]], total: int, *, centred: bool
) -> list[Moments]:
    """The moments of each group of `rows_of_kernel`, from batches of (exact, given) inputs.

    total: how many samples the batches have together; their positions are thinned out evenly.
    """
    rng = np.random.default_rng(0)
    exact_rows, given_rows = [], []
    for exact, given in pairs:
        both = [_rows(layer, values) for values in (exact, given)]
        count = both[0].shape[1]
        most = max(1, MOST_ROWS * len(exact) // total)
        chosen = rng.choice(count, most, replace=False) if count > most else slice(None)
        exact_rows.append(both[0][:, chosen])
        given_rows.append(both[1][:, chosen])
    exact_all = np.concatenate(exact_rows, axis=1).astype(np.float64)
    given_all = np.concatenate(given_rows, axis=1).astype(np.float64)
    return [_moments(exact, given, centred=centred) for exact, given in zip(exact_all, given_all)]


def _moments(exact: Array, given: Array, *, centred: bool) -> Moments:
    means = exact.mean(axis=0), given.mean(axis=0)
    if centred:
        exact, given = exact - means[0], given - means[1]
    count = len(given)
    return Moments(given.T @ given / count, exact.T @ given / count, *means)


def _rows(layer: Layer, values: Array) -> Array:
    """A layer's input [n, …] as [groups, positions, k]."""
    kind = keras_class(layer)
    if kind == "Dense":
        return values.reshape(1, -1, values.shape[-1])
    if kind == "Conv1D":
        values = values[:, None]
    patches = _patches(layer, values)
    if kind != "DepthwiseConv2D":
        return patches.reshape(1, -1, patches.shape[-1])
    channels = values.shape[-1]
    return patches.reshape(-1, patches.shape[-1] // channels, channels).transpose(2, 0, 1)


def _patches(layer: Layer, values: Array) -> Array:
    import tensorflow as tf

    pairs = [_pair(option) for option in (layer.kernel_size, layer.strides, layer.dilation_rate)]
    size, strides, rates = ([1, *pair, 1] for pair in pairs)
    return tf.image.extract_patches(values, size, strides, rates, layer.padding.upper()).numpy()


def _pair(option: int | tuple[int, ...]) -> tuple[int, ...]:
    """An option of a convolution for both axes; of one axis, the second."""
    values = (option,) if isinstance(option, int) else tuple(option)
    return (1, *values) if len(values) == 1 else values
