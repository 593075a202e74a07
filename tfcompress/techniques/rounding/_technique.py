"""RoundWeights: kernels in 2 to 8 bits without training or labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import Call, Calls, trace_calls
from tfcompress._backend.graph._recorded import keras_class
from tfcompress.core import (
    Check,
    InvariantError,
    RecipeError,
    Rule,
    Skipped,
    Stage,
    Technique,
    Training,
)
from tfcompress.core._types import Array, Data, Layer, Model
from tfcompress.techniques.rounding._inputs import (
    Moments,
    kernel_of_rows,
    moments,
    reason_not_to_round,
    rows_of_kernel,
)
from tfcompress.techniques.rounding._solve import largest_integer, on_grid, refitted

FLOAT = 32
RIDGE = 0.1
"""How strongly refitted weights are held at the trained ones, as a share of the inputs' power."""
BATCH = 64


@dataclass(frozen=True, eq=False)
class RoundWeights(Technique):
    """Puts kernels on the levels of a few bits, one layer after the other, without labels.

    Each output channel has 2^b − 1 levels, step · k with |k| ≤ 2^(b−1) − 1. With samples, the step
    and the integers are those with the least error of the layer's *output* on them, where its
    inputs are already those of the rounded layers before it; without samples, of the weights.
    `Packed` writes these very levels; with 8 bits `Int8` does.

    Args:
        bits: 2 to 8 for every layer with a kernel, or by layer's name, 32 being float; layers that
            are not named stay float. A Rule is decided when the recipe runs.
        feedback: each weight's rounding error is made up for by the weights that are rounded after
            it (GPTQ); else every weight goes to its nearest level.
        refit: first fit the weights to put out, on the inputs that the rounded layers before give,
            what the trained ones do on exact inputs.
        correct_bias: what is left in the mean of each output goes into the layer's bias, or into
            the mean of the BatchNormalization that alone follows it.
        inputs: samples that are looked at.

    Raises:
        RecipeError: for values out of range and, in `apply`, for an unknown layer name.

    Source: Frantar et al., GPTQ, arXiv 2210.17323; Nagel et al., Data-Free Quantization, arXiv
    1906.04721 (bias correction); Hubara et al., Accurate Post Training Quantization, ICML 2021.
    """

    stage: ClassVar[Stage] = Stage.NUMERICS
    training: ClassVar[Training] = Training.NEVER

    bits: Mapping[str, int] | int | Rule = 8
    feedback: bool = True
    refit: bool = True
    correct_bias: bool = True
    inputs: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        for width in self._widths():
            if isinstance(width, bool) or width not in (*range(2, 9), FLOAT):
                raise RecipeError(f"RoundWeights: bits must be 2 to 8 or 32, got {width!r}.")
        if self.inputs < 1:
            raise RecipeError(f"RoundWeights(inputs={self.inputs}): expected 1 or more.")

    def _widths(self) -> list[int]:
        if isinstance(self.bits, Rule):
            return []
        return list(self.bits.values()) if isinstance(self.bits, Mapping) else [self.bits]

    @property
    def label(self) -> str:
        """`round4`: the widths, most first; `nearest` without feedback."""
        widths = sorted(set(self._widths()) - {FLOAT}, reverse=True)
        word = "".join(map(str, widths)) or "rule"
        return f"round{word}" if self.feedback else f"round{word}nearest"

    @property
    def wanted_samples(self) -> int:
        """How many samples `apply_to` looks at."""
        return max(self.inputs, super().wanted_samples)

    def apply(self, model: Model) -> Model:
        """A copy whose kernels are on the levels nearest to them, without samples."""
        copy = _keras.clone(model)
        widths = self._chosen(copy)
        for layer in _keras.leaf_layers(copy):
            if layer.name in widths:
                kernel = _kernel(layer)
                rows = rows_of_kernel(layer, kernel)
                bits = widths[layer.name]
                rounded = [_values(*on_grid(row, None, bits, feedback=False)) for row in rows]
                _set_kernel(layer, kernel_of_rows(layer, np.stack(rounded), kernel.shape))
        return copy

    def apply_to(self, model: Model, x: Data) -> Model:
        """A copy whose kernels are on the levels that change the outputs on `x` [n, …] least."""
        copy = _keras.clone(model)
        widths = self._chosen(copy)
        exact, given = trace_calls(model), trace_calls(copy)
        arrays = [array[: self.inputs] for array in model_inputs(exact, x)]
        done: set[int] = set()
        for before, call in zip(exact.calls, given.calls):
            if id(call.layer) in done or call.layer.name not in widths:
                continue
            done.add(id(call.layer))
            pairs = _input_pairs((exact, before), (given, call), arrays)
            self._round(given, call, pairs, len(arrays[0]), widths[call.layer.name])
        return copy

    def _round(
        self,
        graph: Calls,
        call: Call,
        pairs: Iterator[tuple[Array, Array]],
        total: int,
        bits: int,
    ) -> None:
        """Put the kernel of one call's layer on its levels, and correct the mean of its outputs."""
        layer = call.layer
        target = _corrected(graph, call) if self.correct_bias else None
        groups = moments(layer, pairs, total, centred=target is not None)
        kernel = _kernel(layer)
        rows = rows_of_kernel(layer, kernel)
        rounded = np.stack([self._row(row, group, bits) for row, group in zip(rows, groups)])
        _set_kernel(layer, kernel_of_rows(layer, rounded, kernel.shape))
        if target is not None:
            missing = [
                row @ group.exact - new.astype(np.float64) @ group.given
                for row, new, group in zip(rows, rounded, groups)
            ]
            _correct(target, np.concatenate(missing))

    def _row(self, weights: Array, group: Moments, bits: int) -> Array:
        if self.refit:
            weights = refitted(weights, group.second, group.crossed, RIDGE)
        return _values(*on_grid(weights, group.second, bits, feedback=self.feedback))

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Layers with kernels that stay float: of another class, or without bits."""
        skipped = []
        for layer in _kernel_layers(model):
            why = reason_not_to_round(layer) or ("" if self._width(layer) else "no bits for it")
            if why:
                skipped.append(Skipped(layer.name, type(layer).__name__, self.label, why))
        return tuple(skipped)

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """The most levels of any channel of each kernel, bound 2^bits − 1.

        Raises InvariantError, naming the layer, where there are more.
        """
        widths = self._chosen(before)
        checks = []
        for layer in _keras.leaf_layers(after):
            if layer.name not in widths:
                continue
            rows = rows_of_kernel(layer, _kernel(layer))
            flat = rows.reshape(-1, rows.shape[-1])
            most = max(len(np.unique(row)) for row in flat)
            bound = 2 * largest_integer(widths[layer.name]) + 1
            if most > bound:
                raise InvariantError(
                    f"{self.label}: {layer.name!r} has {most} values in a channel, bound {bound}."
                )
            what = f"levels of {widths[layer.name]} bits"
            checks.append(Check(self.label, what, most, bound, layer.name))
        return tuple(checks)

    def _chosen(self, model: Model) -> dict[str, int]:
        """Bits by name of every layer that is rounded; RecipeError for an unknown name."""
        layers = _kernel_layers(model)
        names = [layer.name for layer in layers]
        if isinstance(self.bits, Mapping):
            for name in self.bits:
                if name not in names:
                    raise RecipeError(
                        f"{self.label}: no layer with a kernel is called {name!r}; there are:"
                        f" {', '.join(names)}."
                    )
        fitting = [layer for layer in layers if not reason_not_to_round(layer)]
        return {layer.name: self._width(layer) for layer in fitting if self._width(layer)}

    def _width(self, layer: Layer) -> int:
        """The bits of a layer, 0 for float."""
        if isinstance(self.bits, Rule):
            return 0
        width = self.bits.get(layer.name, 0) if isinstance(self.bits, Mapping) else self.bits
        return 0 if width == FLOAT else width


def _kernel_layers(model: Model) -> Sequence[Layer]:
    return [
        layer
        for layer in _keras.leaf_layers(model)
        if any(len(weight.shape) >= 2 for weight in layer.weights)
    ]


def _kernel(layer: Layer) -> Array:
    return np.asarray(layer.get_weights()[0])


def _set_kernel(layer: Layer, kernel: Array) -> None:
    layer.set_weights([kernel.astype(np.float32), *layer.get_weights()[1:]])


def _values(integers: Array, steps: Array) -> Array:
    """Every level is one float32 product, so that a file can hold exactly these values."""
    return integers.astype(np.float32) * steps.astype(np.float32)[:, None]


def _input_pairs(
    exact: tuple[Calls, Call], given: tuple[Calls, Call], arrays: Sequence[Array]
) -> Iterator[tuple[Array, Array]]:
    """Batches of a layer's input in the exact model and in the one that is being rounded."""
    runners = [Runner(graph, [call.inputs[0]]) for graph, call in (exact, given)]
    both = [runner.batches(arrays, BATCH) for runner in runners]
    for (_, (before,)), (_, (now,)) in zip(*both):
        yield before, now


def _corrected(graph: Calls, call: Call) -> Layer | None:
    """The layer that takes a correction of a call's mean: itself, or the normalization behind it.

    A layer called several times has no one mean.
    """
    if sum(each.layer is call.layer for each in graph.calls) > 1:
        return None
    if getattr(call.layer, "use_bias", False):
        return call.layer
    behind = graph.users()[call.outputs[0]]
    alone = len(behind) == 1 and call.outputs[0] not in graph.outputs
    if alone and keras_class(behind[0].layer) == "BatchNormalization":
        return behind[0].layer
    return None


def _correct(layer: Layer, missing: Array) -> None:
    """Add `missing` [channels] to what the layer gives out, or to what it normalizes."""
    if keras_class(layer) == "BatchNormalization":
        mean = layer.moving_mean
        mean.assign(np.asarray(mean) - missing.astype(np.float32))
        return
    kernel, bias, *rest = layer.get_weights()
    layer.set_weights([kernel, bias + missing.astype(bias.dtype), *rest])
