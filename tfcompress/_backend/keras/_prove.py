"""The proof on the spot: a copy gives the outputs of its original on random input."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import (
    GraphCall,
    ModelGraph,
    Visit,
    flatten,
    leaf_layers,
    operations,
    pack,
)
from tfcompress._backend.keras._inputs import HUGE, random_inputs
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer, Model, Tensor

FLOAT_TOLERANCE = 1e-4
HALF_TOLERANCE = 2e-2


class Sample:
    """Random input for a model, and what Keras itself makes of it in inference mode."""

    def __init__(self, model: Model):
        values = sum(array[:1].size for array in random_inputs(model, n=1))
        self.model = model
        self.inputs = random_inputs(model, n=2 if values < HUGE else 1)
        self.outputs = _outputs(model, self.inputs)
        is_half = any("16" in str(layer.compute_dtype) for layer in leaf_layers(model))
        self.tolerance = HALF_TOLERANCE if is_half else FLOAT_TOLERANCE

    def difference(self, copied: Model) -> Difference | None:
        """None if `copied` (same inputs, flat order) gives the same outputs."""
        worst = _worst(self.outputs, _outputs(copied, self.inputs))
        if worst > self.tolerance and not self.repeats():
            worst = self._worst_without_training(copied)
        return None if worst <= self.tolerance else Difference(self, copied, worst)

    def repeats(self) -> bool:
        """Whether the original agrees with itself when run again."""
        again = _outputs(self.model, self.inputs)
        return _worst(self.outputs, again) <= self.tolerance

    def _worst_without_training(self, copied: Model) -> float:
        """How far the two are apart with layers called with `training=True` in inference mode."""
        ours, theirs = (_outputs(each, self.inputs, _infer) for each in (self.model, copied))
        return _worst(ours, theirs)


class Difference:
    """A model and a copy that disagree, and by how much."""

    def __init__(self, sample: Sample, copied: Model, worst: float):
        self.sample, self.copied, self.worst = sample, copied, worst

    def culprit(self, names: Callable[[Model], dict[int, list[str]]]) -> Layer | None:
        """The first layer or operation whose output differs; `names(model)` pairs the models."""
        model, inputs = self.sample.model, self.sample.inputs
        pairs = names(model)
        ours, theirs = outputs_of(model, inputs), outputs_of(self.copied, inputs)
        layers = leaf_layers(self.copied)
        by_name = {layer.name: theirs[id(layer)] for layer in layers if id(layer) in theirs}
        for op in operations(model):
            outputs = by_name.get(pairs[id(op)][-1])
            if outputs is None or id(op) not in ours:
                continue
            if _worst(ours[id(op)], outputs) > self.sample.tolerance:
                return op
        return None


def prove_copy(model: Model, copied: Model) -> None:
    """Raise ModelError unless `copied` computes what `model` does, called with the same arguments.

    The outputs agree on random input in inference mode, max|a − b| ≤ 1e-4 · max|a| + 1e-6 (2e-2
    with half-precision layers), and every layer's recorded arguments (`training=`, `mask=`,
    constants) are there again. Both models are of one Keras; nested models may be laid flat.
    """
    wrong = Sample(model).difference(copied)
    if wrong is not None:
        own_names = {id(op): [op.name] for op in operations(model)}
        raise unequal(model, wrong, wrong.culprit(lambda _: own_names))
    recorded, again = recorded_arguments(model), recorded_arguments(copied)
    lost = recorded - again
    if lost:
        kind, arguments = next(iter(lost))
        raise ModelError(
            f"Model {model.name!r} could not be copied: a {kind} layer was called with "
            f"{arguments}, and the copy is not. Write that call without these arguments."
        )


def recorded_arguments(model: Model) -> Counter[tuple[str, str]]:
    """How often each kind of layer is called with which arguments; tensors are shown as `…`."""
    recorded: Counter[tuple[str, str]] = Counter()

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
        if is_layer(call.op):
            recorded[type(call.op).__name__, _shown(kwargs)] += 1
        return [Ellipsis] * len(call.outputs)

    graph = ModelGraph(model)
    graph.run([Ellipsis] * len(graph.inputs), visit)
    return recorded


def _shown(kwargs: dict[str, Any]) -> str:
    parts = []
    for key in sorted(kwargs):
        leaves = [_shown_leaf(leaf) for leaf in flatten(kwargs[key])]
        parts.append(f"{key}={', '.join(leaves)}")
    return "; ".join(parts)


def _shown_leaf(leaf: Any) -> str:
    if leaf is Ellipsis:
        return "…"
    is_array = hasattr(leaf, "shape") and hasattr(leaf, "dtype")
    return f"array{np.asarray(leaf).tolist()}" if is_array else repr(leaf)


def _outputs(model: Model, inputs: Sequence[Array], visit: Visit | None = None) -> list[Array]:
    """Flat list of outputs as arrays; traced for inputs so large that memory would be felt.

    Keras itself runs the model; with `visit`, its calls are walked one by one.
    """
    import tensorflow as tf

    graph = ModelGraph(model)

    def forward(tensors: list[Tensor]) -> Any:
        if visit is not None:
            return graph.run(tensors, visit)
        return model(pack(graph.input_structure, tensors), training=False)

    tensors = [
        tf.convert_to_tensor(array, getattr(tensor.dtype, "name", tensor.dtype))
        for array, tensor in zip(inputs, graph.inputs)
    ]
    is_huge = sum(array.size for array in inputs) >= HUGE
    function = tf.function(forward) if is_huge else forward
    with _unchanged_states(model):
        return [_array(value) for value in flatten(function(tensors))]


def _array(value: Tensor) -> Array:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _infer(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
    if is_layer(call.op) and call.takes_training:
        kwargs = {**kwargs, "training": False}
    return call.op(*args, **kwargs)


def outputs_of(model: Model, inputs: Sequence[Array]) -> dict[int, list[Array]]:
    """{id(op): its first outputs as arrays} while `model` runs eagerly on `inputs`."""
    import tensorflow as tf

    outputs: dict[int, list[Array]] = {}

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
        result = _infer(call, args, kwargs)
        outputs.setdefault(id(call.op), [np.asarray(value) for value in flatten(result)])
        return result

    ModelGraph(model).run([tf.convert_to_tensor(array) for array in inputs], visit)
    return outputs


def _worst(expected: Sequence[Array], outputs: Sequence[Array]) -> float:
    return max(map(error, expected, outputs), default=0.0)


def error(expected: Array, output: Array) -> float:
    """max|a − b| / (max|a| + 0.01), so that 1e-4 of it is 1e-4 · max|a| + 1e-6.

    Infinite where shapes or the places of NaNs differ.
    """
    expected, output = np.asarray(expected), np.asarray(output)
    if expected.shape != output.shape:
        return np.inf
    if expected.dtype.kind not in "fiub" or expected.size == 0:
        return 0.0 if np.array_equal(expected, output) else np.inf
    expected, output = expected.astype("float64"), output.astype("float64")
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], output[~finite], equal_nan=True):
        return np.inf
    expected, output = expected[finite], output[finite]
    scale = np.max(np.abs(expected), initial=0.0) + 1e-2
    return float(np.max(np.abs(expected - output), initial=0.0) / scale)


def unequal(model: Model, wrong: Difference, culprit: Layer | None) -> ModelError:
    """ModelError for a model whose copy does not give the same outputs."""
    if not wrong.sample.repeats():
        return ModelError(
            f"Model {model.name!r} gives other outputs each time it runs on the same input, so "
            "that no copy of it can be checked. Take the random layer out of inference (draw only "
            "when training=True)."
        )
    where = ""
    if culprit is not None:
        where = f" They first differ at {type(culprit).__name__} {culprit.name!r}: replace it."
    return ModelError(
        f"Model {model.name!r} could not be carried over: on random input its outputs and the "
        f"copy's differ by {wrong.worst:.2e} of their magnitude, more than "
        f"{wrong.sample.tolerance:g}.{where}"
    )


@contextlib.contextmanager
def _unchanged_states(model: Model) -> Iterator[None]:
    """Put the states of stateful recurrent layers back afterwards."""
    layers = [layer for layer in leaf_layers(model) if getattr(layer, "stateful", False)]
    states = [state for layer in layers for state in flatten(getattr(layer, "states", None))]
    states = [state for state in states if state is not None]
    values = [np.asarray(state) for state in states]
    yield
    for state, value in zip(states, values):
        state.assign(value)
