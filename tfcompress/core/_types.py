"""Names for what the library takes: objects of packages that it does not import here.

Keras 3 and tf_keras share no base class, and neither is typed, so that no protocol fits both
without hiding the attributes that the doors read. The names say what is meant; the check at run
time is `_backend.graph.require_graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Model: TypeAlias = Any
"""A Sequential or Functional model of Keras 3 or tf_keras."""

Layer: TypeAlias = Any
"""A layer of Keras 3 or tf_keras, or an Operation of `keras.ops` in a Keras 3 graph."""

Tensor: TypeAlias = Any
"""A symbolic or eager tensor of TensorFlow or of either Keras."""

Variable: TypeAlias = Any
"""A weight of a layer, of TensorFlow or of Keras 3."""

Callback: TypeAlias = Any
"""A callback of either Keras."""

Array: TypeAlias = np.ndarray
"""A NumPy array; shapes are given in the docstrings."""

ArrayLike: TypeAlias = Any
"""What NumPy turns into an array: an array, nested lists, or a tensor."""

Data: TypeAlias = Any
"""Examples: an array, a list or dict of arrays, a tf.data.Dataset, a PyDataset, or a generator."""

Trainer: TypeAlias = Callable[[Any, Sequence[Any]], None]
"""Trains a model with the callbacks of a technique: `(model, callbacks) -> None`."""
