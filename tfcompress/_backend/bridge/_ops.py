"""Operations in a graph (x + y, slices, keras.ops and tf functions) as tf_keras layers.

An operation becomes the plain tf_keras layer that does the same, else one that runs it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.bridge._native import activation
from tfcompress._backend.keras._copy import copy_operation
from tfcompress.core._types import Layer, Tensor

Make = Callable[..., Layer]
"""Constructor of a layer, called with `name=` and `dtype=`."""

_PAIRS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_TF_PAIRS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
}
_ACTIVATIONS = {
    "Elu": "elu",
    "Gelu": "gelu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softmax": "softmax",
    "Tanh": "tanh",
}


def carry_operation(
    operation: Layer, args: tuple, kwargs: dict[str, Any], name: str
) -> tuple[Layer, Any]:
    """(unbuilt tf_keras layer for a Keras 3 Operation, what to call it on).

    args, kwargs: of the operation's call, with tf_keras tensors.
    """
    from tfcompress._backend.bridge import _wrapped

    arguments, tensors = _wrapped.template((args, kwargs))
    make = None if kwargs else _plain(operation, args, tensors)
    if make is not None:
        return make(name=name, dtype=_policy(tensors)), _one_or_all(tensors)
    layer = _wrapped.OpLayer(copy_operation(operation), arguments, name=name)
    return layer, _one_or_all(tensors)


def carry_tf_operation(
    layer: Layer, args: tuple, kwargs: dict[str, Any], name: str
) -> tuple[Layer, Any]:
    """The same for a tf_keras layer of a TensorFlow function (TFOpLambda, SlicingOpLambda)."""
    import tf_keras

    from tfcompress._backend.bridge import _wrapped

    arguments, tensors = _wrapped.template(_with_slices((args, kwargs)))
    pair = _TF_PAIRS.get(getattr(layer, "symbol", ""))
    has_two = len(tensors) == 2 and len(args) + ("y" in kwargs) == 2
    if pair and has_two and _alike(tensors):
        return getattr(tf_keras.layers, pair)(name=name, dtype=_policy(tensors)), tensors
    return _wrapped.OpLayer(layer.function, arguments, name=name), _one_or_all(tensors)


def _one_or_all(tensors: list[Tensor]) -> Any:
    return tensors if len(tensors) > 1 else tensors[0]


def _with_slices(structure: Any) -> Any:
    """tf_keras records x[1:-1] as a dict; put the slice back."""
    if isinstance(structure, dict) and set(structure) == {"start", "stop", "step"}:
        return slice(structure["start"], structure["stop"], structure["step"])
    if isinstance(structure, dict):
        return {key: _with_slices(value) for key, value in structure.items()}
    if type(structure) in (list, tuple):
        return type(structure)(_with_slices(value) for value in structure)
    return structure


def _policy(tensors: Sequence[Tensor]) -> str:
    """What stands for an operation computes in the dtype that comes in, whatever the policy."""
    return tensors[0].dtype.name


def _alike(tensors: Sequence[Tensor]) -> bool:
    """Same dtype (floating) and rank: then a merge layer does what the operation does."""
    first = tensors[0]
    rank = len(first.shape)
    same_dtype = all(tensor.dtype == first.dtype for tensor in tensors)
    same_rank = all(len(tensor.shape) == rank for tensor in tensors)
    return rank > 1 and same_dtype and same_rank and first.dtype.is_floating


def _plain(operation: Layer, args: tuple, tensors: Sequence[Tensor]) -> Make | None:
    """Constructor of the tf_keras layer that does the same as a Keras 3 operation, or None."""
    import tf_keras

    kind = type(operation).__name__
    is_keras_op = type(operation).__module__.startswith("keras.src.ops.")
    if not is_keras_op or not tensors or not _alike(tensors):
        return None
    if kind in _PAIRS and len(args) == 2 and len(tensors) == 2:
        return getattr(tf_keras.layers, kind)
    if kind == "Concatenate" and len(args[0]) == len(tensors):
        return functools.partial(tf_keras.layers.Concatenate, axis=operation.axis)
    is_first = len(tensors) == 1 and bool(args) and args[0] is tensors[0]
    if len(args) == 2 and len(tensors) == 1:
        return _affine(kind, args, is_first)
    if is_first and len(args) == 1:
        return _of_one_tensor(operation, kind, tensors[0])
    return None


def _of_one_tensor(operation: Layer, kind: str, tensor: Tensor) -> Make | None:
    """The layer for an operation whose only argument is a tensor."""
    import tf_keras

    layers = tf_keras.layers
    if kind in _ACTIVATIONS:
        return _activation(operation, kind)
    if kind == "Reshape":
        batch, *shape = operation.newshape
        keeps_batch = batch in (-1, None) and -1 not in shape
        return functools.partial(layers.Reshape, tuple(shape)) if keeps_batch else None
    if kind == "Transpose" and operation.axes and operation.axes[0] == 0:
        return functools.partial(layers.Permute, tuple(operation.axes[1:]))
    is_image = len(tensor.shape) == 4
    if kind == "Mean" and is_image and tuple(np.atleast_1d(operation.axis)) == (1, 2):
        return functools.partial(
            layers.GlobalAveragePooling2D, keepdims=operation.keepdims, data_format="channels_last"
        )
    return None


def _activation(operation: Layer, kind: str) -> Make | None:
    import keras
    import tf_keras

    has_other_axis = getattr(operation, "axis", -1) != -1
    is_approximate = kind == "Gelu" and operation.approximate
    is_scaled = kind == "Elu" and operation.alpha != 1.0
    if has_other_axis or is_approximate or is_scaled:
        return None
    function = activation(getattr(keras.activations, _ACTIVATIONS[kind]))
    return functools.partial(tf_keras.layers.Activation, function)


def _affine(kind: str, args: tuple, tensor_first: bool) -> Make | None:
    """x + c, x − c, c − x, c · x, x / c as Rescaling(scale, offset)."""
    import tf_keras

    constant = args[1] if tensor_first else args[0]
    if np.ndim(constant) != 0 or not isinstance(constant, (int, float, np.number)):
        return None
    c = float(constant)
    pairs = {"Add": (1.0, c), "Multiply": (c, 0.0), "Subtract": (-1.0, c)}
    if tensor_first:
        pairs["Subtract"] = (1.0, -c)
        if c != 0.0:
            pairs |= {"Divide": (1.0 / c, 0.0), "TrueDivide": (1.0 / c, 0.0)}
    return functools.partial(tf_keras.layers.Rescaling, *pairs[kind]) if kind in pairs else None
