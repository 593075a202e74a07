"""A new model over the same graph with other layers in it.

Inputs, the nesting of inputs and outputs, and names are the model's; nested models are laid flat.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from tfcompress._backend.graph._flavour import is_layer, package_of
from tfcompress._backend.graph._walk import GraphCall, ModelGraph, pack
from tfcompress._backend.keras._copy import copy_layer, copy_operation, input_like
from tfcompress._backend.keras._prove import prove_copy
from tfcompress._backend.keras._state import copy_state, copy_trainable
from tfcompress.core._types import Layer, Model, Tensor

Replace = Callable[[Layer, tuple[Any, ...], dict[str, Any]], Any]
_PROVEN: weakref.WeakSet[Any] = weakref.WeakSet()


class Names:
    """Hands out each layer name once; nested models that are laid flat may hold one twice."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def unique(self, name: str) -> str:
        """`name`, or `name_1`, `name_2`, … if it is taken."""
        candidate, count = name, 0
        while candidate in self.taken:
            count += 1
            candidate = f"{name}_{count}"
        self.taken.add(candidate)
        return candidate


def remake(model: Model, replace: Replace, names: Names) -> Model:
    """The model in which `replace(layer, args, kwargs)` gives the output of every layer's call.

    Operations are copied, so that none of the user's gets a node more. `model`, of either Keras,
    stays as it is; the new one is flat and uncompiled. A model is first rebuilt as it is, once,
    and proven equal on random input, with the same recorded arguments: ModelError if it is not.
    """
    if model not in _PROVEN:
        prove_copy(model, _rebuilt_as_it_is(model))
        _PROVEN.add(model)
    return _remake(model, replace, names)


def _remake(model: Model, replace: Replace, names: Names) -> Model:
    graph, package = ModelGraph(model), package_of(model)
    operations: dict[int, Layer] = {}

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        if is_layer(call.op):
            return replace(call.op, args, kwargs)
        copied = operations.setdefault(id(call.op), copy_operation(call.op))
        return copied(*args, **kwargs)

    inputs = [
        input_like(package, tensor, names.unique(name))
        for tensor, name in zip(graph.inputs, graph.input_names)
    ]
    outputs = graph.run(inputs, visit)
    return package.Model(
        pack(graph.input_structure, inputs), pack(graph.output_structure, outputs), name=model.name
    )


def _rebuilt_as_it_is(model: Model) -> Model:
    names, copies = Names(), {}

    def replace(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        if id(layer) not in copies:
            copies[id(layer)] = (layer, copy_layer(layer, names.unique(layer.name)))
        return copies[id(layer)][1](*args, **kwargs)

    copied = _remake(model, replace, names)
    for source, target in copies.values():
        copy_state(source, target)
        copy_trainable(source, target)
    return copied


def rebuilt(layer: Layer, options: Mapping[str, Any]) -> Layer:
    """A layer of the same class and options, but for `options` (a name among them)."""
    return copy_layer(layer, options.get("name"), options=options)
