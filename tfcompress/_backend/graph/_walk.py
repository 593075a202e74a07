"""The one walker: whoever goes through a model of either Keras goes through `ModelGraph`.

A graph is the list of calls that a Functional model recorded. `ModelGraph.run` carries any values
through it (tensors, labels, numbers): each call's arguments are filled in as they were recorded,
with the values in the place of the symbolic tensors, and nested models are entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfcompress._backend.graph._flavour import flavour, graph_of, is_layer, require_graph
from tfcompress.core._types import Layer, Model, Tensor

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Visit = Callable[["GraphCall", tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class GraphCall:
    """One call of a layer, a nested model or an operation, as its model recorded it.

    op: what is called. recorded: (args, kwargs) with symbolic tensors in them, without the masks
    that Keras passes by itself. inputs, outputs: the symbolic tensors, flat. path: the names of
    the nested models around the call, outermost first.
    """

    op: Layer
    recorded: Arguments
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    path: tuple[str, ...] = ()

    @property
    def shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The static shape of every output, batch first."""
        return tuple(tuple(tensor.shape) for tensor in self.outputs)

    @property
    def is_model(self) -> bool:
        """Whether a nested model with a graph of its own is called."""
        return graph_of(self.op) is not None

    @property
    def takes_training(self) -> bool:
        """Whether the layer's `call` has a `training` argument."""
        if hasattr(self.op, "_call_context_args"):  # Keras 3
            return "training" in self.op._call_context_args
        return bool(getattr(self.op, "_expects_training_arg", False))

    def arguments(self, values: Mapping[int, Any]) -> Arguments:
        """The recorded arguments with `values[id(tensor)]` in the place of every input tensor."""
        args, kwargs = self.recorded
        inputs = {id(tensor) for tensor in self.inputs}

        def fill(leaf: Any) -> Any:
            return values[id(leaf)] if id(leaf) in inputs else leaf

        return map_leaves(args, fill), map_leaves(kwargs, fill)


class ModelGraph:
    """The graph of a built Sequential or Functional model of Keras 3 or tf_keras.

    model: the model. path: the names of the models around it, where it is nested in another.
    Raises ModelError for anything that has no graph, and says what to do.
    """

    def __init__(self, model: Model, path: tuple[str, ...] = ()):
        require_graph(model)
        self.model = model
        self.path = path
        self.flavour: str = flavour(model)
        self._graph: Any = graph_of(model)

    @property
    def inputs(self) -> list[Tensor]:
        """The model's symbolic input tensors, in flat order."""
        return list(self._graph.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The model's symbolic output tensors, in flat order."""
        return list(self._graph.outputs)

    @property
    def input_names(self) -> list[str]:
        """The name of every input, in flat order."""
        return [maker_of(tensor).name for tensor in self.inputs]

    @property
    def input_structure(self) -> Any:
        """The inputs nested (list, dict) as the user gave them to `Model`."""
        keras3 = self.flavour == "keras"
        return self._graph._inputs_struct if keras3 else self._graph._nested_inputs

    @property
    def output_structure(self) -> Any:
        """The outputs nested (list, dict) as the user gave them to `Model`."""
        keras3 = self.flavour == "keras"
        return self._graph._outputs_struct if keras3 else self._graph._nested_outputs

    @cached_property
    def calls(self) -> list[GraphCall]:
        """The calls of this model in an order in which they can run; nested models are one call."""
        known = {id(tensor) for tensor in self.inputs}
        calls = []
        for depth in sorted(self._graph._nodes_by_depth, reverse=True):
            for node in self._graph._nodes_by_depth[depth]:
                call = None if node.is_input else _recorded(node, self.path)
                # A layer that another model shares has nodes that do not belong to this one.
                if call is None or any(id(tensor) not in known for tensor in call.inputs):
                    continue
                calls.append(call)
                known.update(map(id, call.outputs))
        return calls

    def run(self, inputs: list[Any], visit: Visit, nested: Visit | None = None) -> list[Any]:
        """Carry `inputs`, one value an input tensor, through the graph; the output values, flat.

        visit: `visit(call, args, kwargs)` stands for the layer or operation and returns one value,
        or a structure with one value an output. nested: the same for nested models, which are
        entered where it is not given; `training` given to a nested model then reaches its layers.
        """
        values = dict(zip(map(id, self.inputs), inputs))
        for call in self.calls:
            args, kwargs = call.arguments(values)
            if not call.is_model:
                outputs = visit(call, args, kwargs)
            elif nested is not None:
                outputs = nested(call, args, kwargs)
            else:
                outputs = self._enter(call, args, kwargs, visit)
            values.update(zip(map(id, call.outputs), flatten(outputs)))
        return [values[id(tensor)] for tensor in self.outputs]

    def _enter(self, call: GraphCall, args: tuple, kwargs: dict[str, Any], visit: Visit) -> list:
        inner = self.inside(call)
        training = kwargs.get("training")
        # The outer Keras 3 model overrides all but what only a user can have asked for.
        pushed = training if self.flavour == "tf_keras" or training is True else None

        def visit_inside(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
            if pushed is not None and call.takes_training:
                kwargs.setdefault("training", pushed)
            return visit(call, args, kwargs)

        return inner.run(inner.flat_inputs(given_to(args, kwargs)), visit_inside)

    def inside(self, call: GraphCall) -> ModelGraph:
        """The graph of the nested model that `call` calls."""
        return ModelGraph(call.op, (*self.path, call.op.name))

    def flat_inputs(self, given: Any) -> list[Any]:
        """What the model is called with, in the order of its input tensors, as Keras pairs them.

        A dict is paired by key with a model made of a dict, and by input name with any other.
        """
        structure = self.input_structure
        if not isinstance(given, dict):
            return flatten(given)
        names = sorted(structure) if isinstance(structure, dict) else self.input_names
        if any(name not in given for name in names):
            return flatten(given)
        return [given[name] for name in names]

    def operations(self) -> list[Layer]:
        """Layers and operations in topological order, nested models entered, each once."""
        operations: dict[int, Layer] = {}
        for call in self.flat_calls():
            operations.setdefault(id(call.op), call.op)
        return list(operations.values())

    def flat_calls(self) -> list[GraphCall]:
        """The calls of layers and operations, nested models entered at each of their calls."""
        calls: list[GraphCall] = []
        for call in self.calls:
            calls += self.inside(call).flat_calls() if call.is_model else [call]
        return calls

    def models(self) -> list[Model]:
        """The model and the models inside it, outer before inner, each once."""
        models = {id(self.model): self.model}
        for call in self.calls:
            if call.is_model and id(call.op) not in models:
                models.update((id(model), model) for model in self.inside(call).models())
        return list(models.values())


def given_to(args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """The first argument of a call of a model: its inputs."""
    return args[0] if args else kwargs["inputs"]


def maker_of(tensor: Tensor) -> Layer:
    """The layer or operation whose output a symbolic tensor of either Keras is."""
    history = tensor._keras_history
    return history.operation if hasattr(history, "operation") else history.layer


def _recorded(node: Any, path: tuple[str, ...]) -> GraphCall | None:
    if hasattr(node, "arguments"):  # Keras 3
        op, arguments = node.operation, (node.arguments.args, node.arguments.kwargs)
        inputs = list(node.arguments.keras_tensors)
        if is_layer(op):
            masks = {id(getattr(tensor, "_keras_mask", None)) for tensor in inputs}
            arguments = (arguments[0], _users_arguments(arguments[1], masks))
    else:
        op, arguments = node.layer, (tuple(node.call_args), dict(node.call_kwargs))
        inputs = list(node.keras_inputs)
    if op is None:
        return None
    left = {id(leaf) for leaf in flatten(list(arguments))}
    taken = tuple(tensor for tensor in inputs if id(tensor) in left)
    return GraphCall(op, arguments, taken, tuple(flatten(node.outputs)), path)


def _users_arguments(kwargs: Mapping[str, Any], masks: set[int]) -> dict[str, Any]:
    """Keras 3 also records what is None and the masks that it passes on by itself."""

    def is_implicit(key: str, value: Any) -> bool:
        if value is None:
            return True
        if key != "mask" and (not key.endswith("_mask") or key == "attention_mask"):
            return False
        return all(leaf is None or id(leaf) in masks for leaf in flatten(value))

    return {key: value for key, value in kwargs.items() if not is_implicit(key, value)}


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts (dicts by sorted key, as both Kerases do)."""
    import tensorflow as tf

    return tf.nest.flatten(structure)


def map_leaves(structure: Any, function: Callable[[Any], Any]) -> Any:
    """Map `function` over the leaves of nested lists, tuples, dicts and slices, in new ones."""
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_leaves(item, function) for item in structure))
    if isinstance(structure, tuple):
        return tuple(map_leaves(item, function) for item in structure)
    if isinstance(structure, list):
        return [map_leaves(item, function) for item in structure]
    if isinstance(structure, Mapping):
        return {key: map_leaves(item, function) for key, item in structure.items()}
    if isinstance(structure, slice):
        parts = (structure.start, structure.stop, structure.step)
        return slice(*(map_leaves(item, function) for item in parts))
    return function(structure)


def pack(structure: Any, flat: list[Any]) -> Any:
    """`flat` in the shape of `structure`; a list of one stays a list."""
    import tensorflow as tf

    return tf.nest.pack_sequence_as(_plain(structure), flat)


def _plain(structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return {key: _plain(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_plain(value) for value in structure]
    return structure


def operations(model: Model) -> list[Layer]:
    """Layers and operations of `model` in topological order, nested models entered, each once."""
    return ModelGraph(model).operations()


def leaf_layers(model: Model) -> list[Layer]:
    """The layers of `model` in topological order, nested models entered, each once; no inputs."""
    return [op for op in operations(model) if is_layer(op)]


def flat_names(model: Model, parts: Callable[[Layer], list[str]]) -> dict[int, list[str]]:
    """Names in the flat tf_keras model: {id(op): [name, …]}.

    parts: `parts(op)` gives the suffixes of an operation that is split. Every operation keeps its
    own name; where nested models use one name twice, later ones get `_1`, `_2`, … that are free.
    """
    graph = ModelGraph(model)
    ops = graph.operations()
    taken = set(graph.input_names)
    reserved = taken | {op.name for op in ops}

    def unique(name: str, is_own: bool) -> str:
        candidate, count = name, 0
        while candidate in taken or (candidate in reserved and not (is_own and candidate == name)):
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        return candidate

    names = {}
    for op in ops:
        own = unique(op.name, True)
        names[id(op)] = [unique(own + suffix, False) if suffix else own for suffix in parts(op)]
    return names
