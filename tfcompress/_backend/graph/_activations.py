"""The values of any tensors of a model, batch by batch, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import Call, Calls
from tfcompress.core._errors import DataError
from tfcompress.core._types import Array, Data, Tensor


def model_inputs(graph: Calls, x: Data) -> list[Array]:
    """`x` as one array [n, ...] for each input of the model.

    x: one array, a list of them, or a dict by input name. Raises DataError if it does not fit.
    """
    arrays = _as_arrays(graph, x)
    names = ", ".join(graph.input_names)
    if len(arrays) != len(graph.inputs):
        raise DataError(
            f"{len(arrays)} arrays for a model of {len(graph.inputs)} inputs ({names})."
        )
    for name, tensor, array in zip(graph.input_names, graph.inputs, arrays):
        _check_array(name, graph.shapes[tensor], array)
        if len(array) != len(arrays[0]) or len(array) == 0:
            raise DataError(
                f"Input {name!r} has {len(array)} rows, {graph.input_names[0]!r} has "
                f"{len(arrays[0])}: both need the same n > 0."
            )
    return arrays


def _as_arrays(graph: Calls, x: Data) -> list[Array]:
    if isinstance(x, dict):
        missing = [name for name in graph.input_names if name not in x]
        if missing:
            raise DataError(
                f"No data for the input {missing[0]!r}; the model's inputs are "
                f"{', '.join(graph.input_names)}."
            )
        return [np.asarray(x[name]) for name in graph.input_names]
    if isinstance(x, (list, tuple)) and len(graph.inputs) > 1:
        return [np.asarray(item) for item in x]
    return [np.asarray(x)]


def _check_array(name: str, shape: Sequence[int | None], array: Array) -> None:
    same_rank = array.ndim == len(shape)
    if not same_rank or any(
        size not in (None, given) for size, given in zip(shape[1:], array.shape[1:])
    ):
        raise DataError(
            f"Input {name!r} takes {_show(shape)}, but the data is {list(array.shape)}."
        )
    if array.dtype.kind not in "fiub":
        raise DataError(f"Input {name!r} must be numbers, not {array.dtype}.")


class Runner:
    """The tensors `wanted` of a model as a compiled function; weights are read at each run.

    Only the calls that lead to these tensors run.
    """

    def __init__(self, graph: Calls, wanted: Sequence[int]):
        import tensorflow as tf

        calls = _calls_to(graph, wanted)

        def forward(*inputs: Tensor) -> list[Tensor]:
            values: dict[int, Any] = dict(zip(graph.inputs, inputs))
            for call in calls:
                values.update(zip(call.outputs, call.run(values)))
            return [tf.cast(values[tensor], tf.float32) for tensor in wanted]

        self._dtypes = [graph.dtypes[tensor] for tensor in graph.inputs]
        signature = [
            tf.TensorSpec((None, *graph.shapes[tensor][1:]), graph.dtypes[tensor])
            for tensor in graph.inputs
        ]
        self._run = tf.function(forward, input_signature=signature)

    def batches(
        self, arrays: Sequence[Array], batch_size: int
    ) -> Iterator[tuple[slice, list[Array]]]:
        """Rows and the float32 values of the wanted tensors for them, a batch at a time."""
        import tensorflow as tf

        for start in range(0, len(arrays[0]), batch_size):
            rows = slice(start, min(start + batch_size, len(arrays[0])))
            parts = [
                tf.cast(tf.convert_to_tensor(array[rows]), dtype)
                for array, dtype in zip(arrays, self._dtypes)
            ]
            yield rows, [value.numpy() for value in self._run(*parts)]

    def all(self, arrays: Sequence[Array], batch_size: int) -> list[Array]:
        """The wanted tensors for all rows at once."""
        batches = [values for _, values in self.batches(arrays, batch_size)]
        return [np.concatenate(parts) for parts in zip(*batches)]


def _calls_to(graph: Calls, wanted: Sequence[int]) -> list[Call]:
    """The calls that the tensors `wanted` depend on, in order."""
    needed, calls = set(wanted), []
    for call in reversed(graph.calls):
        if needed & set(call.outputs):
            needed |= set(call.inputs)
            calls.append(call)
    return calls[::-1]


def _show(shape: Sequence[int | None]) -> str:
    sizes = ["any" if size is None else str(size) for size in shape[1:]]
    return f"[{', '.join(['n', *sizes])}]"
