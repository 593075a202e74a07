"""The outputs of many layers from one forward pass: in memory up to a budget, on disk beyond it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress.analysis._layers import Place, find_layers
from tfcompress.analysis.dimension._room import BUDGET_BYTES, room
from tfcompress.core import ModelError


@dataclass(frozen=True)
class View:
    """How the output [n, …, c] of a place becomes points: `rows` of them, `width` numbers each.

    `chosen` None: every input is one point of all its numbers (flatten). Else the points are positions, numbered through all
    inputs, of c numbers each (channels), and `chosen` are those that are kept, ascending.
    """

    place: Place
    rows: int
    width: int
    chosen: np.ndarray | None = None

    @property
    def size_bytes(self) -> int:
        return 4 * self.rows * self.width

    def put(self, out: np.ndarray, rows: slice, value: np.ndarray) -> None:
        """Write the points of one batch, the inputs `rows`, to where they belong in `out` [self.rows, self.width]."""
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
        chosen = np.sort(
            np.random.default_rng(seed).choice(total, most, replace=False, shuffle=False)
        )
    return View(place, len(chosen), shape[-1] if shape else 1, chosen)


def collect(
    graph: Calls,
    arrays: Sequence[np.ndarray],
    views: Sequence[View],
    *,
    batch_size: int,
    budget_bytes: int,
) -> Iterator[tuple[View, np.ndarray]]:
    """The points of every view, in order, from one forward pass (more only where the disk cannot hold them all at once).

    The arrays are the caller's to overwrite; letting go of one frees it.
    """
    free = budget_bytes + int(0.9 * shutil.disk_usage(tempfile.gettempdir()).free)
    waiting = list(views)
    while waiting:
        taken = [waiting.pop(0)]
        while waiting and sum(view.size_bytes for view in taken) + waiting[0].size_bytes <= free:
            taken.append(waiting.pop(0))
        in_memory, used = set(), 0
        for i in sorted(range(len(taken)), key=lambda i: taken[i].size_bytes):
            used += taken[i].size_bytes
            if used <= budget_bytes:
                in_memory.add(i)
        outs: list[Any] = [
            room((view.rows, view.width), on_disk=i not in in_memory)
            for i, view in enumerate(taken)
        ]
        for rows, values in Runner(graph, [view.place.tensor for view in taken]).batches(
            arrays, batch_size
        ):
            for view, out, value in zip(taken, outs, values):
                view.put(out, rows, value)
        for i, view in enumerate(taken):
            points, outs[i] = outs[i], None
            yield view, points
            del points


def activations(
    model: Any,
    x: Any,
    layers: Iterable[str] | None = None,
    *,
    batch_size: int = 64,
    budget_bytes: int = BUDGET_BYTES,
) -> dict[str, np.ndarray]:
    """The output [n, …] of every layer with weights (or of `layers`) for the inputs `x` [n, …], from one forward pass.

    A layer's output is taken after the normalisation and activation that alone follow it, before pooling. Float32; what
    exceeds `budget_bytes` of memory is mapped from disk. Raises ModelError, DataError, RecipeError (unknown layer).
    """
    graph = trace_calls(model)
    found = find_layers(graph)
    arrays = model_inputs(graph, x)
    places = [place for name in found.choose(layers) for place in found.of(name)]
    views = [flatten_view(graph, place, len(arrays[0])) for place in places]
    made = collect(graph, arrays, views, batch_size=batch_size, budget_bytes=budget_bytes)
    return {
        view.place.name: points.reshape(len(points), *graph.shapes[view.place.tensor][1:])
        for view, points in made
    }


def _fixed(graph: Calls, place: Place) -> tuple[int, ...]:
    shape = graph.shapes[place.tensor][1:]
    if any(size is None for size in shape):
        raise ModelError(
            f"The output of {place.name!r} has no fixed size ({list(shape)}): build the model with a fixed input shape."
        )
    return tuple(int(size) for size in shape if size is not None)
