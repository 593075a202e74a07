"""Point sets of known dimension and the network of the thesis."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def manifold():
    """Factory `manifold(kind, d, n, seed=0, dtype="float32")`.

    n points on a d-dimensional manifold, turned into 1,000 dimensions.
    """

    def make(kind, d, n, seed=0, dtype="float32"):
        rng = np.random.default_rng(seed)
        if kind == "gauss":
            flat = rng.normal(size=(n, d))
        elif kind == "sphere":
            flat = rng.normal(size=(n, d + 1))
            flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        elif kind == "swiss":
            angle, height = 1.5 * np.pi * (1 + 2 * rng.random(n)), 21 * rng.random(n)
            flat = np.stack([angle * np.cos(angle), height, angle * np.sin(angle)], axis=1)
        else:
            raise ValueError(f"{kind!r} is none of gauss, sphere and swiss")
        turn = np.linalg.qr(rng.normal(size=(1000, flat.shape[1])))[0]
        return (flat @ turn.T).astype(dtype)

    return make


@pytest.fixture(scope="session")
def quantnet():
    """Factory `quantnet(flavour)`: the thesis' network, 545,889 parameters, not trained."""
    from tfcompress import zoo

    return lambda flavour: zoo.quantnet(keras=flavour)


@pytest.fixture(scope="package", params=["keras", "tf_keras"])
def trained(request, trained_cnn):
    """The small net that has learned the digits, in each Keras; nobody may change it."""
    return trained_cnn(request.param)
