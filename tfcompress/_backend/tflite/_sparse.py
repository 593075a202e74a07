"""Weights stored without their zeros, as the schema describes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcompress._backend.tflite._flatbuffer import schema
from tfcompress._backend.tflite._tree import FlatTable, Sparsity
from tfcompress.core._types import Array

INDEX_TYPES = (("Uint8", np.uint8), ("Uint16", np.uint16), ("Int32", np.int32))
"""The schema's types of an index vector, narrowest first."""


def sparse_values(
    values: Array, order: Sequence[int] | None, block: int = 1
) -> tuple[Sparsity, Array]:
    """(SparsityParameters, the values that are stored).

    Args:
        values: the weights with their zeros.
        order: the dimensions in the order in which they are traversed; the last one is compressed
            (CSR). None takes them as they are.
        block: with more than 1, `values` is a matrix [out, in] whose inputs are cut into dense
            blocks of that many, and blocks of zeros are left out.
    """
    if block > 1:
        cells = values.reshape(values.shape[0], -1, block)
        full = (cells != 0).any(axis=2)
        traversal, blocks, outer, inner = [0, 1, 2], [1], values.shape[:1], [block]
    else:
        traversal = list(range(values.ndim)) if order is None else list(order)
        turned = np.transpose(values, traversal)
        cells = turned.reshape(-1, turned.shape[-1])
        full, blocks, outer, inner = cells != 0, [], turned.shape[:-1], []
    dimensions = [*map(_dense, outer), _compressed(full), *map(_dense, inner)]
    sparsity = schema().SparsityParametersT(
        traversalOrder=traversal, blockMap=blocks, dimMetadata=dimensions
    )
    return sparsity, np.ascontiguousarray(cells[full])


def _dense(size: int) -> FlatTable:
    kit = schema()
    return kit.DimensionMetadataT(format=kit.DimensionType.DENSE, denseSize=int(size))


def _compressed(full: Array) -> FlatTable:
    """The dimension of which `full` [rows, cells] says which cells are stored."""
    kit = schema()
    rows = kit.DimensionMetadataT(format=kit.DimensionType.SPARSE_CSR)
    segments = np.append(0, np.cumsum(full.sum(axis=1)))
    rows.arraySegmentsType, rows.arraySegments = _index_vector(segments)
    rows.arrayIndicesType, rows.arrayIndices = _index_vector(np.nonzero(full)[1])
    return rows


def _index_vector(values: Array) -> tuple[int, FlatTable]:
    """(union type, vector) in the narrowest of the schema's index types."""
    kit, largest = schema(), int(values.max(initial=0))
    name, dtype = next(
        pair for pair in INDEX_TYPES if largest <= np.iinfo(pair[1]).max or pair is INDEX_TYPES[-1]
    )
    vector = getattr(kit, f"{name}VectorT")(values=values.astype(dtype))
    return getattr(kit.SparseIndexVector, f"{name}Vector"), vector
