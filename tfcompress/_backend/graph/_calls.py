"""A model as the flat list of its calls: every layer call in order, nested models entered, either Keras.

This is what measuring needs (which tensor feeds which layer, and any tensor's values) without building a new model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfcompress.core._errors import ModelError

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Call:
    """One call of one leaf layer (or operation): tensors are numbers, as in `Calls.shapes`."""

    layer: Any = field(repr=False)
    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    run: Callable[[dict[int, Any]], list] = field(repr=False)
    """Values of tensors by number → values of `outputs`, in inference mode."""


@dataclass(frozen=True)
class Calls:
    """All calls of a model in an order in which they can be carried out; `shapes` and `dtypes` by tensor number."""

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
        found: dict[int, list[Call]] = {tensor: [] for tensor in self.shapes}
        for call in self.calls:
            for tensor in dict.fromkeys(call.inputs):
                found[tensor].append(call)
        return found


def trace_calls(model: Any) -> Calls:
    """The calls of a built Sequential or Functional `model` of Keras 3 or tf_keras; ModelError for anything else."""
    inner = _graph_of(model)
    if inner is None:
        raise ModelError(
            f"{type(model).__name__} {getattr(model, 'name', '')!r} has no graph to read: build the Sequential model (add an Input layer) "
            "or write the subclassed model as a Functional one."
        )
    shapes: dict[int, Shape] = {}
    dtypes: dict[int, str] = {}
    found: list[list] = []

    def number(tensor: Any) -> int:
        shapes[len(shapes)] = tuple(tensor.shape)
        dtypes[len(dtypes)] = getattr(tensor.dtype, "name", str(tensor.dtype))
        return len(shapes) - 1

    def walk(graph: Any, given: Sequence[int], path: str) -> list[int]:
        local = dict(zip(map(id, graph.inputs), given))
        for node in _nodes(graph):
            layer, taken, made = _layer(node), _tensors_in(node), _tensors_out(node)
            if any(id(tensor) not in local for tensor in taken):
                continue  # a node of another model that shares the layer
            numbers = tuple(local[id(tensor)] for tensor in taken)
            nested = _graph_of(layer)
            if nested is not None and len(nested.inputs) == len(numbers):
                results = walk(nested, numbers, f"{path}{layer.name}/")
            else:
                results = [number(tensor) for tensor in made]
                found.append(
                    [layer, path, numbers, tuple(results), _runner(node, layer, taken, numbers)]
                )
            local.update(zip(map(id, made), results))
        return [local[id(tensor)] for tensor in graph.outputs]

    inputs = tuple(number(tensor) for tensor in inner.inputs)
    outputs = tuple(walk(inner, inputs, ""))
    names = _names((layer, path) for layer, path, *_ in found)
    calls = tuple(
        Call(layer, names[id(layer)], type(layer).__name__, *rest) for layer, _, *rest in found
    )
    return Calls(
        calls,
        inputs,
        outputs,
        shapes,
        dtypes,
        tuple(getattr(t, "name", "").split(":")[0] for t in inner.inputs),
    )


def _names(layers: Iterable[tuple[Any, str]]) -> dict[int, str]:
    """Each layer's own name, with the names of the models around it where two layers share one."""
    first = {}
    for layer, path in layers:
        first.setdefault(id(layer), (layer.name, path))
    times = Counter(name for name, _ in first.values())
    return {key: name if times[name] == 1 else path + name for key, (name, path) in first.items()}


def _graph_of(layer: Any) -> Any:
    """The Functional graph inside a model (a Keras 3 Sequential keeps it apart), or None."""
    layer = getattr(layer, "_functional", None) or layer
    has = getattr(layer, "_nodes_by_depth", None) and getattr(layer, "inputs", None)
    # A subclass with its own call() does not run its graph.
    own = type(layer).call.__module__.split(".")[0] if hasattr(type(layer), "call") else ""
    return layer if has and own in ("keras", "tf_keras") else None


def _nodes(graph: Any) -> list:
    ordered = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for node in graph._nodes_by_depth[depth]
    ]
    return [node for node in ordered if not node.is_input and _layer(node) is not None]


def _layer(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _tensors_in(node: Any) -> list:
    return list(node.input_tensors) if hasattr(node, "operation") else _flat(node.keras_inputs)


def _tensors_out(node: Any) -> list:
    return list(node.outputs) if hasattr(node, "operation") else _flat(node.outputs)


def _flat(structure: Any) -> list:
    import tensorflow as tf

    return tf.nest.flatten(structure)


def _runner(
    node: Any, layer: Any, taken: list, numbers: tuple[int, ...]
) -> Callable[[dict[int, Any]], list]:
    """How to carry out one node: its arguments filled in as the model itself does, training off where the layer knows of it."""
    keras3 = hasattr(node, "operation")
    trains = (
        "training" in getattr(layer, "_call_context_args", ())
        if keras3
        else getattr(layer, "_expects_training_arg", False)
    )

    def run(values: dict[int, Any]) -> list:
        if keras3:
            args, kwargs = node.arguments.fill_in(
                {id(tensor): values[number] for tensor, number in zip(taken, numbers)}
            )
        else:  # tf_keras takes each use of a tensor from a list
            args, kwargs = node.map_arguments(
                {str(id(t)): [values[n]] * len(numbers) for t, n in zip(taken, numbers)}
            )
        if trains:
            kwargs = {**kwargs, "training": False}
        return _flat(layer(*args, **kwargs))

    return run
