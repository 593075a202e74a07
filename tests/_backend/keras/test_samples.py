"""Samples: whatever a user holds becomes one checked array for each input, in the model's order."""

import importlib
import itertools
import tracemalloc

import numpy as np
import pytest

from tfcompress._backend.keras._samples import as_samples, require, sampled, take
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


def test_limit_spreads_over_arrays(one):
    np.testing.assert_array_equal(as_samples(one, X, 4)[0], X[[0, 3, 6, 9]])
    assert sampled(one, X, 4).how == "4 of 10, evenly spaced"
    assert sampled(one, X, 20).how == "all 10"


@pytest.mark.parametrize("kind", ["dataset", "PyDataset", "generator"])
def test_a_stream_sorted_by_class_gives_all_its_classes(kind, one):
    labels = np.repeat(np.arange(10, dtype=np.float32), 100)
    rows = np.stack([labels, np.arange(1000), np.ones(1000)], axis=1).astype("float32")
    streams = {
        "dataset": lambda: dataset(rows).batch(32),
        "PyDataset": lambda: sequence([(rows[:500],), (rows[500:],)]),
        "generator": lambda: (row for row in rows),
    }
    chosen = sampled(one, streams[kind](), 100)
    assert chosen.how == "100 of 1,000 of the stream, equally likely, seed 0"
    assert set(chosen.arrays[0][:, 0]) == set(range(10))
    assert np.all(np.diff(chosen.arrays[0][:, 1]) > 0), "they come in the order of the stream"
    np.testing.assert_array_equal(chosen.arrays[0], as_samples(one, streams[kind](), 100)[0])
    other = as_samples(one, streams[kind](), 100, seed=1)[0]
    assert not np.array_equal(chosen.arrays[0], other)


def test_a_long_generator_is_cut_and_that_is_said(one):
    endless = (np.array([number, 1, 2], np.float32) for number in itertools.count())
    with pytest.warns(UserWarning, match=r"from the first 500 examples of a stream that goes on"):
        chosen = sampled(one, endless, 10)
    assert chosen.how == "10 of the first 500 of the stream, equally likely, seed 0"
    assert chosen.arrays[0][:, 0].max() > 250


def test_every_example_of_a_stream_is_as_likely():
    from tfcompress._backend.keras._streams import Reservoir

    counts = np.zeros(20)
    for seed in range(2000):
        reservoir = Reservoir(5, seed)
        for start in range(0, 20, 4):
            reservoir.show([np.arange(start, start + 4)])
        counts[reservoir.arrays()[0]] += 1
    # Binomial(2000, 1/4) has a deviation of 19.4.
    assert np.abs(counts - 500).max() < 80


def test_only_the_chosen_are_converted(one):
    x = np.random.default_rng(0).integers(0, 255, (200_000, 3), dtype=np.uint8)
    tracemalloc.start()
    try:
        as_samples(one, x, 16)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_what_is_missing_is_told_to_python_and_to_the_command(one):
    with pytest.raises(DataError, match=r"`samples` is missing.*samples=.*command line.*--data"):
        require(one, None, "int8")


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
