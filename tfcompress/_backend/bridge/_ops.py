"""Operations in a graph (x + y, slices, keras.ops and tf functions) → the plain tf_keras layer, else one that runs them."""

import numpy as np

_PAIRS = {
    "Add": "Add",
    "Subtract": "Subtract",
    "Multiply": "Multiply",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
}
_TF_PAIRS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
}
_ACTIVATIONS = [
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSilu",
    "Relu",
    "Relu6",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Tanh",
]
_SNAKE = {"HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu"}


def carry_operation(operation, args, kwargs, name):
    """An unbuilt tf_keras layer for a Keras 3 Operation called on tf_keras tensors, and what to call it on."""
    from tfcompress._backend.bridge import _wrapped
    from tfcompress._backend.keras._copy import copy_operation

    arguments, tensors = _wrapped.template((args, kwargs))
    plain = None if kwargs else _plain(operation, args, tensors)
    if plain is not None:
        return plain(name=name, dtype=_policy(tensors)), tensors if len(tensors) > 1 else tensors[0]
    made = _wrapped.OpLayer(copy_operation(operation), arguments, name=name)
    return made, tensors if len(tensors) > 1 else tensors[0]


def carry_tf_operation(layer, args, kwargs, name):
    """The same for a tf_keras layer made from a TensorFlow function (TFOpLambda, SlicingOpLambda)."""
    import tf_keras

    from tfcompress._backend.bridge import _wrapped

    arguments, tensors = _wrapped.template(_with_slices((args, kwargs)))
    pair = _TF_PAIRS.get(getattr(layer, "symbol", None))
    if (
        pair
        and len(tensors) == 2
        and _alike(tensors)
        and len(args) + len([v for k, v in kwargs.items() if k == "y"]) == 2
    ):
        return getattr(tf_keras.layers, pair)(name=name, dtype=_policy(tensors)), tensors
    return _wrapped.OpLayer(layer.function, arguments, name=name), tensors if len(
        tensors
    ) > 1 else tensors[0]


def _with_slices(structure):
    """tf_keras records x[1:-1] as a dict; put the slice back."""
    if isinstance(structure, dict) and set(structure) == {"start", "stop", "step"}:
        return slice(structure["start"], structure["stop"], structure["step"])
    if isinstance(structure, dict):
        return {key: _with_slices(value) for key, value in structure.items()}
    if type(structure) in (list, tuple):
        return type(structure)(_with_slices(value) for value in structure)
    return structure


def _policy(tensors):
    """Layers that stand for an operation compute in the dtype that comes in, whatever the global policy."""
    return tensors[0].dtype.name


def _alike(tensors):
    """Same dtype (floating) and rank: then a merge layer does what the operation does."""
    first = tensors[0]
    return all(
        t.dtype == first.dtype and t.dtype.is_floating and len(t.shape) == len(first.shape) > 1
        for t in tensors
    )


def _plain(operation, args, tensors):
    """Constructor (name=, dtype=) of the tf_keras layer that does the same, or None."""
    import functools

    import keras
    import tf_keras

    from tfcompress._backend.bridge._native import activation

    layers, kind = tf_keras.layers, type(operation).__name__
    if (
        not type(operation).__module__.startswith("keras.src.ops.")
        or not tensors
        or not _alike(tensors)
    ):
        return None
    one = len(tensors) == 1 and args and args[0] is tensors[0]
    if kind in _PAIRS and len(args) == 2 and len(tensors) == 2:
        return getattr(layers, _PAIRS[kind])
    if kind == "Concatenate" and len(args[0]) == len(tensors):
        return functools.partial(layers.Concatenate, axis=operation.axis)
    if len(args) == 2 and len(tensors) == 1:
        return _affine(kind, args, one)
    if not one or len(args) != 1:
        return None
    if kind in _ACTIVATIONS and getattr(operation, "axis", -1) == -1:
        if (kind == "Gelu" and operation.approximate) or (kind == "Elu" and operation.alpha != 1.0):
            return None
        return functools.partial(
            layers.Activation,
            activation(getattr(keras.activations, _SNAKE.get(kind, kind.lower()))),
        )
    if (
        kind == "Reshape"
        and operation.newshape[0] in (-1, None)
        and -1 not in operation.newshape[1:]
    ):
        return functools.partial(layers.Reshape, tuple(operation.newshape[1:]))
    if kind == "Transpose" and operation.axes and operation.axes[0] == 0:
        return functools.partial(layers.Permute, tuple(operation.axes[1:]))
    if (
        kind == "Mean"
        and len(tensors[0].shape) == 4
        and tuple(np.atleast_1d(operation.axis)) == (1, 2)
    ):
        return functools.partial(
            layers.GlobalAveragePooling2D, keepdims=operation.keepdims, data_format="channels_last"
        )
    return None


def _affine(kind, args, tensor_first):
    """x + c, x − c, c − x, c · x, x / c as Rescaling(scale, offset)."""
    import functools

    import tf_keras

    constant = args[1] if tensor_first else args[0]
    if np.ndim(constant) != 0 or not isinstance(constant, (int, float, np.number)):
        return None
    c = float(constant)
    pairs = {
        "Add": (1.0, c),
        "Multiply": (c, 0.0),
        "Subtract": (1.0, -c) if tensor_first else (-1.0, c),
    }
    if tensor_first and c != 0.0:
        pairs.update(Divide=(1.0 / c, 0.0), TrueDivide=(1.0 / c, 0.0))
    return functools.partial(tf_keras.layers.Rescaling, *pairs[kind]) if kind in pairs else None
