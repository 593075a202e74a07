"""Sources of batches of one Keras in the training of a model of the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from tfcompress._backend.bridge._callbacks import other_keras
from tfcompress._backend.graph._flavour import FLAVOURS, keras_module
from tfcompress.core._errors import DataError
from tfcompress.core._types import Data

Batch: TypeAlias = Any
"""(x, y) or (x, y, sample_weight): arrays, or lists, tuples or dicts of them."""


def unchanged(batch: Batch) -> Batch:
    """`batch` itself."""
    return batch


def is_batches(source: Data) -> bool:
    """Whether `source` makes its own batches: tf.data, PyDataset or Sequence, a generator or a
    function that makes one.
    """
    if callable(source) or hasattr(source, "__next__"):
        return True
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(
        source, (tensorflow.data.Dataset, tensorflow.distribute.DistributedDataset)
    ):
        return True
    modules = [sys.modules[name] for name in FLAVOURS if name in sys.modules]
    return any(isinstance(source, module.utils.Sequence) for module in modules)


def adapt_batches(source: Data, flavour: str) -> Data:
    """A PyDataset or Sequence of the other Keras as one of `flavour`, a function that makes a
    generator as a tf.data set.
    """
    own, other = keras_module(flavour), other_keras(flavour)
    if isinstance(source, own.utils.Sequence):
        return source
    if other is not None and isinstance(source, other.utils.Sequence):
        return sequence(source, flavour)
    generate: Any = source
    return _dataset(generate) if callable(source) else source


def sequence(source: Data, flavour: str, change: Callable[[Batch], Batch] = unchanged) -> Data:
    """A Sequence of `flavour` that gives `change(batch)` of every batch of `source`, a Sequence of
    either Keras.
    """

    class Batches(keras_module(flavour).utils.Sequence):
        def __len__(self) -> int:
            return len(source)

        def __getitem__(self, index: int) -> Batch:
            return change(source[index])

        def on_epoch_begin(self) -> None:
            if hasattr(source, "on_epoch_begin"):
                source.on_epoch_begin()

        def on_epoch_end(self) -> None:
            source.on_epoch_end()

    return Batches()


def _dataset(generate: Callable[[], Iterable[Batch]]) -> Data:
    """A tf.data set that calls `generate` anew every epoch; shapes and types as in the first batch,
    the batch size free.
    """
    import tensorflow as tf

    def batches() -> Iterator[Batch]:
        return map(_as_arrays, generate())

    first = next(batches(), None)
    if first is None:
        raise DataError("The generator function yields nothing; expected batches (x, y).")
    signature = tf.nest.map_structure(_spec, first)
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def _spec(array: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, *array.shape[1:]), array.dtype)


def _as_arrays(batch: Batch) -> Batch:
    """`batch` with arrays for lists and numbers, float32 for float64."""
    if isinstance(batch, (list, tuple)):
        return tuple(_as_arrays(item) for item in batch)
    if isinstance(batch, dict):
        return {key: _as_arrays(item) for key, item in batch.items()}
    array = np.asarray(batch)
    return array.astype("float32") if array.dtype == "float64" else array
