"""Training data checked before anything runs: there, as many labels as samples, finite, of the
model's shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from tfcompress._backend.bridge import _batches
from tfcompress.core import DataError
from tfcompress.core._types import Array, ArrayLike, Data

InputSpec: TypeAlias = tuple[str, tuple[int | None, ...], str]
"""Name, shape with the batch axis, and dtype of a model's input."""

CHUNK = 1 << 22  # values looked at together, so that the check needs little memory of its own


def check_arrays(x: Data, y: ArrayLike, weight: ArrayLike, what: str) -> None:
    """Raise DataError unless x, y and weight (arrays, or lists, tuples or dicts of them) hold
    equally many finite samples, at least one.

    Args:
        x, y, weight: the samples, their labels, and their weights or None.
        what: names them in the message, e.g. "validation_data".
    """
    if y is None:
        raise DataError(f"{what}: x without y; give the labels, or a data set that yields (x, y).")
    arrays = [*leaves("x", x), *leaves("y", y), *leaves("sample_weight", weight)]
    for label, array in arrays:
        _check_array(label, array, what)
    lengths = {label: len(array) for label, array in arrays}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{label} has {length:,}" for label, length in lengths.items())
        raise DataError(f"{what}: {each} samples; expected equally many.")


def _check_array(label: str, array: Array, what: str) -> None:
    if array.ndim == 0 or len(array) == 0:
        raise DataError(
            f"{what}: {label} is empty (shape {array.shape}); expected at least one sample."
        )
    if array.dtype == object:
        raise DataError(
            f"{what}: {label} holds Python objects; expected numbers, all samples of one shape."
        )
    if np.issubdtype(array.dtype, np.floating):
        bad = array.size - _finite(array)
        if bad:
            raise DataError(
                f"{what}: {label} holds NaN or infinite values in {bad:,} of {array.size:,} "
                "places; remove those samples."
            )


def _finite(array: Array) -> int:
    """How many values are finite."""
    rows = max(CHUNK * len(array) // array.size, 1)
    starts = range(0, len(array), rows)
    return sum(int(np.isfinite(array[start : start + rows]).sum()) for start in starts)


def check_validation(validation: Data) -> None:
    """Raise DataError unless `validation` is None, a source of batches, (x, y) or (x, y,
    sample_weight).
    """
    if validation is None or is_batches(validation, None, None, "validation_data"):
        return
    if not isinstance(validation, (list, tuple)) or len(validation) not in (2, 3):
        raise DataError(
            "validation_data: expected (x, y) or a data set, got "
            f"{type(validation).__name__}; (x, y, sample_weight) weighs the samples."
        )
    x, y, weight = [*validation, None][:3]
    check_arrays(x, y, weight, "validation_data")


def check_shapes(x: Data, specs: Sequence[InputSpec], what: str) -> None:
    """Raise DataError where a sample's shape is not what the model's input takes; `specs` are the
    model's inputs.
    """
    arrays = leaves("x", x)
    if isinstance(x, Mapping):
        by_name = {label[3:-2]: array for label, array in arrays}
        specs = [spec for spec in specs if spec[0] in by_name]
        arrays = [(name, by_name[name]) for name, _, _ in specs]
    elif len(arrays) != len(specs):
        names = ", ".join(name for name, _, _ in specs)
        raise DataError(
            f"{what}: {len(arrays)} arrays for a model with {len(specs)} inputs ({names})."
        )
    for (_, array), (name, shape, _) in zip(arrays, specs):
        given, taken = tuple(array.shape[1:]), tuple(shape[1:])
        if not _fits(given, taken):
            raise DataError(
                f"{what}: samples of shape {given} for input {name!r}, which takes {taken}; "
                "reshape, e.g. x[..., None], or rescale."
            )


def _fits(given: tuple[int, ...], taken: tuple[int | None, ...]) -> bool:
    """Whether a sample's shape is one that the input takes; a number counts as a vector of one."""
    if given == () and taken == (1,):
        return True
    sizes = zip(given, taken)
    return len(given) == len(taken) and all(size in (None, mine) for mine, size in sizes)


def leaves(name: str, data: Data) -> list[tuple[str, Array]]:
    """(label, array) of every array in `data`; the label says where it stands, e.g. x['image'] or
    x[1].
    """
    if data is None:
        return []
    if isinstance(data, Mapping):
        labelled = [(f"{name}[{key!r}]", item) for key, item in data.items()]
    elif isinstance(data, (list, tuple)) and any(hasattr(item, "shape") for item in data):
        labelled = [(f"{name}[{index}]", item) for index, item in enumerate(data)]
    else:
        return [(name, _as_array(name, data))]
    return [pair for label, item in labelled for pair in leaves(label, item)]


def _as_array(name: str, data: ArrayLike) -> Array:
    try:
        return np.asarray(data)
    except ValueError as error:
        raise DataError(f"{name}: samples of different shapes ({error}).") from error


def is_batches(x: Data, y: ArrayLike, steps: int | None, what: str) -> bool:
    """Whether `x` yields its own batches; DataError where labels stand beside it or a generator
    could be run through only once.
    """
    if not _batches.is_batches(x):
        return False
    if y is not None:
        raise DataError(
            f"{what}: a {type(x).__name__} yields its labels itself, batches (x, y); leave y out."
        )
    if hasattr(x, "__next__") and steps is None:
        raise DataError(
            f"{what}: a generator can be run through only once; give the function that returns it "
            "(Fit: or steps_per_epoch)."
        )
    if hasattr(x, "cardinality") and int(x.cardinality()) == 0:
        raise DataError(f"{what}: the tf.data set is empty.")
    return True
