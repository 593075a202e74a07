"""What trains is what is shipped: wrappers pass masks and activity losses as their layers do."""

import importlib

import numpy as np
import pytest

from tfcompress.techniques import Cluster, Prune, QuantizeAware


def padded_ids():
    """Token ids [6, 7], of which the last three of every row are padding."""
    ids = np.random.RandomState(0).randint(1, 20, (6, 7))
    ids[:, 4:] = 0
    return ids, np.arange(6) % 3


def masked_net(flavour, kind):
    """Embedding(mask_zero) in front of layers that pass the mask on or read it."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = layers.Input((7,), dtype="int32")
    hidden = layers.Embedding(20, 8, mask_zero=True, name="embedding")(inputs)
    if kind == "recurrent":
        hidden = layers.Dense(16, activation="relu", name="dense")(hidden)
        hidden = layers.SimpleRNN(8, unroll=True, name="recurrent")(hidden)
    elif kind == "bidirectional":
        hidden = layers.Bidirectional(layers.SimpleRNN(8, unroll=True), name="bidirectional")(
            hidden
        )
    else:
        hidden = layers.MultiHeadAttention(2, 8, name="attention")(hidden, hidden)
        hidden = layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(hidden))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("kind", ["recurrent", "bidirectional", "attention"])
@pytest.mark.parametrize(
    ("flavour", "technique"),  # both are wrapped as tf_keras, whichever Keras the model is of
    [("keras", Prune(0.5)), ("tf_keras", Prune(0.5)), ("keras", Cluster(4))],
    ids=str,
)
def test_masks_reach_every_layer_while_it_trains(flavour, technique, kind):
    ids, labels = padded_ids()
    model = masked_net(flavour, kind)
    wrapped = technique.apply(model)
    if technique.label == "prune50":  # whose masks are still all ones
        np.testing.assert_allclose(
            wrapped.predict(ids, verbose=0), model.predict(ids, verbose=0), atol=1e-6
        )
    wrapped.fit(ids, labels, verbose=0, callbacks=technique.callbacks())
    stripped = technique.strip(wrapped)
    technique.check(model, stripped)
    np.testing.assert_allclose(
        stripped.predict(ids, verbose=0), wrapped.predict(ids, verbose=0), atol=1e-6
    )


def regularized_net(flavour, activation):
    """Two Dense layers, the first with an L2 penalty on its outputs."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    penalty = keras.regularizers.L2(0.5)
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(16, activation, activity_regularizer=penalty, name="hidden"),
            keras.layers.Dense(3, "softmax", name="out"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("technique", "activation"),
    [
        (Prune(0.5), "relu"),
        (Cluster(4), "relu"),
        (QuantizeAware(), "relu"),
        (QuantizeAware(), "elu"),
    ],
    ids=["prune", "cluster", "qat", "qat, with the activation split off"],
)
def test_activity_losses_are_part_of_the_loss(keras_flavour, technique, activation):
    """The loss of the wrapped model is that of the labels plus λ·Σa² per example."""
    tf_keras = importlib.import_module("tf_keras")
    random = np.random.RandomState(0)
    x, labels = random.rand(32, 8).astype("float32"), random.randint(0, 3, 32)
    wrapped = technique.apply(regularized_net(keras_flavour, activation))
    wrapped.fit(x, labels, batch_size=32, verbose=0, callbacks=technique.callbacks())
    loss = wrapped.evaluate(x, labels, batch_size=32, verbose=0)
    likelihoods = wrapped.predict(x, verbose=0)[np.arange(32), labels]
    hidden = tf_keras.Model(wrapped.input, wrapped.layers[-2].output).predict(x, verbose=0)
    penalty = 0.5 * np.square(hidden).sum() / len(x)
    assert penalty > 0.3
    assert loss == pytest.approx(-np.log(likelihoods).mean() + penalty, rel=1e-4)
