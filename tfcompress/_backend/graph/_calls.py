"""A model as the flat list of its calls, with numbers for tensors.

This is what measuring needs (which tensor feeds which layer, and any tensor's values) without
building a new model. Nested models are entered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfcompress._backend.graph._walk import GraphCall, ModelGraph, flatten, map_leaves
from tfcompress.core._types import Layer, Model, Tensor

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Call:
    """One call of one leaf layer (or operation): tensors are numbers, as in `Calls.shapes`.

    run: values of tensors by number → values of `outputs`, in inference mode.
    """

    layer: Layer = field(repr=False)
    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    run: Callable[[Mapping[int, Any]], list[Any]] = field(repr=False)


@dataclass(frozen=True)
class Calls:
    """All calls of a model in an order in which they can run; shapes, dtypes by tensor number."""

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: dict[int, Shape]
    dtypes: dict[int, str]
    input_names: tuple[str, ...]

    def maker(self) -> dict[int, Call]:
        """Tensor → the call that makes it (model inputs have none)."""
        return {tensor: call for call in self.calls for tensor in call.outputs}

    def users(self) -> dict[int, list[Call]]:
        """Tensor → the calls that consume it."""
        users: dict[int, list[Call]] = {tensor: [] for tensor in self.shapes}
        for call in self.calls:
            for tensor in dict.fromkeys(call.inputs):
                users[tensor].append(call)
        return users


class TensorNumber(int):
    """The number of a tensor: what stands in its place in a call's arguments."""


class _Numbers:
    """Hands out tensor numbers and remembers each tensor's shape and dtype."""

    def __init__(self) -> None:
        self.shapes: dict[int, Shape] = {}
        self.dtypes: dict[int, str] = {}

    def new(self, tensor: Tensor) -> TensorNumber:
        number = TensorNumber(len(self.shapes))
        self.shapes[number] = tuple(tensor.shape)
        self.dtypes[number] = getattr(tensor.dtype, "name", str(tensor.dtype))
        return number


def trace_calls(model: Model) -> Calls:
    """The calls of a built Sequential or Functional `model`; ModelError for anything else."""
    graph, numbers = ModelGraph(model), _Numbers()
    traced: list[tuple[GraphCall, tuple, dict[str, Any], list[TensorNumber]]] = []

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> list[TensorNumber]:
        outputs = [numbers.new(tensor) for tensor in call.outputs]
        traced.append((call, args, kwargs, outputs))
        return outputs

    inputs = [numbers.new(tensor) for tensor in graph.inputs]
    outputs = graph.run(list(inputs), visit)
    names = _names(call for call, *_ in traced)
    calls = []
    for call, args, kwargs, results in traced:
        name, kind = names[id(call.op)], type(call.op).__name__
        taken = tuple(_numbers_in([list(args), list(kwargs.values())]))
        calls.append(Call(call.op, name, kind, taken, tuple(results), _runner(call, args, kwargs)))
    return Calls(
        tuple(calls),
        tuple(inputs),
        tuple(outputs),
        numbers.shapes,
        numbers.dtypes,
        tuple(graph.input_names),
    )


def _numbers_in(arguments: Any) -> list[TensorNumber]:
    return [leaf for leaf in flatten(arguments) if isinstance(leaf, TensorNumber)]


def _names(calls: Iterable[GraphCall]) -> dict[int, str]:
    """Each layer's own name, with the models around it in front where two layers share one."""
    first: dict[int, tuple[str, str]] = {}
    for call in calls:
        first.setdefault(id(call.op), (call.op.name, "/".join((*call.path, call.op.name))))
    times = Counter(name for name, _ in first.values())
    return {key: name if times[name] == 1 else full for key, (name, full) in first.items()}


def _runner(
    call: GraphCall, args: tuple, kwargs: dict[str, Any]
) -> Callable[[Mapping[int, Any]], list[Any]]:
    """How one call runs: its arguments filled in, training off where the layer knows of it."""
    if call.takes_training:
        kwargs = {**kwargs, "training": False}

    def run(values: Mapping[int, Any]) -> list[Any]:
        def fill(leaf: Any) -> Any:
            return values[leaf] if isinstance(leaf, TensorNumber) else leaf

        return flatten(call.op(*map_leaves(args, fill), **map_leaves(kwargs, fill)))

    return run
