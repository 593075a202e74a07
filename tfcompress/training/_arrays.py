"""Training data checked before anything runs: there, as many labels as samples, finite, of the model's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfcompress._backend.bridge import _training as _training
from tfcompress.core import DataError


def check_arrays(x: Any, y: Any, weight: Any, what: str) -> None:
    """Raise DataError unless x, y and weight (arrays, or lists, tuples or dicts of them) hold equally many finite samples, at least one.

    `what` names them in the message, e.g. "validation_data".
    """
    if y is None:
        raise DataError(f"{what}: x without y; give the labels, or a data set that yields (x, y).")
    lengths = {}
    for name, thing in (("x", x), ("y", y), ("sample_weight", weight)):
        for label, array in leaves(name, thing):
            if array.ndim == 0 or len(array) == 0:
                raise DataError(
                    f"{what}: {label} is empty (shape {array.shape}); expected at least one sample."
                )
            lengths[label] = len(array)
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                bad = int((~np.isfinite(array)).sum())
                raise DataError(
                    f"{what}: {label} holds NaN or infinite values in {bad:,} of {array.size:,} places; remove those samples."
                )
            if array.dtype == object:
                raise DataError(
                    f"{what}: {label} holds Python objects; expected numbers, all samples of one shape."
                )
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{what}: {', '.join(f'{label} has {n:,}' for label, n in lengths.items())} samples; expected equally many."
        )


def check_shapes(x: Any, specs: list[tuple[str, tuple, str]], what: str) -> None:
    """Raise DataError where a sample's shape is not what the model's input takes; `specs` are (name, shape with batch, dtype)."""
    arrays = leaves("x", x)
    if isinstance(x, Mapping):
        by_name = {label[3:-2]: array for label, array in arrays}
        arrays = [(name, by_name[name]) for name, _, _ in specs if name in by_name]
        specs = [spec for spec in specs if spec[0] in by_name]
    elif len(arrays) != len(specs):
        names = ", ".join(name for name, _, _ in specs)
        raise DataError(
            f"{what}: {len(arrays)} arrays for a model with {len(specs)} inputs ({names})."
        )
    for (_, array), (name, shape, _) in zip(arrays, specs):
        came, want = tuple(array.shape[1:]), tuple(shape[1:])
        if came == () and want == (1,):
            continue
        if len(came) != len(want) or any(w not in (None, c) for c, w in zip(came, want)):
            raise DataError(
                f"{what}: samples of shape {came} for input {name!r}, which takes {want}; reshape, e.g. x[..., None], or rescale."
            )


def leaves(name: str, thing: Any) -> list[tuple[str, np.ndarray]]:
    """(label, array) of every array in `thing`; the label says where it stands, e.g. x['image'] or x[1]."""
    if thing is None:
        return []
    if isinstance(thing, Mapping):
        return [pair for key, item in thing.items() for pair in leaves(f"{name}[{key!r}]", item)]
    if isinstance(thing, (list, tuple)) and any(hasattr(item, "shape") for item in thing):
        return [
            pair for index, item in enumerate(thing) for pair in leaves(f"{name}[{index}]", item)
        ]
    try:
        return [(name, np.asarray(thing))]
    except ValueError as error:
        raise DataError(f"{name}: samples of different shapes ({error}).") from error


def is_batches(x: Any, y: Any, steps: int | None, what: str) -> bool:
    """Whether `x` yields its own batches; DataError where labels stand beside it or a generator could be run through only once."""
    if not _training.is_batches(x):
        return False
    if y is not None:
        raise DataError(
            f"{what}: a {type(x).__name__} yields its labels itself, batches (x, y); leave y out."
        )
    if hasattr(x, "__next__") and steps is None:
        raise DataError(
            f"{what}: a generator can be run through only once; give the function that returns it (Fit: or steps_per_epoch)."
        )
    if hasattr(x, "cardinality") and int(x.cardinality()) == 0:
        raise DataError(f"{what}: the tf.data set is empty.")
    return True
