"""Which weights of a kernel share a value: the clusters that quantization-aware training is to
keep.
"""

from __future__ import annotations

import numpy as np

from tfcompress.core._types import Array

MOST_CLUSTERS = 256  # more different values than int8 has codes are no clusters
_SAMPLE = 65536  # weights looked at first: sorting all of a large kernel takes long


def assignment(kernel: Array) -> tuple[Array, bool] | None:
    """(index, per channel) of a clustered `kernel`: index, of its shape, numbers the sets of
    weights that hold one value.

    Per channel (of the last axis) if no two channels share a value but zero. None for a kernel
    that is not clustered: more than 256 values in the kernel or in a channel, or hardly fewer
    values than weights.
    """
    channels = kernel.shape[-1] if kernel.ndim == 4 else 1
    index = _index(kernel)
    if channels == 1:
        return None if index is None else (index, False)
    if index is None:
        return _of_channels(kernel)
    return _split(kernel, index) or (index, False)


def _of_channels(kernel: Array) -> tuple[Array, bool] | None:
    """The assignment of a kernel that has few values in every channel, though many in all."""
    parts, first = [], 0
    for channel in range(kernel.shape[-1]):
        part = _index(kernel[..., channel])
        if part is None:
            return None
        parts.append(part + first)
        first += int(part.max()) + 1
    return np.stack(parts, axis=-1).astype(np.int32), True


def _split(kernel: Array, index: Array) -> tuple[Array, bool] | None:
    """The assignment by channel, where channels share no value but zero; else None."""
    channels = kernel.shape[-1]
    # (value, channel) in one number, counted without sorting.
    codes = index * np.int32(channels) + np.arange(channels, dtype=np.int32)
    present = np.bincount(codes.reshape(-1)) > 0
    used = np.flatnonzero(present)
    zero = index[kernel == 0][:1]  # the one value that channels may share
    alone = np.count_nonzero(used // channels != zero[0]) if zero.size else len(used)
    values = int(index.max()) + (0 if zero.size else 1)
    if alone != values:
        return None
    return (np.cumsum(present, dtype=np.int32) - 1)[codes], True


def _index(part: Array) -> Array | None:
    """Number of every weight's value among the sorted values of `part`, int32 of its shape; None if
    there are too many values.
    """
    most = min(MOST_CLUSTERS, part.size // 2)
    sample = np.unique(part.reshape(-1)[:: max(part.size // _SAMPLE, 1)])
    if len(sample) > most:
        return None
    index = np.searchsorted(sample, part).clip(max=len(sample) - 1)
    if np.array_equal(sample[index], part):
        return index.astype(np.int32)
    values, index = np.unique(part, return_inverse=True)
    return index.reshape(part.shape).astype(np.int32) if len(values) <= most else None
