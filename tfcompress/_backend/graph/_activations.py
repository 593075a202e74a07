"""The values of any tensors of a model, batch by batch, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import Calls
from tfcompress.core._errors import DataError


def model_inputs(graph: Calls, x: Any) -> list[np.ndarray]:
    """`x` (one array, a list of them, or a dict by input name) as one array [n, ...] for each input; DataError if it does not fit."""
    if isinstance(x, dict):
        missing = [name for name in graph.input_names if name not in x]
        if missing:
            raise DataError(
                f"No data for the input {missing[0]!r}; the model's inputs are {', '.join(graph.input_names)}."
            )
        arrays = [np.asarray(x[name]) for name in graph.input_names]
    else:
        arrays = (
            [np.asarray(item) for item in x]
            if isinstance(x, (list, tuple)) and len(graph.inputs) > 1
            else [np.asarray(x)]
        )
    if len(arrays) != len(graph.inputs):
        raise DataError(
            f"{len(arrays)} arrays for a model of {len(graph.inputs)} inputs ({', '.join(graph.input_names)})."
        )
    for name, tensor, array in zip(graph.input_names, graph.inputs, arrays):
        wanted = graph.shapes[tensor]
        fits = array.ndim == len(wanted) and all(
            size in (None, given) for size, given in zip(wanted[1:], array.shape[1:])
        )
        if not fits:
            raise DataError(
                f"Input {name!r} takes {_show(wanted)}, but the data is {list(array.shape)}."
            )
        if len(array) != len(arrays[0]) or len(array) == 0:
            raise DataError(
                f"Input {name!r} has {len(array)} rows, {graph.input_names[0]!r} has {len(arrays[0])}: both need the same n > 0."
            )
        if array.dtype.kind not in "fiub":
            raise DataError(f"Input {name!r} must be numbers, not {array.dtype}.")
    return arrays


class Runner:
    """The tensors `wanted` of a model, as a compiled function; only the calls that lead there run. Weights are read at each run."""

    def __init__(self, graph: Calls, wanted: Sequence[int]):
        import tensorflow as tf

        needed, calls = set(wanted), []
        for call in reversed(graph.calls):
            if needed & set(call.outputs):
                needed |= set(call.inputs)
                calls.append(call)
        calls.reverse()

        def forward(*inputs):
            values = dict(zip(graph.inputs, inputs))
            for call in calls:
                values.update(zip(call.outputs, call.run(values)))
            return [tf.cast(values[tensor], tf.float32) for tensor in wanted]

        self._dtypes = [graph.dtypes[t] for t in graph.inputs]
        signature = [
            tf.TensorSpec((None, *graph.shapes[t][1:]), graph.dtypes[t]) for t in graph.inputs
        ]
        self._run = tf.function(forward, input_signature=signature)

    def batches(
        self, arrays: Sequence[np.ndarray], batch_size: int
    ) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Rows and the float32 values of the wanted tensors for them, a batch at a time."""
        import tensorflow as tf

        for start in range(0, len(arrays[0]), batch_size):
            rows = slice(start, min(start + batch_size, len(arrays[0])))
            parts = [
                tf.cast(tf.convert_to_tensor(array[rows]), dtype)
                for array, dtype in zip(arrays, self._dtypes)
            ]
            yield rows, [value.numpy() for value in self._run(*parts)]

    def all(self, arrays: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
        """The wanted tensors for all rows at once."""
        return [
            np.concatenate(parts)
            for parts in zip(*(values for _, values in self.batches(arrays, batch_size)))
        ]


def _show(shape: Sequence[int | None]) -> str:
    return (
        "["
        + ", ".join(
            "n" if i == 0 else "any" if size is None else str(size) for i, size in enumerate(shape)
        )
        + "]"
    )
