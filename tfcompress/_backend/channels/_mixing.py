"""Whether an activation function computes every channel from that channel alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import from_keras, is_layer
from tfcompress.core._types import Layer

_WIDTH = 6


def activation_mixes(layer: Layer) -> bool:
    """Whether the activation inside `layer` (a Dense, a convolution) mixes its channels."""
    function = getattr(layer, "activation", None)
    return function is not None and mixes_channels(function)


def mixes_channels(function: Callable[[Any], Any]) -> bool:
    """Whether a channel of `function(x)` depends on another channel of x, or cannot be followed.

    A softmax divides by a sum over the channels, a gated unit halves them. It is tried out on
    x [1, 2, 2, 6]: another first channel must change no other one. An activation that is a layer
    with weights is not followed, since its weights have channels too.
    """
    if is_layer(function) and getattr(function, "weights", ()):
        return True
    # Keras's own functions stay what they are: each is tried out once.
    is_keras_function = isinstance(function, FunctionType) and from_keras(function)
    return (_tried_once if is_keras_function else _tried)(function)


def _tried(function: Callable[[Any], Any]) -> bool:
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(1, 2, 2, _WIDTH)).astype("float32")
    other = x.copy()
    other[..., 0] += 1.5
    try:
        one, two = (np.asarray(function(tf.constant(values))) for values in (x, other))
    except Exception:  # a function that takes other shapes, or cannot run here
        return True
    return one.shape != x.shape or not np.array_equal(one[..., 1:], two[..., 1:])


_tried_once = functools.cache(_tried)
