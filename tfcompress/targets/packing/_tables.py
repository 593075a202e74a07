"""The data of a DECODE operator: indices of b bits, and the look-up tables that they index.

TensorFlow Lite for Microcontrollers reads indices with the highest bit first, row-major. A table
stands behind a header of 16 bytes: type, version, 0, 0, version of the table, axis and bits, values
in a table, and zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcompress.core import ConversionError
from tfcompress.core._types import Array

HEADER_BYTES = 16
LOOK_UP, VERSION = 0, 1
MOST_BITS = 7
"""Widest index that the header can tell."""
ONE_TABLE = 15
"""The header's axis where all channels share one table."""


def bits_of(codes: Array, axis: int | None) -> int:
    """Bits of an index of `codes`: by the most different values of any channel along `axis`.

    `axis` None: of all channels together.
    """
    most = max(len(np.unique(row)) for row in _rows(codes, axis))
    return max((most - 1).bit_length(), 1)


def encode(codes: Array, axis: int | None) -> tuple[Array, Array]:
    """(indices, header and tables) of int8 `codes`, both uint8 and flat.

    Args:
        codes: at most 2⁷ different values in a channel.
        axis: the dimension along which each channel has a table of its own; None for one table.
    """
    rows = _rows(codes, axis)
    tables = [np.unique(row) for row in rows]
    bits, stride = bits_of(codes, axis), max(map(len, tables))
    indices = np.stack([np.searchsorted(table, row) for table, row in zip(tables, rows)])
    if axis is not None:
        indices = np.moveaxis(indices.reshape(_moved(codes.shape, axis)), 0, axis)
    flat = indices.astype(np.uint8).reshape(-1, 1)
    packed = np.packbits(np.unpackbits(flat, axis=1)[:, 8 - bits :])
    header = np.zeros(HEADER_BYTES, np.uint8)
    header[[0, 1, 4]] = LOOK_UP, VERSION, VERSION
    header[5] = (ONE_TABLE if axis is None else axis) << 4 | bits
    header[6] = stride
    padded = np.stack([np.pad(table, (0, stride - len(table))) for table in tables])
    return packed, np.append(header, padded.astype(np.int8).view(np.uint8))


def decode(indices: Array, ancillary: Array, shape: Sequence[int], axis: int | None) -> Array:
    """The int8 codes of `shape` that a DECODE operator gives.

    Args:
        indices, ancillary: uint8, as `encode` gives them.
        shape: of the operator's output.
        axis: the dimension along which that output is quantized; None where it has one scale.

    Raises ConversionError where the data are damaged, and where the tables' mode is not that of the
    quantization: runtimes take the one or the other for what is meant, and decode other weights
    without a word.
    """
    bits, stride, own_axis = _header(ancillary)
    if own_axis != axis:
        raise ConversionError(
            f"A DECODE operator has {_tables(own_axis)} and its output {_scales(axis)}: some"
            " versions of TensorFlow Lite for Microcontrollers decode other weights than were"
            " meant, without a word. Pack the file again with a table for every scale."
        )
    channels = 1 if axis is None else int(shape[axis])
    count = int(np.prod(shape))
    table = ancillary[HEADER_BYTES:].view(np.int8)
    if len(table) < channels * stride or 8 * len(indices) < bits * count:
        raise ConversionError(
            f"The .tflite is damaged: a DECODE operator has {len(indices):,} bytes of indices and"
            f" {len(table):,} of tables for {count:,} weights of {bits} bits in {channels}"
            f" channels with {stride} values each. Write or download the file again."
        )
    digits = np.unpackbits(indices)[: bits * count].reshape(count, bits)
    places = (digits @ (1 << np.arange(bits)[::-1])).reshape(shape)
    if axis is None:
        return _values(table[:stride].reshape(1, -1), places.reshape(1, -1)).reshape(shape)
    rows = np.moveaxis(places, axis, 0)
    values = _values(table[: channels * stride].reshape(channels, -1), rows.reshape(channels, -1))
    return np.ascontiguousarray(np.moveaxis(values.reshape(rows.shape), 0, axis))


def _header(ancillary: Array) -> tuple[int, int, int | None]:
    """(bits of an index, values in a table, axis or None) of a DECODE operator's second input."""
    head = ancillary[:HEADER_BYTES].tolist()
    if len(head) < HEADER_BYTES or head[:2] != [LOOK_UP, VERSION] or head[4] != VERSION:
        raise ConversionError(
            "A DECODE operator does not look its values up in tables of version 1 (its header"
            f" begins with {head[:6]}): tfcompress reads no other."
        )
    bits, axis = head[5] & 7, head[5] >> 4
    if not bits:
        raise ConversionError("The .tflite is damaged: a DECODE operator has indices of 0 bits.")
    return bits, head[6], None if axis == ONE_TABLE else axis


def _values(tables: Array, places: Array) -> Array:
    """`tables[i][places[i]]`, all rows at once."""
    if places.max(initial=0) >= tables.shape[1]:
        raise ConversionError(
            f"The .tflite is damaged: an index of a DECODE operator is {places.max()}, and its"
            f" tables have {tables.shape[1]} values. Write or download the file again."
        )
    return np.take_along_axis(tables, places, axis=1)


def _rows(codes: Array, axis: int | None) -> Array:
    """One row for each table."""
    if axis is None:
        return codes.reshape(1, -1)
    return np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)


def _moved(shape: Sequence[int], axis: int) -> list[int]:
    """`shape` with `axis` first."""
    return [shape[axis], *shape[:axis], *shape[axis + 1 :]]


def _tables(axis: int | None) -> str:
    return "one look-up table" if axis is None else f"look-up tables along dimension {axis}"


def _scales(axis: int | None) -> str:
    return "one scale" if axis is None else f"scales along dimension {axis}"
