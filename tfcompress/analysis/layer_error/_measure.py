"""A file's own tensors against the outputs of the Keras model's layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfcompress._backend.graph._activations import Runner
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress._backend.graph._replay import Replay
from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress._backend.keras import _samples
from tfcompress._backend.progress import reporter
from tfcompress.analysis.layer_error._compare import (
    KernelError,
    decibels,
    kernel_error,
    ratio,
    share_outside,
)
from tfcompress.analysis.layer_error._matching import Match, Matcher, Matching, stored_values
from tfcompress.analysis.layer_error._result import ErrorByLayer, LayerError
from tfcompress.core import Artifact, DataError, ModelError
from tfcompress.core._types import Array, Data, Model

FEW_INPUTS = 4
"""So many inputs tell which of several tensors of a layer is its output."""
BATCH_BYTES = 2**26
"""Bytes of the layers' values that are held at once, several times."""
EFFECT_VALUES = 2**31
"""Values that all the runs with one changed layer may compute; at least EFFECT_INPUTS inputs."""
EFFECT_INPUTS = 16
ANOTHER_MODEL = 0.8
"""Kernels that have no more in common than chance are off by nearly 1 after fitting."""

File = str | os.PathLike[str] | bytes | Artifact


def error_by_layer(
    file: File,
    model: Model,
    x: Data,
    *,
    inputs: int = 100,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> ErrorByLayer:
    """Which layer makes a `.tflite` differ from its Keras model, and how.

    The file's own tensors, which an interpreter keeps, are compared with the outputs of the model's
    layers: what has accumulated, what each layer adds by itself, and what that alone does to the
    model's outputs. See LayerError for the formulas.

    Args:
        file: the `.tflite`: its path, its bytes, or the Artifact that has them.
        model: the model that it was written from, of either Keras, with the same weights: of a
            recipe that trains, the Artifact's. It is left as it is.
        x: inputs [n, …] like those in use (array, tf.data set, generator).
        inputs: at most so many are compared, taken evenly.
        progress: as in `compress`.

    Returns:
        One LayerError a layer that has operators in the file; layers that were fused into others,
        and those that cannot be compared, are named in it.

    Raises:
        ModelError: a model without a graph, or a file that is not this model's.
        DataError: inputs that do not fit.
        InterpreterError: a file that cannot be read or run.
    """
    data, name = _read(file)
    graph = trace_calls(model)
    if inputs < 1:
        raise DataError(f"inputs={inputs}: expected a whole number of 1 or more.")
    arrays = _shuffled(_samples.as_samples(model, x, inputs))
    interpreter = open_interpreter(data, keep_tensors=True, input_names=graph.input_names)
    _require_ends(graph, interpreter, name)
    few = [array[:FEW_INPUTS] for array in arrays]
    matching = Matcher(model, graph, interpreter).match(few)
    kernels = _kernels(interpreter, matching.matches)
    _require_same(matching, kernels, name)
    work = _Work(graph, interpreter, matching.matches)
    with reporter(progress, total=len(arrays[0]), title="error by layer") as step:
        for rows in work.batches(arrays):
            step(f"inputs {rows.start + 1} to {rows.stop}")
            work.add(rows, [array[rows] for array in arrays])
    layers = tuple(
        _layer_error(match, total, matching, kernels.get(match.layer), work.output_squares)
        for match, total in zip(matching.matches, work.totals)
    )
    return ErrorByLayer(layers, matching.inside, matching.unmatched, len(arrays[0]), name)


def _read(file: File) -> tuple[bytes | str | os.PathLike[str], str]:
    if isinstance(file, Artifact):
        return file.data, file.name
    if isinstance(file, (bytes, bytearray)):
        return bytes(file), "model"
    return file, Path(file).name


def _shuffled(arrays: Sequence[Array]) -> list[Array]:
    """The same inputs in another order: the first ones stand for all."""
    order = np.random.default_rng(0).permutation(len(arrays[0]))
    return [array[order] for array in arrays]


def _require_ends(graph: Calls, interpreter: Interpreter, name: str) -> None:
    """ModelError where the file takes other inputs or gives other outputs than the model."""
    for what, tensors, infos in (
        ("inputs", graph.inputs, interpreter.inputs),
        ("outputs", graph.outputs, interpreter.outputs),
    ):
        own = [_sizes(graph.shapes[tensor]) for tensor in tensors]
        files = [_sizes(info.shape) for info in infos]
        same = sorted(map(str, own)) == sorted(map(str, files))
        if not same and len(own) == len(files) and what == "outputs":
            same = all(_product(a) == _product(b) for a, b in zip(own, files))
        if not same:
            raise ModelError(
                f"{name} is not the model's: its {what} are {files}, the model's {own} (without"
                " the batch). Give the model that the file was written from."
            )


def _sizes(shape: Sequence[int | None]) -> list[int | None]:
    return list(shape[1:])


def _product(sizes: Sequence[int | None]) -> int:
    return int(np.prod([size or 1 for size in sizes], dtype=np.int64))


def _kernels(interpreter: Interpreter, matches: Sequence[Match]) -> dict[str, KernelError]:
    """The worst kernel of every layer that has one that can be compared."""
    kernels: dict[str, KernelError] = {}
    for match in matches:
        for operator, info in match.kernels:
            found = kernel_error(interpreter.value(info.index), info, operator, match.op)
            known = kernels.get(match.layer)
            if found is not None and (known is None or found.error > known.error):
                kernels[match.layer] = found
    return kernels


def _require_same(matching: Matching, kernels: dict[str, KernelError], name: str) -> None:
    """ModelError where nothing matches, or the weights are another model's."""
    if not matching.matches or (not kernels and matching.unmatched):
        listed = [f"  {layer}: {why}" for layer, why in matching.unmatched.items()]
        raise ModelError(
            "\n".join(
                [
                    f"{name} is not the model's, or not written by tfcompress or TensorFlow's"
                    " converter: none of its tensors is known to be a layer's.",
                    *listed,
                ]
            )
        )
    errors = [kernel.error for kernel in kernels.values()]
    if errors and float(np.median(errors)) > ANOTHER_MODEL:
        raise ModelError(
            f"{name} holds other weights than the model: its kernels are off by"
            f" {np.median(errors):.2f} of their norm in the median, where 1 is chance. Give the"
            " model that the file was written from; of a recipe that trains, the Artifact's."
        )


@dataclass
class _Totals:
    """Sums of one layer over the inputs: squares of exact and local values and of differences."""

    exact: float = 0.0
    off_exact: float = 0.0
    local: float = 0.0
    off_local: float = 0.0
    outside: int = 0
    count: int = 0
    low: float = np.inf
    high: float = -np.inf
    effects: Array = field(default_factory=lambda: np.zeros(0))


class _Work:
    """Adds up the errors of all layers, batch by batch."""

    def __init__(self, graph: Calls, interpreter: Interpreter, matches: Sequence[Match]):
        self.matches, self._interpreter = matches, interpreter
        places = [match.tensor for match in matches]
        self._shapes = [graph.shapes[tensor][1:] for tensor in places]
        self._exact = Runner(graph, places)
        self._replay = Replay(graph, places)
        self.totals = [_Totals(effects=np.zeros(len(graph.outputs))) for _ in matches]
        self.output_squares = np.zeros(len(graph.outputs))
        self._values = sum(_product(shape) for shape in self._shapes)
        self._effect_inputs = EFFECT_VALUES // max(len(matches) * self._values, 1)

    def batches(self, arrays: Sequence[Array]) -> list[slice]:
        """Rows of a batch each, as many as BATCH_BYTES allow."""
        count = len(arrays[0])
        most = max(EFFECT_INPUTS, self._effect_inputs)
        size = int(np.clip(BATCH_BYTES // (4 * max(self._values, 1)), 1, min(64, most)))
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def add(self, rows: slice, inputs: Sequence[Array]) -> None:
        """Run one batch through the file and the model, and add what is off."""
        infos = [match.stored for match in self.matches]
        stored = stored_values(self._interpreter, infos, inputs)
        count = len(inputs[0])
        real = [
            info.real(values).reshape(count, *shape)
            for info, values, shape in zip(infos, stored, self._shapes)
        ]
        real = [values.astype(np.float32) for values in real]
        exact = next(iter(self._exact.batches(inputs, count)))[1]
        local = self._replay.computed(inputs, real)
        for total, info, raw, value, right, own in zip(
            self.totals, infos, stored, real, exact, local
        ):
            _add(total, info.scale > 0, raw, value, right, own)
            if info.scale:
                total.outside += share_outside(own, info)
        if rows.start < max(EFFECT_INPUTS, self._effect_inputs):
            self._add_effects(inputs, [value - own for value, own in zip(real, local)])

    def _add_effects(self, inputs: Sequence[Array], shifts: Sequence[Array]) -> None:
        outputs = self._replay.outputs_shifted(inputs, shifts, -1)
        self.output_squares += [_squares(output) for output in outputs]
        for number, total in enumerate(self.totals):
            changed = self._replay.outputs_shifted(inputs, shifts, number)
            total.effects += [_squares(new - old) for new, old in zip(changed, outputs)]


def _add(
    total: _Totals, is_integer: bool, raw: Array, value: Array, exact: Array, local: Array
) -> None:
    total.exact += _squares(exact)
    total.off_exact += _squares(value - exact)
    total.local += _squares(local)
    total.off_local += _squares(value - local)
    total.count += value.size
    if is_integer:
        total.low = min(total.low, float(raw.min()))
        total.high = max(total.high, float(raw.max()))


def _squares(values: Array) -> float:
    return float(np.sum(np.square(values, dtype=np.float64)))


def _layer_error(
    match: Match,
    total: _Totals,
    matching: Matching,
    kernel: KernelError | None,
    output_squares: Array,
) -> LayerError:
    error = ratio(total.off_exact, total.exact)
    is_integer = match.stored.scale > 0
    levels = np.iinfo(match.stored.dtype) if is_integer else None
    owner = match.layer.rsplit(" (call ", 1)[0]
    return LayerError(
        layer=match.layer,
        kind=type(match.op).__name__,
        operators=match.operators,
        inside=tuple(layer for layer, name in matching.inside.items() if name == owner),
        stored=match.stored.dtype.name,
        error=error,
        snr_db=decibels(error),
        added=ratio(total.off_local, total.local),
        effect=max(map(ratio, total.effects.tolist(), output_squares.tolist()), default=0.0),
        clipped=total.outside / total.count if is_integer else None,
        range_used=(total.high - total.low) / (levels.max - levels.min) if levels else None,
        kernel=kernel,
    )
