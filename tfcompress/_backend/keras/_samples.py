"""Samples of any kind — array, list, dict, tf.data, PyDataset, generator, callable — as checked arrays, one for each model input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfcompress._backend.keras._inputs import input_specs, random_inputs
from tfcompress.core._errors import DataError

Spec = tuple[str, tuple, str]
_KINDS = "an array, a list or dict of arrays, a tf.data.Dataset, a PyDataset, a generator or a function returning one"


def as_samples(model: Any, samples: Any, limit: int | None = None) -> list[np.ndarray]:
    """`samples` as one array [n, ...] for each input of `model`, in the model's order and dtypes; at most `limit` of them.

    Taken: an array (or list of examples) for a model with one input; a list, tuple or dict (by input name) of arrays;
    a `tf.data.Dataset`, PyDataset or generator of examples or batches, with or without labels; a function returning a
    generator. Of arrays with more than `limit` examples, `limit` evenly spaced ones; of streams, the first. A generator is
    used up by this; the result can be given again.
    Raises DataError: nothing there, another shape or dtype, other counts, NaN or infinity, the same value throughout.
    """
    specs = input_specs(model)
    arrays = _whole(samples, specs)
    if arrays is None:
        arrays = _gather(samples, specs, limit)
    arrays = [_fitted(array, spec) for array, spec in zip(arrays, specs)]
    counts = {name: len(array) for array, (name, _, _) in zip(arrays, specs)}
    if len(set(counts.values())) > 1:
        raise DataError(
            f"samples: every input needs as many examples as the others, got {_listed(counts)}."
        )
    if not len(arrays[0]):
        raise DataError(
            "samples are empty: give examples like those the model was trained on, 100 or more to calibrate with."
        )
    if limit is not None and len(arrays[0]) > limit:
        keep = np.linspace(0, len(arrays[0]) - 1, limit).round().astype(int)
        arrays = [array[keep] for array in arrays]
    for array, spec in zip(arrays, specs):
        _check_values(array, spec)
    return arrays


def require(model: Any, samples: Any, what: str) -> None:
    """DataError when `samples` are missing where `what` calibrates with them."""
    if samples is None:
        shapes = ", ".join(
            f"{name} {['n', *shape[1:]]}".replace("'", "") for name, shape, _ in input_specs(model)
        )
        raise DataError(
            f"{what} calibrates its ranges on real inputs and `samples` is missing: pass samples= with 100 or more of the"
            f" training set's ({shapes}), as {_KINDS}."
        )


def take(model: Any, samples: Any, count: int) -> list[np.ndarray]:
    """`count` (or fewer) checked examples of `samples`; random inputs that suit the model where `samples` is None."""
    return random_samples(model, count) if samples is None else as_samples(model, samples, count)


def random_samples(model: Any, count: int) -> list[np.ndarray]:
    """Random inputs of `model` that differ in brightness and contrast, as noise alone looks all alike to a network.

    Each example of a float input is m + c · (x − m) with its own contrast c in 0.1..1, m drawn within the input's range.
    """
    generator = np.random.default_rng(0)
    return [_of_many_contrasts(array, generator) for array in random_inputs(model, n=count)]


def _of_many_contrasts(array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if array.dtype.kind != "f" or array.ndim < 2:
        return array
    each = (len(array), *[1] * (array.ndim - 1))
    contrast, level = generator.uniform(0.1, 1, each), generator.uniform(array.min(), array.max(), each)
    return (level + contrast * (array - level)).astype(array.dtype)


def _whole(samples: Any, specs: list[Spec]) -> list[Any] | None:
    """Arrays that hold all examples, one for each input; None when `samples` must be walked through."""
    if isinstance(samples, Mapping):
        return _by_name(samples, specs)
    if isinstance(samples, (list, tuple)):
        if not samples:
            raise DataError("samples are an empty list.")
        parts = (
            [np.asarray(part) for part in samples]
            if all(_is_array(part) for part in samples)
            else None
        )
        if parts is None:
            return None
        if len(parts) == len(specs) and all(
            part.ndim == len(spec[1]) for part, spec in zip(parts, specs)
        ):
            return parts
        if (
            len(specs) == 1
            and len({part.shape for part in parts}) == 1
            and parts[0].ndim == len(specs[0][1]) - 1
        ):
            return [np.stack(parts)]
        if len(specs) > 1:
            raise DataError(
                f"samples are {len(parts)} arrays of shapes {_shapes(parts)}; the model has {len(specs)} inputs: {_wanted(specs)}."
            )
        return None if len({part.shape for part in parts}) == 1 else [_ragged(parts, specs)]
    if _is_array(samples):
        if len(specs) > 1:
            raise DataError(
                f"samples are one array of shape {np.shape(samples)}; the model has {len(specs)} inputs: {_wanted(specs)}."
                " Pass a list in that order or a dict by name."
            )
        return [np.asarray(samples)]
    return None


def _gather(samples: Any, specs: list[Spec], limit: int | None) -> list[np.ndarray]:
    parts: list[list[np.ndarray]] = [[] for _ in specs]
    count = 0
    for element in _elements(samples):
        arrays = _element_inputs(element, specs)
        for part, array, spec in zip(parts, arrays, specs):
            part.append(array if array.ndim == len(spec[1]) else array[None])
        count += len(parts[0][-1])
        if limit is not None and count >= limit:
            break
    if not count:
        raise DataError(
            f"samples ({type(samples).__name__}) gave no example; a generator that was used before is empty: pass a new one."
        )
    for part, (name, shape, _) in zip(parts, specs):
        if len({array.shape[1:] for array in part}) > 1:
            raise DataError(
                f"samples for input {name!r} have different shapes: {_shapes(part[:4])}; expected {_wanted([(name, shape, '')])}."
            )
    gathered = [np.concatenate(part) for part in parts]
    return (
        [array[:limit] for array in gathered]
        if len({len(array) for array in gathered}) == 1
        else gathered
    )


def _elements(samples: Any) -> Iterator[Any]:
    if isinstance(samples, Callable) and not isinstance(samples, Iterable):  # type: ignore[arg-type]
        samples = samples()
    if isinstance(samples, Iterable):
        return iter(samples)
    if hasattr(samples, "__getitem__") and hasattr(
        samples, "__len__"
    ):  # a PyDataset or tf_keras Sequence: batches by number
        return (samples[i] for i in range(len(samples)))
    if (
        hasattr(samples, "__getitem__") and getattr(samples, "num_batches", None) is None
    ):  # a PyDataset without an end
        return (samples[i] for i in itertools.count())
    raise DataError(f"samples of type {type(samples).__name__} cannot be read; expected {_KINDS}.")


def _element_inputs(element: Any, specs: list[Spec]) -> list[np.ndarray]:
    """The inputs in one element of a stream: the element itself, or its first part where labels or weights follow."""
    tried = [element, element[0]] if isinstance(element, (tuple, list)) and element else [element]
    for candidate in tried:
        if isinstance(candidate, Mapping):
            return [np.asarray(array) for array in _by_name(candidate, specs)]
        parts = (
            [np.asarray(p) for p in candidate]
            if isinstance(candidate, (tuple, list)) and all(map(_is_array, candidate))
            else None
        )
        if parts is None and _is_array(candidate):
            parts = [np.asarray(candidate)]
        if (
            parts is not None
            and len(parts) == len(specs)
            and all(p.ndim - len(s[1]) in (0, -1) for p, s in zip(parts, specs))
        ):
            return parts
    came = (
        _shapes([np.asarray(p) for p in element if _is_array(p)])
        if isinstance(element, (tuple, list))
        else np.shape(element)
    )
    raise DataError(
        f"samples: an element of shape {came} does not fit the model's inputs: {_wanted(specs)}, one example or a batch."
    )


def _by_name(samples: Mapping, specs: list[Spec]) -> list[Any]:
    names = [name for name, _, _ in specs]
    if set(samples) != set(names):
        raise DataError(
            f"samples are given for inputs {_names(samples)}; the model's inputs are {_names(names)}."
        )
    return [np.asarray(samples[name]) for name in names]


def _fitted(array: np.ndarray, spec: Spec) -> np.ndarray:
    name, shape, dtype = spec
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"samples for input {name!r} are of type {array.dtype}; expected numbers ({dtype})."
        )
    if array.ndim != len(shape) or any(
        want not in (None, came) for want, came in zip(shape[1:], array.shape[1:])
    ):
        hint = " One example needs a leading axis: x[None]." if array.ndim == len(shape) - 1 else ""
        raise DataError(
            f"samples for input {name!r} have shape {array.shape}; expected {_wanted([spec])}.{hint}"
        )
    kind = np.dtype(dtype) if dtype != "bfloat16" else np.dtype("float32")
    if (
        kind.kind in "iu"
        and array.dtype.kind == "f"
        and np.isfinite(array).all()
        and (array != np.round(array)).any()
    ):
        raise DataError(f"samples for input {name!r} are fractions; the model takes {dtype} there.")
    return (
        array
        if array.dtype.kind == "f" and not np.isfinite(array).all()
        else array.astype(kind, copy=False)
    )


def _check_values(array: np.ndarray, spec: Spec) -> None:
    name = spec[0]
    if array.dtype.kind != "f":
        return
    if not (finite := np.isfinite(array)).all():
        first = int(np.argmin(finite.reshape(len(array), -1).all(1)))
        raise DataError(
            f"samples for input {name!r} hold {int((~finite).sum())} NaN or infinite values, first in example {first};"
            " remove or repair them."
        )
    if array.size > 1 and array.min() == array.max():
        raise DataError(
            f"samples for input {name!r} are {array.flat[0]:g} throughout: no range can be learned from them. Give real examples."
        )


def _is_array(thing: Any) -> bool:
    return isinstance(thing, (np.ndarray, int, float)) or (
        hasattr(thing, "__array__") and hasattr(thing, "shape")
    )


def _ragged(parts: list[np.ndarray], specs: list[Spec]) -> np.ndarray:
    raise DataError(
        f"samples are arrays of different shapes: {_shapes(parts[:4])}; expected {_wanted(specs)}."
    )


def _wanted(specs: list[Spec]) -> str:
    return ", ".join(
        f"{name} [n{''.join(f', {n}' if n is not None else ', any' for n in shape[1:])}]"
        for name, shape, _ in specs
    )


def _shapes(arrays: list[np.ndarray]) -> str:
    return ", ".join(str(array.shape) for array in arrays)


def _names(names: Iterable) -> str:
    return ", ".join(map(repr, names))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
