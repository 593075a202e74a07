"""Samples of any kind — array, list, dict, tf.data, PyDataset, generator — as checked arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.keras._inputs import input_specs, random_inputs
from tfcompress._backend.keras._streams import draw, same_shapes
from tfcompress.core._errors import DataError
from tfcompress.core._types import Array, ArrayLike, Data, Model

Spec = tuple[str, tuple[int | None, ...], str]
"""An input's name, shape with None for an open dimension (batch first), and dtype."""
_KINDS = (
    "an array, a list or dict of arrays, a tf.data.Dataset, a PyDataset, a generator or a function"
    " returning one"
)


@dataclass(frozen=True)
class Sampled:
    """Checked samples, one array [n, ...] an input, and in words which of those given they are."""

    arrays: list[Array]
    how: str


def as_samples(model: Model, samples: Data, limit: int | None = None, seed: int = 0) -> list[Array]:
    """The arrays of `sampled`."""
    return sampled(model, samples, limit, seed).arrays


def sampled(model: Model, samples: Data, limit: int | None = None, seed: int = 0) -> Sampled:
    """`samples` as one array [n, ...] for each input of `model`, in its order and dtypes.

    Args:
        model: the model that they are for.
        samples: an array (or list of examples) for a model with one input; a list, tuple or dict
            (by input name) of arrays; a `tf.data.Dataset`, PyDataset or generator of examples or
            batches, with or without labels; a function returning a generator. A generator is used
            up by this; the result can be given again.
        limit: most examples that are taken: evenly spaced ones of arrays, and of a stream each
            with the same probability, whatever its order.
        seed: of the choice from a stream.

    Raises DataError: nothing there, another shape or dtype, other counts, NaN or infinity, the
    same value throughout.
    """
    specs = input_specs(model)
    whole = _whole(samples, specs)
    if whole is not None:
        chosen = _choose(whole, specs, limit)
    else:
        chosen = _draw(samples, specs, limit, seed)
    arrays = [_cast(array, spec) for array, spec in zip(chosen.arrays, specs)]
    for array, spec in zip(arrays, specs):
        _check_values(array, spec)
    return Sampled(arrays, chosen.how)


def require(model: Model, samples: Data, what: str) -> None:
    """DataError when `samples` are missing where `what` calibrates with them."""
    if samples is None:
        shapes = [
            f"{name} {['n', *shape[1:]]}".replace("'", "") for name, shape, _ in input_specs(model)
        ]
        raise DataError(
            f"{what} calibrates its ranges on real inputs, and `samples` is missing: give 100 or"
            f" more of the training set's ({', '.join(shapes)}), in Python with samples= as"
            f" {_KINDS}, on the command line with --data."
        )


def take(model: Model, samples: Data, count: int) -> list[Array]:
    """`count` (or fewer) checked examples of `samples`; random ones where `samples` is None."""
    return random_samples(model, count) if samples is None else as_samples(model, samples, count)


def random_samples(model: Model, count: int) -> list[Array]:
    """Random inputs of `model` that differ in brightness and contrast.

    Noise alone looks all alike to a network. Each example of a float input is m + c · (x − m)
    with a contrast c in 0.1 to 1 and a level m within the input's range, both its own.
    """
    generator = np.random.default_rng(0)
    return [_of_many_contrasts(array, generator) for array in random_inputs(model, n=count)]


def _of_many_contrasts(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype.kind != "f" or array.ndim < 2:
        return array
    each = (len(array), *[1] * (array.ndim - 1))
    contrast = generator.uniform(0.1, 1, each)
    level = generator.uniform(array.min(), array.max(), each)
    return (level + contrast * (array - level)).astype(array.dtype)


def _whole(samples: Data, specs: list[Spec]) -> list[Array] | None:
    """Arrays that hold all examples, one an input; None where `samples` must be walked through."""
    if isinstance(samples, Mapping):
        return _by_name(samples, specs)
    if isinstance(samples, (list, tuple)):
        return _whole_of_list(samples, specs)
    if not _is_array(samples):
        return None
    if len(specs) > 1:
        raise DataError(
            f"samples are one array of shape {np.shape(samples)}; the model has {len(specs)}"
            f" inputs: {_wanted(specs)}. Pass a list in that order or a dict by name."
        )
    return [_array(samples)]


def _whole_of_list(samples: Sequence[Any], specs: list[Spec]) -> list[Array] | None:
    """A list of one array an input, or of the examples of a model with one input."""
    if not samples:
        raise DataError("samples are an empty list.")
    if not all(_is_array(part) for part in samples):
        return None
    parts = [_array(part) for part in samples]
    ranks = [part.ndim for part in parts]
    if ranks == [len(shape) for _, shape, _ in specs]:
        return parts
    if len(specs) > 1:
        raise DataError(
            f"samples are {len(parts)} arrays of shapes {_shapes(parts)}; the model has"
            f" {len(specs)} inputs: {_wanted(specs)}."
        )
    alike = len({part.shape for part in parts}) == 1
    if not alike:
        raise DataError(
            f"samples are arrays of different shapes: {_shapes(parts[:4])}; expected"
            f" {_wanted(specs)}."
        )
    return [np.stack(parts)] if ranks[0] == len(specs[0][1]) - 1 else None


def _choose(arrays: list[Array], specs: list[Spec], limit: int | None) -> Sampled:
    """Evenly spaced examples, before anything is converted: the arrays given may be large."""
    for array, spec in zip(arrays, specs):
        _check_shape(array, spec)
    counts = {name: len(array) for array, (name, _, _) in zip(arrays, specs)}
    _check_counts(counts)
    count = len(arrays[0])
    if limit is None or count <= limit:
        return Sampled(arrays, f"all {count:,}")
    places = np.linspace(0, count - 1, limit).round().astype(int)
    return Sampled([array[places] for array in arrays], f"{limit:,} of {count:,}, evenly spaced")


def _draw(samples: Data, specs: list[Spec], limit: int | None, seed: int) -> Sampled:
    """Examples of a stream, all if there is no limit."""
    names = [name for name, _, _ in specs]

    def batches(elements: Iterator[object]) -> Iterator[list[Array]]:
        first: list[Array] | None = None
        for element in elements:
            inputs = _element_inputs(element, specs)
            batch = [
                array if array.ndim == len(shape) else array[None]
                for array, (_, shape, _) in zip(inputs, specs)
            ]
            first = first or batch
            same_shapes(first, batch, names)
            _check_counts({name: len(array) for name, array in zip(names, batch)}, empty=True)
            yield batch

    try:
        drawn = draw(samples, batches, 2**62 if limit is None else limit, seed)
    except TypeError as error:
        if str(error) != type(samples).__name__:
            raise
        raise DataError(f"samples of type {error} cannot be read; expected {_KINDS}.") from None
    if not drawn.arrays:
        raise DataError(
            f"samples ({type(samples).__name__}) gave no example; a generator that was used before"
            " is empty: pass a new one."
        )
    for array, spec in zip(drawn.arrays, specs):
        _check_shape(array, spec)
    return Sampled(drawn.arrays, drawn.how)


def _element_inputs(element: Any, specs: list[Spec]) -> list[Array]:
    """The inputs in one element of a stream: itself, or its first part where labels follow."""
    candidates = [element]
    if isinstance(element, (tuple, list)) and element:
        candidates.append(element[0])
    for candidate in candidates:
        if isinstance(candidate, Mapping):
            return [np.asarray(array) for array in _by_name(candidate, specs)]
        parts = _parts(candidate)
        if len(parts) == len(specs) and all(map(_fits_rank, parts, specs)):
            return parts
    if isinstance(element, (tuple, list)):
        came: object = _shapes([np.asarray(part) for part in element if _is_array(part)])
    else:
        came = np.shape(element)
    raise DataError(
        f"samples: an element of shape {came} does not fit the model's inputs: {_wanted(specs)},"
        " one example or a batch."
    )


def _parts(candidate: Any) -> list[Array]:
    """The arrays that a candidate consists of; none where it is something else."""
    if isinstance(candidate, (tuple, list)):
        return [np.asarray(p) for p in candidate] if all(map(_is_array, candidate)) else []
    return [np.asarray(candidate)] if _is_array(candidate) else []


def _fits_rank(part: Array, spec: Spec) -> bool:
    """Whether an array has the dimensions of a batch or of one example."""
    return len(spec[1]) - part.ndim in (0, 1)


def _by_name(samples: Mapping[str, Any], specs: list[Spec]) -> list[Array]:
    names = [name for name, _, _ in specs]
    if set(samples) != set(names):
        raise DataError(
            f"samples are given for inputs {_quoted(samples)}; the model's inputs are"
            f" {_quoted(names)}."
        )
    return [_array(samples[name]) for name in names]


def _check_counts(counts: Mapping[str, int], empty: bool = False) -> None:
    """DataError where inputs have other numbers of examples, or none unless that may be."""
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise DataError(f"samples: every input needs as many examples as the others, got {listed}.")
    if not empty and not min(counts.values()):
        raise DataError(
            "samples are empty: give examples like those the model was trained on, 100 or more to"
            " calibrate with."
        )


def _check_shape(array: Array, spec: Spec) -> None:
    name, shape, dtype = spec
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"samples for input {name!r} are of type {array.dtype}; expected numbers ({dtype})."
        )
    pairs = zip(shape[1:], array.shape[1:])
    if array.ndim != len(shape) or any(wanted not in (None, came) for wanted, came in pairs):
        is_one = array.ndim == len(shape) - 1
        hint = " One example needs a leading axis: x[None]." if is_one else ""
        raise DataError(
            f"samples for input {name!r} have shape {array.shape}; expected {_wanted([spec])}."
            f"{hint}"
        )


def _cast(array: Array, spec: Spec) -> Array:
    """The chosen examples in the input's dtype; values that are not finite stay to be told."""
    name, _, dtype = spec
    kind = np.dtype("float32" if dtype == "bfloat16" else dtype)
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return array
    if kind.kind in "iu" and array.dtype.kind == "f" and (array != np.round(array)).any():
        raise DataError(f"samples for input {name!r} are fractions; the model takes {dtype} there.")
    return array.astype(kind, copy=False)


def _check_values(array: Array, spec: Spec) -> None:
    name = spec[0]
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argmin(finite.reshape(len(array), -1).all(1)))
        raise DataError(
            f"samples for input {name!r} hold {int((~finite).sum())} NaN or infinite values, first"
            f" in example {first}; remove or repair them."
        )
    if array.size > 1 and array.min() == array.max():
        raise DataError(
            f"samples for input {name!r} are {array.flat[0]:g} throughout: no range can be learned"
            " from them. Give real examples."
        )


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, int, float)) or (
        hasattr(value, "__array__") and hasattr(value, "shape")
    )


def _array(value: ArrayLike) -> Array:
    """`value` as something to take rows of: itself where it has NumPy's dtype, as on disk."""
    return value if isinstance(getattr(value, "dtype", None), np.dtype) else np.asarray(value)


def _wanted(specs: Iterable[Spec]) -> str:
    """What the inputs are, such as `x [n, 3]`."""
    texts = []
    for name, shape, _ in specs:
        sizes = ["n", *("any" if size is None else str(size) for size in shape[1:])]
        texts.append(f"{name} [{', '.join(sizes)}]")
    return ", ".join(texts)


def _shapes(arrays: Iterable[Array]) -> str:
    return ", ".join(str(array.shape) for array in arrays)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
