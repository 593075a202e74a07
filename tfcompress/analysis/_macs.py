"""Multiply–accumulates of one call of a Keras layer, by its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tfcompress._backend.graph._recorded import keras_class
from tfcompress.analysis._einsum import Size, einsum_macs
from tfcompress.core._types import Layer

Rule = Callable[[Layer, Sequence[Size], Sequence[Size]], int | None]

_UNKNOWN = frozenset(
    (
        "FlaxLayer",
        "JaxLayer",
        "Lambda",
        "MelSpectrogram",
        "STFTSpectrogram",
        "TFSMLayer",
        "TorchModuleWrapper",
    )
)
"""Keras layers without a kernel of their own whose arithmetic is not known."""


def layer_macs(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    """Multiply–accumulates of one call of `layer` for one input.

    Args:
        layer: A layer of either Keras.
        given, outputs: The sizes of the tensors it takes and returns, without the batch axis.

    Returns:
        The count; 0 for layers that only pool, normalise or change values one by one; None for a
        layer whose arithmetic is not known.
    """
    kind = keras_class(layer)
    if kind is None or kind in _UNKNOWN:
        return None
    if not given or not outputs:
        return 0
    if kind in _RULES:
        return _RULES[kind](layer, given, outputs)
    if kind.endswith("Normalization") or kind in ("Embedding", "PReLU"):
        return 0
    has_kernel = any(len(weight.shape) >= 2 for weight in layer.weights)
    return None if has_kernel else 0


def positions(layer: Layer, size: Size) -> int:
    """Spatial positions of a tensor [.., c], or [c, ..] where the layer says channels first."""
    channels_first = getattr(layer, "data_format", "") == "channels_first"
    return prod(size[1:] if channels_first else size[:-1])


def _channels(layer: Layer, size: Size) -> int:
    return size[0] if getattr(layer, "data_format", "") == "channels_first" else size[-1]


def _dense(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    return prod(outputs[0]) * given[0][-1]


def _convolution(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """Output positions × kernel [k.., in/groups, out], which holds the groups already."""
    return positions(layer, outputs[0]) * prod(layer.kernel.shape)


def _transposed(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """Input positions × kernel: each input is spread over the kernel's places."""
    return positions(layer, given[0]) * prod(layer.kernel.shape)


def _depthwise(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """Output positions × kernel [k.., in, multiplier]."""
    filters = _channels(layer, given[0]) * layer.depth_multiplier
    return positions(layer, outputs[0]) * prod(layer.kernel_size) * filters


def _separable(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
    return positions(layer, outputs[0]) * kernels


def _locally_connected(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """As a convolution: its three implementations store the same weights in three shapes."""
    window = prod(layer.kernel_size) * _channels(layer, given[0])
    return prod(outputs[0]) * window


def _recurrent(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    each = _cell(layer.cell, given[0][1:])
    return None if each is None else given[0][0] * each


def _cell(cell: Layer, size: Size) -> int | None:
    """One step of a recurrent cell: its input kernel and its recurrent kernel."""
    kind = keras_class(cell)
    if kind == "StackedRNNCells":
        steps = [_cell(each, size) for each in cell.cells]
        return _sum(steps)
    if kind not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        return None
    return prod(cell.kernel.shape) + prod(cell.recurrent_kernel.shape)


def _convolutional_lstm(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """Both kernels at every position of every step's output."""
    size = outputs[0][1:] if layer.return_sequences else outputs[0]
    kernels = prod(layer.cell.kernel.shape) + prod(layer.cell.recurrent_kernel.shape)
    return given[0][0] * positions(layer, size) * kernels


def _bidirectional(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    return _sum([layer_macs(one, given, outputs) for one in _directions(layer)])


def _directions(layer: Layer) -> tuple[Layer, Layer]:
    return layer.forward_layer, layer.backward_layer


def _time_distributed(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    inner_given = [size[1:] for size in given]
    each = layer_macs(layer.layer, inner_given, [size[1:] for size in outputs])
    return None if each is None else each * given[0][0]


def _wrapped(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    """Spectral normalisation works on the kernel while it trains; else the layer inside runs."""
    return layer_macs(layer.layer, given, outputs)


def _einsum_dense(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    return einsum_macs(layer.equation, [(1, *given[0]), tuple(layer.kernel.shape)])


def _multi_head_attention(
    layer: Layer, given: Sequence[Size], outputs: Sequence[Size]
) -> int | None:
    """The four projections, and two products of queries × keys × heads × (key + value) numbers."""
    if len(outputs[0]) != 2 or any(len(size) != 2 for size in given[:2]):
        return None
    queries = outputs[0][0]
    keys = _key_length(queries, given)
    heads = getattr(layer, "num_heads", None) or layer._num_heads
    key = getattr(layer, "key_dim", None) or layer._key_dim
    value = getattr(layer, "value_dim", None) or layer._value_dim
    return _projections(layer, queries, keys) + queries * keys * heads * (key + value)


def _grouped_query_attention(
    layer: Layer, given: Sequence[Size], outputs: Sequence[Size]
) -> int | None:
    queries = outputs[0][0]
    keys = _key_length(queries, given)
    products = 2 * queries * keys * layer.num_query_heads * layer.head_dim
    return _projections(layer, queries, keys) + products


def _key_length(queries: int, given: Sequence[Size]) -> int:
    """Steps of keys and values: given beside the queries, in any order."""
    others = [size[0] for size in given[:3] if len(size) == 2 and size[0] != queries]
    return others[0] if others else queries


def _projections(layer: Layer, queries: int, keys: int) -> int:
    total = 0
    for name, steps in (("query", queries), ("key", keys), ("value", keys), ("output", queries)):
        total += steps * prod(getattr(layer, f"_{name}_dense").kernel.shape)
    return total


def _attention(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    """Query · keyᵀ, then scores · value; with score_mode="concat" only the second multiplies."""
    if len(given) < 2 or any(len(size) != 2 for size in given[:2]):
        return None
    queries, keys = given[0][0], given[1][0]
    scores = queries * keys * given[0][-1]
    if getattr(layer, "score_mode", "dot") == "concat":
        scores = 0
    return scores + queries * keys * given[1][-1]


def _additive_attention(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int | None:
    """Σ scale · tanh(query + key), then scores · value; without a scale nothing is multiplied."""
    if len(given) < 2 or any(len(size) != 2 for size in given[:2]):
        return None
    pairs = given[0][0] * given[1][0]
    scores = pairs * given[0][-1] if layer.use_scale else 0
    return scores + pairs * given[1][-1]


def _dot(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    axes = layer.axes if isinstance(layer.axes, (list, tuple)) else (layer.axes, layer.axes)
    axis = axes[1] - 1 if axes[1] > 0 else axes[1]
    return prod(given[0]) * prod(given[1]) // given[1][axis]


def _reversible_embedding(layer: Layer, given: Sequence[Size], outputs: Sequence[Size]) -> int:
    """Looking up costs nothing; `reverse=True`, which keeps the number of axes, is a product."""
    is_reverse = len(given[0]) == len(outputs[0])
    return prod(outputs[0]) * given[0][-1] if is_reverse else 0


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


_RULES: dict[str, Rule] = {
    "AdditiveAttention": _additive_attention,
    "Attention": _attention,
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "Dot": _dot,
    "EinsumDense": _einsum_dense,
    "GroupedQueryAttention": _grouped_query_attention,
    "MultiHeadAttention": _multi_head_attention,
    "ReversibleEmbedding": _reversible_embedding,
    "SpectralNormalization": _wrapped,
    "TimeDistributed": _time_distributed,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _convolutional_lstm),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "SimpleRNN"), _recurrent),
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _locally_connected),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
}
