"""Sizes of the tensors of a model for one input, and how many of their bytes are alive at once."""

from __future__ import annotations

from math import prod

from tfcompress._backend.graph._calls import Call, Calls
from tfcompress._backend.graph._recorded import keras_class
from tfcompress.core import ModelError

FLOAT_BYTES = 4

_IN_PLACE = frozenset(
    (
        "Activation",
        "Dropout",
        "ELU",
        "Flatten",
        "GaussianNoise",
        "LeakyReLU",
        "PReLU",
        "ReLU",
        "Rescaling",
        "Reshape",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
    )
)


class Sizes:
    """The sizes of a model's tensors for one input; ModelError where one is not fixed."""

    def __init__(self, graph: Calls) -> None:
        self._graph = graph
        self._rows = _rows_per_input(graph)

    def rows(self, call: Call) -> int:
        """How many rows of the batch axis a call works on for one input: 1 but behind a reshape."""
        return max([self._rows[tensor] for tensor in call.inputs], default=1)

    def of(self, tensor: int, call: Call) -> tuple[int, ...]:
        """The size of a tensor without the batch axis; `call` is named where it is open."""
        shape = self._graph.shapes[tensor][1:]
        if any(length is None for length in shape):
            raise ModelError(
                f"{call.name!r} has no fixed size ({list(shape)}): "
                "build the model with a fixed input shape to know its cost."
            )
        return tuple(int(length) for length in shape if length is not None)

    def bytes(self, tensor: int) -> int:
        """Bytes of a tensor as float32 for one input; sizes left open count as 1."""
        return FLOAT_BYTES * self._rows[tensor] * _elements(self._graph, tensor)

    def peak(self) -> int:
        """Bytes alive at once, at most, when every tensor goes after its last use."""
        graph, storage = self._graph, _storage(self._graph)
        last: dict[int, int] = {}
        for step, call in enumerate(graph.calls):
            last.update((storage[tensor], step) for tensor in (*call.inputs, *call.outputs))
        last.update((storage[tensor], len(graph.calls)) for tensor in graph.outputs)
        alive = {storage[tensor]: self.bytes(tensor) for tensor in graph.inputs}
        peak = sum(alive.values())
        for step, call in enumerate(graph.calls):
            for tensor in call.outputs:
                alive.setdefault(storage[tensor], self.bytes(tensor))
            peak = max(peak, sum(alive.values()))
            alive = {tensor: size for tensor, size in alive.items() if last.get(tensor, -1) > step}
        return peak


def _elements(graph: Calls, tensor: int) -> int:
    return prod(1 if length is None else int(length) for length in graph.shapes[tensor][1:])


def _rows_per_input(graph: Calls) -> dict[int, int]:
    """Tensor → rows of its first axis that one input of the model becomes.

    `reshape(x, (-1, c))` turns positions into rows; the number of elements tells how many.
    """
    rows = dict.fromkeys(graph.inputs, 1)
    for call in graph.calls:
        most = max([rows[tensor] for tensor in call.inputs], default=1)
        for tensor in call.outputs:
            rows[tensor] = most
            if _is_reshape(call) and len(call.inputs) == 1:
                elements = most * _elements(graph, call.inputs[0])
                rows[tensor] = max(1, elements // max(1, _elements(graph, tensor)))
    return rows


def _is_reshape(call: Call) -> bool:
    if keras_class(call.layer) == "TFOpLambda":
        return str(getattr(call.layer, "symbol", "")) == "reshape"
    return keras_class(call.layer) == "ops.Reshape"


def _storage(graph: Calls) -> dict[int, int]:
    """Tensor → the tensor whose memory it is in: a call that works in place keeps its input's."""
    storage = {tensor: tensor for tensor in graph.inputs}
    for call in graph.calls:
        in_place = call.kind in _IN_PLACE or call.kind.endswith("Normalization")
        for tensor in call.outputs:
            storage[tensor] = storage[call.inputs[0]] if in_place and call.inputs else tensor
    return storage
