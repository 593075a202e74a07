"""What a model costs to hold and to run once: parameters, multiply–accumulates, activation memory, by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import Call, Calls, trace_calls
from tfcompress.core import ModelError

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerCost:
    """One layer: `params` (all its weights), `macs` for one input, `activation_bytes` of its float32 outputs for one input.

    `macs` is None where the layer's arithmetic is not known (custom layers with weights).
    """

    name: str
    kind: str
    params: int
    macs: int | None
    activation_bytes: int


@dataclass(frozen=True)
class Cost:
    """The layers in order and their sums for one input; `peak_activation_bytes`: the most that is alive at once, an estimate.

    The estimate walks the calls in order, frees every tensor after its last use, and lets layers that only change values one
    by one or reshape (activation, normalisation, dropout, flatten) work in place.
    """

    layers: tuple[LayerCost, ...]
    params: int
    macs: int
    activation_bytes: int
    peak_activation_bytes: int

    @property
    def unknown(self) -> tuple[str, ...]:
        """Layers with weights whose multiplications could not be counted; `macs` is without them."""
        return tuple(layer.name for layer in self.layers if layer.macs is None)

    def __getitem__(self, name: str) -> LayerCost:
        return next(layer for layer in self.layers if layer.name == name)

    def __str__(self) -> str:
        wide = max([len(layer.name) for layer in self.layers] + [5])
        head = f"{'layer':<{wide}} {'params':>13} {'MACs':>15} {'activation bytes':>17}"
        lines = [
            f"{layer.name:<{wide}} {layer.params:>13,} {_shown(layer.macs):>15} {layer.activation_bytes:>17,}"
            for layer in self.layers
        ]
        total = (
            f"{'total':<{wide}} {self.params:>13,} {self.macs:>15,} {self.activation_bytes:>17,}"
        )
        return "\n".join(
            [
                head,
                *lines,
                total,
                f"at most {self.peak_activation_bytes:,} activation bytes at once (estimate)",
            ]
        )


def cost(model: Any) -> Cost:
    """Parameters, MACs and activation bytes of `model` for one input, layer by layer and in total, for either Keras.

    A MAC is one multiplication with its addition in a convolution, dense layer, recurrent cell, attention or Dot; biases,
    normalisation, pooling, activations and elementwise sums count as none, as in the published counts (MobileNetV1 568.7 M,
    VGG16 15.470 G, ResNet50 3.858 G for v1 with the stride in the first 1×1). A shared layer counts its MACs at every call.

    Raises ModelError for a model without a graph, or whose shapes are not fixed but for the batch.
    """
    graph = trace_calls(model)
    layers: dict[str, list] = {}
    seen: set[int] = set()
    for call in graph.calls:
        fresh = [v for v in getattr(call.layer, "weights", ()) if id(v) not in seen]
        seen.update(map(id, fresh))
        params = sum(int(np.prod(v.shape)) for v in fresh)
        macs = _macs(
            call,
            [_size(graph, t, call) for t in call.inputs],
            [_size(graph, t, call) for t in call.outputs],
        )
        made = sum(_bytes(graph, t) for t in call.outputs)
        entry = layers.setdefault(call.name, [call.kind, 0, 0, 0])
        entry[1] += params
        entry[2] = None if macs is None or entry[2] is None else entry[2] + macs
        entry[3] += made
    found = tuple(LayerCost(name, *entry) for name, entry in layers.items())
    return Cost(
        found,
        sum(layer.params for layer in found),
        sum(layer.macs or 0 for layer in found),
        sum(layer.activation_bytes for layer in found),
        _peak(graph),
    )


def _shown(macs: int | None) -> str:
    return "unknown" if macs is None else f"{macs:,}"


def _size(graph: Calls, tensor: int, call: Call) -> tuple[int, ...]:
    shape = graph.shapes[tensor][1:]
    if any(size is None for size in shape):
        raise ModelError(
            f"{call.name!r} has no fixed size ({list(shape)}): build the model with a fixed input shape to know its cost."
        )
    return tuple(int(size) for size in shape if size is not None)


def _bytes(graph: Calls, tensor: int) -> int:
    return FLOAT_BYTES * int(
        np.prod([size or 1 for size in graph.shapes[tensor][1:]], dtype=np.int64)
    )


def _macs(
    call: Call, given: Sequence[tuple[int, ...]], made: Sequence[tuple[int, ...]]
) -> int | None:
    """Multiply–accumulates of one call; None where a layer has a kernel that no rule here knows."""
    kind, layer = call.kind, call.layer
    if kind == "TimeDistributed":
        inner = Call(layer.layer, call.name, type(layer.layer).__name__, (), (), call.run)
        each = _macs(inner, [size[1:] for size in given], [size[1:] for size in made])
        return None if each is None else each * given[0][0]
    if kind == "Bidirectional":
        both = [_recurrent(one, given[0]) for one in (layer.forward_layer, layer.backward_layer)]
        return None if None in both else sum(each or 0 for each in both)
    if not given or not made:
        return 0
    shapes = [
        tuple(int(n) for n in v.shape) for v in getattr(layer, "weights", ()) if len(v.shape) >= 2
    ]
    if kind == "Dot":
        return _dot(layer, given)
    if not shapes or kind in ("Embedding", "PReLU") or kind.endswith("Normalization"):
        return 0
    if kind == "Dense":
        return _count(made[0][:-1]) * _count(shapes[0])
    if kind == "SeparableConv1D" or kind == "SeparableConv2D":
        return sum(_positions(layer, made[0]) * _count(shape) for shape in shapes)
    if "DepthwiseConv" in kind:
        return _positions(layer, made[0]) * _count(shapes[0])
    if kind.startswith("Conv") and kind.endswith("Transpose"):
        return _positions(layer, given[0]) * _count(shapes[0])
    if kind in ("Conv1D", "Conv2D", "Conv3D"):
        return _positions(layer, made[0]) * _count(
            shapes[0]
        )  # the kernel [k, k, in/groups, out] holds the groups already
    if kind == "LocallyConnected2D" or kind == "LocallyConnected1D":
        return _count(shapes[0])
    if kind == "EinsumDense":
        return _einsum(layer.equation, given[0], shapes[0], made[0])
    if kind == "MultiHeadAttention":
        return _attention(layer, given)
    return _recurrent(layer, given[0])


def _positions(layer: Any, size: tuple[int, ...]) -> int:
    """Spatial positions of an output [.., c] (or [c, ..])."""
    return _count(size[1:] if getattr(layer, "data_format", "") == "channels_first" else size[:-1])


def _count(size: Sequence[int]) -> int:
    return int(np.prod(size, dtype=np.int64))


def _recurrent(layer: Any, given: tuple[int, ...]) -> int | None:
    """LSTM, GRU, SimpleRNN: both kernels at every step."""
    if type(layer).__name__ not in ("LSTM", "GRU", "SimpleRNN"):
        return None
    return given[0] * sum(
        _count(v.shape)
        for v in layer.weights
        if len(v.shape) == 2 and v.shape[0] in (given[-1], layer.units)
    )


def _einsum(
    equation: str, given: tuple[int, ...], kernel: tuple[int, ...], made: tuple[int, ...]
) -> int:
    """Every combination of the letters of an equation such as `abc,cd->abd` is one MAC."""
    terms, out = equation.replace(" ", "").split("->")
    sizes: dict[str, int] = {}
    for term, shape in zip((*terms.split(","), out), (given, kernel, made)):
        letters = term.replace("...", "")
        sizes.update(zip(reversed(letters), reversed(shape)))
    batch = terms.replace("...", "")[0]
    return _count([size for letter, size in sizes.items() if letter != batch])


def _attention(layer: Any, given: Sequence[tuple[int, ...]]) -> int | None:
    """The four projections, and the two products of queries × keys × heads × (key + value) numbers."""
    if any(len(size) != 2 for size in given[:2]):
        return None
    queries, keys = given[0][0], given[1][0] if len(given) > 1 else given[0][0]
    total = 0
    for name, steps in (("query", queries), ("key", keys), ("value", keys), ("output", queries)):
        dense = getattr(layer, f"_{name}_dense")
        total += steps * _count(dense.kernel.shape)
    heads = getattr(layer, "num_heads", None) or layer._num_heads
    each = (getattr(layer, "key_dim", None) or layer._key_dim) + (
        getattr(layer, "value_dim", None) or layer._value_dim
    )
    return total + queries * keys * heads * each


def _dot(layer: Any, given: Sequence[tuple[int, ...]]) -> int:
    axes = layer.axes if isinstance(layer.axes, (list, tuple)) else (layer.axes, layer.axes)
    axis = axes[1] - 1 if axes[1] > 0 else axes[1]
    return _count(given[0]) * _count(given[1]) // given[1][axis]


_IN_PLACE = frozenset(
    (
        "Activation",
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "GaussianNoise",
        "Flatten",
        "Reshape",
        "Rescaling",
        "ReLU",
        "LeakyReLU",
        "PReLU",
        "ELU",
        "Softmax",
    )
)


def _peak(graph: Calls) -> int:
    """Bytes alive at once, at most, when the calls run in order and every tensor goes after its last use."""
    storage = {t: t for t in graph.inputs}
    for call in graph.calls:
        in_place = call.kind in _IN_PLACE or call.kind.endswith("Normalization")
        storage.update(
            {t: storage[call.inputs[0]] if in_place and call.inputs else t for t in call.outputs}
        )
    last: dict[int, int] = {}
    for step, call in enumerate(graph.calls):
        last.update({storage[t]: step for t in (*call.inputs, *call.outputs)})
    last.update({storage[t]: len(graph.calls) for t in graph.outputs})
    alive = {storage[t]: _bytes(graph, t) for t in graph.inputs}
    peak = sum(alive.values())
    for step, call in enumerate(graph.calls):
        for t in call.outputs:
            alive.setdefault(storage[t], _bytes(graph, t))
        peak = max(peak, sum(alive.values()))
        alive = {t: size for t, size in alive.items() if last.get(t, -1) > step}
    return peak
