"""Walking the graph of a Sequential or Functional model of either Keras, with any value in the place of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def run_graph(model: Any, inputs: list, call: Callable[[Any, tuple, dict, tuple], Any]) -> list:
    """Carry `inputs` (one value an input tensor, flattened order) through the graph; returns the outputs in flattened order.

    `call(layer, args, kwargs, shapes)` stands for the layer or operation: `args` and `kwargs` as recorded, tensors replaced by
    the values carried; `shapes` are the static shapes of its output tensors; it returns one value or a list, one an output.
    Nested models are entered; their layers are called each time the model is.
    """
    graph = getattr(model, "_functional", None) or model
    carried: dict[Any, Any] = {_key(tensor): value for tensor, value in zip(graph.inputs, inputs)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            layer = getattr(node, "operation", None) or getattr(node, "layer", None)
            if layer is None or node.is_input:
                continue
            outputs = _flatten(node.outputs)
            args, kwargs = _arguments(node, carried)
            if is_model(layer):
                given = [
                    value
                    for value in _flatten([args, kwargs])
                    if value is not None and not isinstance(value, (bool, str))
                ]
                values = run_graph(layer, given, call)
            else:
                shapes = tuple(tuple(tensor.shape) for tensor in outputs)
                values = call(layer, args, kwargs, shapes)
                values = list(values) if isinstance(values, (list, tuple)) else [values]
            carried.update((_key(tensor), value) for tensor, value in zip(outputs, values))
    return [carried[_key(tensor)] for tensor in _flatten(graph.outputs)]


def is_model(layer: Any) -> bool:
    """Whether a graph's node is itself a model with a graph."""
    return hasattr(layer, "_nodes_by_depth") or hasattr(layer, "_functional")


def is_layer(operation: Any) -> bool:
    """Whether a node's operation is a layer with variables, not a bare `keras.ops` operation."""
    return hasattr(operation, "get_weights")


def _arguments(node: Any, carried: dict) -> tuple[tuple, dict]:
    if hasattr(node, "arguments"):  # Keras 3
        args, kwargs = node.arguments.fill_in(carried)
    else:  # tf_keras pops each use of a tensor from a list
        args, kwargs = node.map_arguments({key: _Endless(value) for key, value in carried.items()})
    kwargs = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
    return tuple(args), kwargs


def _key(tensor: Any) -> Any:
    return str(id(tensor)) if type(tensor).__module__.startswith("tf_keras") else id(tensor)


def _flatten(structure: Any) -> list:
    if isinstance(structure, dict):
        return [item for key in sorted(structure) for item in _flatten(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [item for part in structure for item in _flatten(part)]
    return [structure]


class _Endless:
    def __init__(self, value: Any):
        self.value = value

    def pop(self) -> Any:
        return self.value
