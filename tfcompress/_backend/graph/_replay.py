"""A model run again with other values in the place of some of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfcompress._backend.graph._calls import Calls
from tfcompress.core._types import Array, Tensor


class Replay:
    """Runs a model in which the tensors `places` are watched and changed; weights stay.

    Args:
        graph: the model.
        places: numbers of tensors [n, …], each the output of one call.
    """

    def __init__(self, graph: Calls, places: Sequence[int]):
        self._graph = graph
        self._places = {tensor: number for number, tensor in enumerate(places)}
        self._computed = self._compiled(self._compute, len(places))
        self._shifted = self._compiled(self._shift, len(places), gated=True)

    def computed(self, inputs: Sequence[Array], given: Sequence[Array]) -> list[Array]:
        """What the calls make of every place, each from `given`, not from the exact places before.

        The value of a place is recorded, and `given` goes on to the calls behind it.
        """
        return [value.numpy() for value in self._computed(*self._cast(inputs), *given)]

    def outputs_shifted(
        self, inputs: Sequence[Array], shifts: Sequence[Array], place: int
    ) -> list[Array]:
        """The model's outputs where `shifts[place]` alone is added; all are exact for place −1."""
        import numpy as np

        gates = np.zeros(len(self._places), np.float32)
        if place >= 0:
            gates[place] = 1.0
        return [value.numpy() for value in self._shifted(*self._cast(inputs), gates, *shifts)]

    def _compute(self, values: dict[int, Any], given: Sequence[Tensor]) -> list[Tensor]:
        import tensorflow as tf

        recorded: dict[int, Tensor] = {}
        for call in self._graph.calls:
            for tensor, value in zip(call.outputs, call.run(values)):
                values[tensor] = value
                number = self._places.get(tensor)
                if number is not None:
                    recorded[number] = tf.cast(value, tf.float32)
                    values[tensor] = tf.cast(given[number], value.dtype)
        return [recorded[number] for number in range(len(self._places))]

    def _shift(self, values: dict[int, Any], given: Sequence[Tensor]) -> list[Tensor]:
        import tensorflow as tf

        gates, shifts = given[0], given[1:]
        for call in self._graph.calls:
            for tensor, value in zip(call.outputs, call.run(values)):
                values[tensor] = value
                number = self._places.get(tensor)
                if number is not None:
                    shift = tf.cast(gates[number] * shifts[number], value.dtype)
                    values[tensor] = value + shift
        return [tf.cast(values[tensor], tf.float32) for tensor in self._graph.outputs]

    def _compiled(
        self,
        function: Callable[[dict[int, Any], Sequence[Tensor]], list[Tensor]],
        count: int,
        *,
        gated: bool = False,
    ) -> Any:
        import tensorflow as tf

        graph = self._graph
        first = len(graph.inputs)
        specs = [_spec(graph, tensor, graph.dtypes[tensor]) for tensor in graph.inputs]
        if gated:
            specs.append(tf.TensorSpec((count,), tf.float32))
        specs += [_spec(graph, tensor, "float32") for tensor in self._places]

        def run(*tensors: Tensor) -> list[Tensor]:
            return function(dict(zip(graph.inputs, tensors[:first])), tensors[first:])

        return tf.function(run, input_signature=specs)

    def _cast(self, inputs: Sequence[Array]) -> list[Tensor]:
        import tensorflow as tf

        dtypes = [self._graph.dtypes[tensor] for tensor in self._graph.inputs]
        return [tf.cast(array, dtype) for array, dtype in zip(inputs, dtypes)]


def _spec(graph: Calls, tensor: int, dtype: str) -> Tensor:
    import tensorflow as tf

    return tf.TensorSpec((None, *graph.shapes[tensor][1:]), dtype)
