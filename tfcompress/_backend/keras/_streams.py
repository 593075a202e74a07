"""Examples of a stream (tf.data, PyDataset, generator), a fair choice of them where it is long."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.core._errors import DataError
from tfcompress.core._types import Array, Data

LOOKED_AT, LOOKED_AT_ENDLESS = 50, 10
"""How many times as many examples as are wanted a stream is read for, where nobody knows its
length, and where it is known to have no end. A stream of known length is read to its end."""
ENDLESS = -1
"""tf.data's cardinality of a data set without an end; the one of unknown length is -2."""


@dataclass(frozen=True)
class Drawn:
    """Examples of a stream in its order, one array an input, and in words how they were chosen."""

    arrays: list[Array]
    how: str


class Reservoir:
    """Keeps `limit` of the examples that it is shown, each with the same probability.

    Example i, counted from 0, is kept while i < limit; after that it takes the place of a random
    one with probability limit / (i + 1).

    Source: Vitter 1985, Random Sampling with a Reservoir (algorithm R).
    """

    def __init__(self, limit: int, seed: int):
        self.limit = limit
        self.count = 0
        self._generator = np.random.default_rng(seed)
        self._kept: list[tuple[int, list[Array]]] = []

    def show(self, batch: Sequence[Array]) -> None:
        """Offer a batch: one array [n, ...] an input."""
        numbers = self.count + np.arange(len(batch[0]))
        places = np.where(numbers < self.limit, numbers, self._generator.integers(0, numbers + 1))
        for row in np.flatnonzero(places < self.limit):
            # A copy, or the whole batch would stay in memory for one example of it.
            example = int(numbers[row]), [array[row].copy() for array in batch]
            if numbers[row] < self.limit:
                self._kept.append(example)
            else:
                self._kept[places[row]] = example
        self.count += len(batch[0])

    def arrays(self) -> list[Array]:
        """The kept examples in the order in which they came, one array an input."""
        ordered = [rows for _, rows in sorted(self._kept, key=lambda example: example[0])]
        return [np.stack(rows) for rows in zip(*ordered)]


def draw(
    samples: Data,
    batches: Callable[[Iterator[object]], Iterator[list[Array]]],
    limit: int,
    seed: int,
) -> Drawn:
    """`limit` examples of a stream, chosen by a Reservoir; all of them where it has no more.

    Args:
        samples: the stream.
        batches: turns its elements into batches, one array [n, ...] an input.
        limit: how many are wanted.
        seed: of the choice.
    """
    most = _looked_at(samples, limit)
    reservoir = Reservoir(limit, seed)
    stream = batches(elements(samples))
    for batch in stream:
        reservoir.show(batch)
        if most is not None and reservoir.count >= most:
            break
    went_on = most is not None and reservoir.count >= most and next(stream, None) is not None
    if not reservoir.count:
        return Drawn([], "none")
    if reservoir.count <= limit and not went_on:
        return Drawn(reservoir.arrays(), f"all {reservoir.count:,} of the stream")
    read = f"the first {reservoir.count:,}" if went_on else f"{reservoir.count:,}"
    if went_on and _cardinality(samples) != ENDLESS:
        warnings.warn(
            f"samples: {limit:,} were chosen from the first {reservoir.count:,} examples of a"
            " stream that goes on. Where its order means something, shuffle it or give an array.",
            stacklevel=4,
        )
    return Drawn(
        reservoir.arrays(), f"{limit:,} of {read} of the stream, equally likely, seed {seed}"
    )


def elements(samples: Data) -> Iterator[object]:
    """The elements of a data set, PyDataset, generator, or function that returns one.

    Raises TypeError for anything else.
    """
    if isinstance(samples, Callable) and not isinstance(samples, Iterable):  # type: ignore[arg-type]
        samples = samples()
    if isinstance(samples, Iterable):
        return iter(samples)
    if hasattr(samples, "__getitem__") and hasattr(samples, "__len__"):
        return (samples[number] for number in range(len(samples)))
    if hasattr(samples, "__getitem__") and getattr(samples, "num_batches", None) is None:
        return (samples[number] for number in itertools.count())  # a PyDataset without an end
    raise TypeError(type(samples).__name__)


def _looked_at(samples: Data, limit: int) -> int | None:
    """How many examples are read at most; None where the stream is known to end."""
    cardinality = _cardinality(samples)
    if cardinality == ENDLESS:
        return LOOKED_AT_ENDLESS * limit
    if cardinality is not None and cardinality >= 0:
        return None
    if cardinality is None and hasattr(samples, "__len__"):
        return None
    return LOOKED_AT * limit


def _cardinality(samples: Data) -> int | None:
    """The number of elements of a tf.data set, negative where it is endless or unknown."""
    cardinality = getattr(samples, "cardinality", None)
    if not callable(cardinality):
        return None
    return int(cardinality())  # type: ignore[call-overload]


def same_shapes(first: Sequence[Array], batch: Sequence[Array], names: Sequence[str]) -> None:
    """DataError where the examples of `batch` have another shape than those of the `first` one."""
    for earlier, later, name in zip(first, batch, names):
        if earlier.shape[1:] != later.shape[1:]:
            raise DataError(
                f"samples for input {name!r} have different shapes: {earlier.shape}, {later.shape};"
                " give every example the same."
            )
