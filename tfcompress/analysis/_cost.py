"""What a model costs to hold and to run once: parameters, multiply–accumulates, activations."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tfcompress._backend.graph._calls import Call, trace_calls
from tfcompress.analysis._macs import layer_macs
from tfcompress.analysis._op_macs import is_operation, operation_macs
from tfcompress.analysis._sizes import Sizes
from tfcompress.core._types import Model


@dataclass(frozen=True)
class LayerCost:
    """One layer: `params` (all its weights), and for one input `macs` and `activation_bytes`.

    `macs` is None where the layer's arithmetic is not known (Lambda, layers of other packages);
    `activation_bytes` are of its outputs as float32.
    """

    name: str
    kind: str
    params: int
    macs: int | None
    activation_bytes: int


@dataclass(frozen=True)
class Cost:
    """The layers in order and their sums for one input.

    `peak_activation_bytes` is the most that is alive at once, an estimate: the calls run in order,
    every tensor goes after its last use, and layers that only change values one by one or reshape
    (activation, normalisation, dropout, flatten) work in place.
    """

    layers: tuple[LayerCost, ...]
    params: int
    macs: int
    activation_bytes: int
    peak_activation_bytes: int

    @property
    def unknown(self) -> tuple[str, ...]:
        """Layers whose multiplications could not be counted; `macs` is without them."""
        return tuple(layer.name for layer in self.layers if layer.macs is None)

    def __getitem__(self, name: str) -> LayerCost:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def __str__(self) -> str:
        width = max([len(layer.name) for layer in self.layers] + [5])
        lines = [f"{'layer':<{width}} {'params':>13} {'MACs':>15} {'activation bytes':>17}"]
        total = LayerCost("total", "", self.params, self.macs, self.activation_bytes)
        for layer in (*self.layers, total):
            macs = "unknown" if layer.macs is None else f"{layer.macs:,}"
            lines.append(
                f"{layer.name:<{width}} {layer.params:>13,} {macs:>15} "
                f"{layer.activation_bytes:>17,}"
            )
        lines.append(f"at most {self.peak_activation_bytes:,} activation bytes at once (estimate)")
        return "\n".join(lines)


def cost(model: Model) -> Cost:
    """Parameters, MACs and activation bytes of `model` for one input, by layer and in total.

    A MAC is one multiplication with its addition in a convolution, dense layer, recurrent cell,
    attention, Dot or matrix product (`keras.ops.matmul`, `einsum`, `@`, …). Biases, normalisation,
    pooling, activations and elementwise arithmetic count as none, as in the published counts
    (MobileNetV1 568.7 M, VGG16 15.470 G, ResNet50 3.858 G for v1 with the stride in the first
    1×1). A shared layer counts its MACs at every call, its parameters once.

    Raises ModelError for a model without a graph, or whose shapes are not fixed but for the batch.
    """
    graph = trace_calls(model)
    sizes = Sizes(graph)
    by_name: dict[str, LayerCost] = {}
    seen: set[int] = set()
    for call in graph.calls:
        weights = [
            weight for weight in getattr(call.layer, "weights", ()) if id(weight) not in seen
        ]
        seen.update(map(id, weights))
        one_call = LayerCost(
            call.name,
            call.kind,
            sum(prod(weight.shape) for weight in weights),
            _macs(call, sizes),
            sum(sizes.bytes(tensor) for tensor in call.outputs),
        )
        earlier = by_name.get(call.name)
        by_name[call.name] = one_call if earlier is None else _added(earlier, one_call)
    layers = tuple(by_name.values())
    return Cost(
        layers,
        sum(layer.params for layer in layers),
        sum(layer.macs or 0 for layer in layers),
        sum(layer.activation_bytes for layer in layers),
        sizes.peak(),
    )


def _added(one: LayerCost, other: LayerCost) -> LayerCost:
    """Two calls of one layer."""
    known = one.macs is not None and other.macs is not None
    return LayerCost(
        one.name,
        one.kind,
        one.params + other.params,
        (one.macs or 0) + (other.macs or 0) if known else None,
        one.activation_bytes + other.activation_bytes,
    )


def _macs(call: Call, sizes: Sizes) -> int | None:
    """Multiply–accumulates of one call for one input of the model; None if they are not known."""
    given = [sizes.of(tensor, call) for tensor in call.inputs]
    outputs = [sizes.of(tensor, call) for tensor in call.outputs]
    if is_operation(call.layer):
        macs = operation_macs(call.layer, (1, *outputs[0])) if outputs else 0
    else:
        macs = layer_macs(call.layer, given, outputs)
    return None if macs is None else macs * sizes.rows(call)
