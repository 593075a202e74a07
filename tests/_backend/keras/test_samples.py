"""Samples: whatever a user holds becomes one checked array for each input, in the model's order."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.keras._samples import as_samples, take
from tfcompress.core import DataError

X = np.arange(30, dtype=np.float32).reshape(10, 3)
IDS = np.arange(20).reshape(10, 2)


@pytest.fixture(params=["keras", "tf_keras"])
def one(request):
    k = importlib.import_module(request.param)
    x = k.Input((3,), name="x")
    return k.Model(x, k.layers.Dense(2)(x))


@pytest.fixture(params=["keras", "tf_keras"])
def two(request):
    k = importlib.import_module(request.param)
    x, ids = k.Input((3,), name="x"), k.Input((2,), dtype="int32", name="ids")
    return k.Model(
        [x, ids], k.layers.Concatenate()([x, k.layers.Flatten()(k.layers.Embedding(50, 2)(ids))])
    )


def dataset(*parts):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts[0] if len(parts) == 1 else parts)


def sequence(batches):
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index]

    return Batches()


Y = np.zeros(10)
ONE = {
    "array": lambda: X,
    "tensor": lambda: __import__("tensorflow").constant(X),
    "list of it": lambda: [X],
    "dict": lambda: {"x": X},
    "examples": lambda: list(X),
    "double precision": lambda: X.astype("float64"),
    "integers": lambda: X.astype("uint8"),
    "dataset": lambda: dataset(X),
    "dataset in batches": lambda: dataset(X).batch(4),
    "dataset with labels": lambda: dataset(X, Y),
    "batches with labels and weights": lambda: dataset(X, Y, Y).batch(4),
    "dataset of dicts": lambda: dataset({"x": X}, Y).batch(3),
    "PyDataset": lambda: sequence([(X[:6], Y[:6]), (X[6:], Y[6:])]),
    "generator": lambda: (row for row in X),
    "generator of batches": lambda: iter([X[:5], X[5:]]),
    "converter's own style": lambda: lambda: ([row[None]] for row in X),
}
TWO = {
    "list": lambda: [X, IDS],
    "tuple": lambda: (X, IDS),
    "dict": lambda: {"ids": IDS, "x": X},
    "dataset": lambda: dataset((X, IDS), Y),
    "dataset without labels": lambda: dataset(X, IDS).batch(4),
    "dataset of dicts": lambda: dataset({"ids": IDS, "x": X}).batch(4),
    "generator": lambda: ([x[None], i[None]] for x, i in zip(X, IDS)),
}


@pytest.mark.parametrize("kind", ONE)
def test_one_input(kind, one):
    (came,) = as_samples(one, ONE[kind](), 100)
    np.testing.assert_array_equal(came, X)
    assert came.dtype == np.float32


@pytest.mark.parametrize("kind", TWO)
def test_two_inputs(kind, two):
    x, ids = as_samples(two, TWO[kind](), 100)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(ids, IDS)
    assert (x.dtype, ids.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize("kind", ONE)
def test_result_can_be_given_again(kind, one):
    once = as_samples(one, ONE[kind](), 6)
    np.testing.assert_array_equal(as_samples(one, once, 6)[0], once[0])


def test_limit_spreads_over_arrays_and_takes_the_first_of_streams(one):
    np.testing.assert_array_equal(as_samples(one, X, 4)[0], X[[0, 3, 6, 9]])
    np.testing.assert_array_equal(as_samples(one, dataset(X).batch(3), 4)[0], X[:4])


def test_endless_stream_stops_at_the_limit(one):
    assert as_samples(one, dataset(X).repeat(), 25)[0].shape == (25, 3)


def test_streams_of_uneven_examples(one):
    with pytest.raises(
        DataError, match=r"element of shape .* does not fit the model's inputs: x \[n, 3\]"
    ):
        as_samples(one, iter([np.zeros((2, 2, 3))]), 5)
    with pytest.raises(DataError, match=r"'x' have different shapes: \(1, 3\), \(1, 4\)"):
        as_samples(one, iter([np.ones(3), np.ones(4)]), 5)


def test_without_samples_random_inputs_that_fit(two):
    x, ids = take(two, None, 5)
    assert (x.shape, ids.shape) == ((5, 3), (5, 2))
    assert 0 <= ids.min() <= ids.max() < 50
