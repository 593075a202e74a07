"""One trained net in both Kerases for every technique's tests."""

import functools

import numpy as np
import pytest


@pytest.fixture(scope="session")
def trained(trained_cnn):
    """`trained(flavour)`: the small net that has learned the digits.

    It is the same object every time: nobody may change it.
    """
    return functools.cache(trained_cnn)


@pytest.fixture
def model(trained, keras_flavour, digits):
    """The trained net; after the test weights, outputs, compile state and flags are as before."""
    net = trained(keras_flavour)
    weights = [np.array(w) for w in net.get_weights()]
    outputs = net.predict(digits[2][:8], verbose=0)
    before = (
        net.optimizer,
        net.loss,
        [layer.name for layer in net.layers],
        [layer.trainable for layer in net.layers],
    )
    yield net
    assert all(np.array_equal(a, b) for a, b in zip(weights, net.get_weights()))
    np.testing.assert_array_equal(outputs, net.predict(digits[2][:8], verbose=0))
    after = (
        net.optimizer,
        net.loss,
        [layer.name for layer in net.layers],
        [layer.trainable for layer in net.layers],
    )
    assert after == before
    assert isinstance(
        net.layers[0].output.shape[-1], int
    )  # still one call per layer: nothing was wrapped around the user's own


@pytest.fixture
def run(digits):
    """`run(technique, model, **fit)`: apply, fit, strip, check → (stripped model, checks).

    Without options for `fit` nothing is trained.
    """

    def go(technique, model, **fit):
        wrapped = technique.apply(model)
        if fit:
            wrapped.fit(digits[0], digits[1], verbose=0, callbacks=technique.callbacks(), **fit)
        stripped = technique.strip(wrapped)
        return stripped, technique.check(model, stripped)

    return go
