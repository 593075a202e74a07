"""The outputs of many layers from one forward pass: in memory up to a budget, on disk beyond."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress.analysis._layers import Place, find_layers
from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.core import ModelError
from tfcompress.core._types import Array, Data, Model

OF_FREE_DISK = 0.9


@dataclass(frozen=True)
class View:
    """How the output [n, …, c] of a place becomes points: `rows` of them, `width` numbers each.

    chosen: None where every input is one point of all its numbers (flatten). Else the points are
    positions, numbered through all inputs, of c numbers each (channels), and `chosen` are those
    that are kept, ascending.
    """

    place: Place
    rows: int
    width: int
    chosen: Array | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of all the points in float32."""
        return 4 * self.rows * self.width

    def put(self, out: Array, rows: slice, value: Array) -> None:
        """Write the points of one batch, the inputs `rows`, into `out` [self.rows, self.width]."""
        if self.chosen is None:
            out[rows] = value.reshape(len(value), self.width)
            return
        points = value.reshape(-1, self.width)
        each = len(points) // len(value)
        start, stop = np.searchsorted(self.chosen, [rows.start * each, rows.stop * each])
        out[start:stop] = points[self.chosen[start:stop] - rows.start * each]


def flatten_view(graph: Calls, place: Place, n: int) -> View:
    """Each of `n` inputs is one point."""
    return View(place, n, int(np.prod(_fixed(graph, place), dtype=np.int64)))


def channels_view(graph: Calls, place: Place, n: int, most: int, seed: int = 0) -> View:
    """Each spatial position is one point of c numbers; at most `most` of them, drawn evenly."""
    shape = _fixed(graph, place)
    total = n * int(np.prod(shape[:-1], dtype=np.int64))
    chosen = np.arange(total)
    if total > most:
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(total, most, replace=False, shuffle=False))
    return View(place, len(chosen), shape[-1] if shape else 1, chosen)


def collect(
    graph: Calls,
    arrays: Sequence[Array],
    views: Sequence[View],
    *,
    batch_size: int,
    budget_bytes: int,
) -> Iterator[tuple[View, Array]]:
    """The points of every view, in order, from one forward pass.

    More passes only where the disk cannot hold all points at once. The arrays are the caller's to
    overwrite; letting go of one frees it.
    """
    disk = shutil.disk_usage(tempfile.gettempdir()).free
    waiting = list(views)
    while waiting:
        taken = _that_fit(waiting, budget_bytes + int(OF_FREE_DISK * disk))
        waiting = waiting[len(taken) :]
        held = _in_memory(taken, budget_bytes)
        outs: list[Array] = []
        for number, view in enumerate(taken):
            outs.append(room((view.rows, view.width), on_disk=number not in held))
        runner = Runner(graph, [view.place.tensor for view in taken])
        for rows, values in runner.batches(arrays, batch_size):
            for view, out, value in zip(taken, outs, values):
                view.put(out, rows, value)
        outs.reverse()
        for view in taken:
            yield view, outs.pop()


def _that_fit(views: Sequence[View], limit_bytes: int) -> list[View]:
    """The first of `views`, and those after it as long as all fit."""
    total, count = views[0].size_bytes, 1
    while count < len(views) and total + views[count].size_bytes <= limit_bytes:
        total += views[count].size_bytes
        count += 1
    return list(views[:count])


def _in_memory(views: Sequence[View], budget_bytes: int) -> set[int]:
    """Which of `views` lie in memory: the smallest, up to the budget."""
    held: set[int] = set()
    used = 0
    for number in sorted(range(len(views)), key=lambda number: views[number].size_bytes):
        used += views[number].size_bytes
        if used > budget_bytes:
            break
        held.add(number)
    return held


def activations(
    model: Model,
    x: Data,
    layers: Iterable[str] | None = None,
    *,
    batch_size: int = 64,
    budget_bytes: int = BUDGET_BYTES,
) -> dict[str, Array]:
    """The output [n, …] of every layer with weights, or of `layers`, from one forward pass.

    A layer's output is taken after the normalisation and activation that alone follow it, before
    pooling. It is float32; what exceeds `budget_bytes` of memory is mapped from disk.

    Args:
        model: A Sequential or Functional model of either Keras.
        x: Its inputs [n, …].
        layers: Names of layers; None takes all with weights.
        batch_size: Inputs of one step.
        budget_bytes: Memory for the outputs.

    Raises:
        ModelError: A model without a graph, or without fixed sizes.
        DataError: Inputs of another shape.
        RecipeError: An unknown layer.
    """
    graph = trace_calls(model)
    network = find_layers(graph)
    arrays = model_inputs(graph, x)
    places = [place for name in network.choose(layers) for place in network.of(name)]
    views = [flatten_view(graph, place, len(arrays[0])) for place in places]
    outputs: dict[str, Array] = {}
    for view, points in collect(
        graph, arrays, views, batch_size=batch_size, budget_bytes=budget_bytes
    ):
        shape = _fixed(graph, view.place)
        outputs[view.place.name] = points.reshape(len(points), *shape)
    return outputs


def _fixed(graph: Calls, place: Place) -> tuple[int, ...]:
    """The size of a place's tensor without the batch axis; ModelError where it is open."""
    shape = graph.shapes[place.tensor][1:]
    if any(size is None for size in shape):
        raise ModelError(
            f"The output of {place.name!r} has no fixed size ({list(shape)}): "
            "build the model with a fixed input shape."
        )
    return tuple(int(size) for size in shape if size is not None)
