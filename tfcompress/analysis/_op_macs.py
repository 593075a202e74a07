"""Multiply–accumulates of one operation: a function of `keras.ops` or of TensorFlow in a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tfcompress._backend.graph._recorded import keras_class, recorded_arguments
from tfcompress.analysis._einsum import Size, einsum_macs
from tfcompress.analysis._macs import positions
from tfcompress.core._types import Layer

Arguments = tuple[Sequence[Any], Mapping[str, Any]]
Rule = Callable[[Layer, Arguments, Size], int | None]

_UNKNOWN = frozenset(
    (
        "ops.CDist",
        "ops.Cholesky",
        "ops.CholeskyInverse",
        "ops.Corrcoef",
        "ops.Correlate",
        "ops.Det",
        "ops.Eig",
        "ops.Eigh",
        "ops.ElasticTransform",
        "ops.FFT",
        "ops.FFT2",
        "ops.GaussianBlur",
        "ops.IFFT2",
        "ops.IRFFT",
        "ops.ISTFT",
        "ops.Inv",
        "ops.JVP",
        "ops.Kron",
        "ops.Logdet",
        "ops.Lstsq",
        "ops.LuFactor",
        "ops.MatrixRank",
        "ops.Pinv",
        "ops.Qr",
        "ops.RFFT",
        "ops.SSIM",
        "ops.STFT",
        "ops.SVD",
        "ops.Slogdet",
        "ops.SobelEdges",
        "ops.Solve",
        "ops.SolveTriangular",
        "ops.Vander",
    )
)
"""Operations of Keras 3 that multiply and add in a way that no rule here counts."""
_UNKNOWN_OF_TENSORFLOW = ("linalg.", "signal.", "nn.conv", "nn.depthwise_conv", "nn.separable_conv")


def is_operation(layer: Layer) -> bool:
    """Whether it is a recorded function and not a layer."""
    kind = keras_class(layer)
    return kind is not None and (kind.startswith("ops.") or kind == "TFOpLambda")


def operation_macs(layer: Layer, output: Size) -> int | None:
    """Multiply–accumulates of an operation for one input; `output` is its full size, batch 1.

    0 for what changes values one by one, adds up or moves them; None where it is not known.
    """
    kind = keras_class(layer)
    arguments = recorded_arguments(layer)
    if kind == "TFOpLambda":
        name = str(getattr(layer, "symbol", "")).removeprefix("compat.v1.").removeprefix("raw_ops.")
        if name in _RULES_OF_TENSORFLOW:
            return _RULES_OF_TENSORFLOW[name](layer, arguments, output)
        return None if name.startswith(_UNKNOWN_OF_TENSORFLOW) else 0
    if kind in _RULES:
        return _RULES[kind](layer, arguments, output)
    return None if kind in _UNKNOWN else 0


def size_of(value: Any) -> Size:
    """The full size of a symbolic tensor, a constant or a list; sizes left open count as 1."""
    shape = value.shape if hasattr(value, "shape") else np.shape(value)
    return tuple(1 if length is None else int(length) for length in tuple(shape))


def _argument(arguments: Arguments, place: int, *names: str) -> Any:
    """An argument by its place, or by the name that it was given under."""
    args, kwargs = arguments
    if place < len(args):
        return args[place]
    return next((kwargs[name] for name in names if name in kwargs), None)


def _matmul(layer: Layer, arguments: Arguments, output: Size) -> int:
    """Outputs × the inner size of a [.., m, k] · b [.., k, n]."""
    left = size_of(_argument(arguments, 0, "x1", "a"))
    turned = any(arguments[1].get(name) for name in ("transpose_a", "adjoint_a"))
    # tf.matmul(a, b, transpose_a, transpose_b, adjoint_a, adjoint_b)
    args = arguments[0]
    turned = turned or any(bool(args[place]) for place in (2, 4) if place < len(args))
    return prod(output) * prod(left[-2:-1] if turned else left[-1:])


def _outputs_by_last(layer: Layer, arguments: Arguments, output: Size) -> int:
    """`dot`, `inner`, `matvec`: outputs × the last axis of the first operand."""
    left = size_of(_argument(arguments, 0, "x1", "a"))
    return prod(output) * prod(left[-1:])


def _vdot(layer: Layer, arguments: Arguments, output: Size) -> int:
    return prod(size_of(_argument(arguments, 0, "x1")))


def _einsum(layer: Layer, arguments: Arguments, output: Size) -> int | None:
    return einsum_macs(layer.subscripts, [size_of(operand) for operand in arguments[0]])


def _einsum_of_tensorflow(layer: Layer, arguments: Arguments, output: Size) -> int | None:
    equation, *operands = arguments[0]
    return einsum_macs(equation, [size_of(operand) for operand in operands])


def _tensordot(layer: Layer, arguments: Arguments, output: Size) -> int | None:
    return _contracted(_argument(arguments, 0, "x1"), layer.axes, output)


def _tensordot_of_tensorflow(layer: Layer, arguments: Arguments, output: Size) -> int | None:
    return _contracted(_argument(arguments, 0, "a"), _argument(arguments, 2, "axes"), output)


def _contracted(left: Any, axes: Any, output: Size) -> int | None:
    """Outputs × the sizes of the axes that are summed over: a number of last ones, or two lists."""
    size = size_of(left)
    if isinstance(axes, int):
        return prod(output) * prod(size[len(size) - axes :])
    if not isinstance(axes, (list, tuple)):
        return None
    first = axes[0]
    summed = [first] if isinstance(first, int) else first
    return prod(output) * prod(size[axis] for axis in summed)


def _convolution(layer: Layer, arguments: Arguments, output: Size) -> int:
    return _places(layer, arguments, output) * _kernel(arguments)


def _transposed(layer: Layer, arguments: Arguments, output: Size) -> int:
    inputs = size_of(_argument(arguments, 0, "inputs", "input"))
    return _places(layer, arguments, inputs) * _kernel(arguments)


def _separable(layer: Layer, arguments: Arguments, output: Size) -> int:
    pointwise = size_of(_argument(arguments, 2, "pointwise_kernel", "pointwise_filter"))
    return _places(layer, arguments, output) * (_kernel(arguments) + prod(pointwise))


def _kernel(arguments: Arguments) -> int:
    names = ("kernel", "filters", "filter", "depthwise_kernel", "depthwise_filter")
    return prod(size_of(_argument(arguments, 1, *names)))


def _places(layer: Layer, arguments: Arguments, size: Size) -> int:
    """Spatial positions of a full size [1, .., c], or [1, c, ..] by `data_format`."""
    if str(arguments[1].get("data_format", "")).startswith("NC"):
        return prod(size[2:])
    return positions(layer, size[1:])


def _dot_product_attention(layer: Layer, arguments: Arguments, output: Size) -> int:
    """Queries × keys × heads × numbers of query [b, t, heads, c] · key, and scores · value."""
    query = size_of(_argument(arguments, 0, "query"))
    keys = size_of(_argument(arguments, 1, "key"))[1]
    return 2 * prod(query) * keys


_RULES: dict[str, Rule] = {
    "ops.Conv": _convolution,
    "ops.ConvTranspose": _transposed,
    "ops.DepthwiseConv": _convolution,
    "ops.Dot": _outputs_by_last,
    "ops.DotProductAttention": _dot_product_attention,
    "ops.Einsum": _einsum,
    "ops.Inner": _outputs_by_last,
    "ops.Matmul": _matmul,
    "ops.SeparableConv": _separable,
    "ops.Tensordot": _tensordot,
    "ops.Vdot": _vdot,
}

_RULES_OF_TENSORFLOW: dict[str, Rule] = {
    "einsum": _einsum_of_tensorflow,
    "linalg.einsum": _einsum_of_tensorflow,
    "linalg.matmul": _matmul,
    "linalg.matvec": _outputs_by_last,
    "linalg.tensordot": _tensordot_of_tensorflow,
    "tensordot": _tensordot_of_tensorflow,
    **dict.fromkeys(
        ("nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.convolution", "nn.depthwise_conv2d"),
        _convolution,
    ),
    **dict.fromkeys(
        ("nn.conv1d_transpose", "nn.conv2d_transpose", "nn.conv3d_transpose", "nn.conv_transpose"),
        _transposed,
    ),
    "nn.separable_conv2d": _separable,
}
