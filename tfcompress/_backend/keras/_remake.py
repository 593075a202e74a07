"""A new model over the same graph with other layers in it: inputs, nesting of inputs and outputs, and names are the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfcompress._backend.graph._flavour import package_of
from tfcompress._backend.graph._run import run_graph


class Names:
    """Hands out each layer name once; nested models that are inlined may hold one twice."""

    def __init__(self):
        self.given: set[str] = set()

    def unique(self, name: str) -> str:
        """`name`, or `name_1`, `name_2`, … if it is taken."""
        found, number = name, 0
        while found in self.given:
            number += 1
            found = f"{name}_{number}"
        self.given.add(found)
        return found


def remake(model: Any, call: Callable[[Any, tuple, dict, tuple], Any], names: Names) -> Any:
    """The model that comes out when `call(layer, args, kwargs, shapes)` gives the tensor in the place of every layer's output.

    `model` is of either Keras and stays as it is; the new one is flat and uncompiled.
    """
    kit = package_of(model)
    graph = getattr(model, "_functional", None) or model
    inputs = []
    for tensor in graph.inputs:
        dtype = getattr(tensor.dtype, "name", tensor.dtype)
        inputs.append(
            kit.Input(
                batch_shape=tuple(tensor.shape), dtype=dtype, name=names.unique(_input_name(tensor))
            )
        )
    outputs = run_graph(model, inputs, call)
    return kit.Model(
        *(
            _packed(kit, graph, kind, flat)
            for kind, flat in (("inputs", inputs), ("outputs", outputs))
        ),
        name=model.name,
    )


def rebuilt(layer: Any, config: dict) -> Any:
    """A layer of the same class with other options."""
    if type(layer).__name__ == "Lambda":  # its function is no data, so it is handed on
        return type(layer)(layer.function, arguments=layer.arguments, name=config["name"])
    return type(layer).from_config(config)


def _input_name(tensor: Any) -> str:
    history = getattr(tensor, "_keras_history", None)
    return history.operation.name if hasattr(history, "operation") else history.layer.name


def _packed(kit: Any, graph: Any, kind: str, flat: list) -> Any:
    if kit.__name__.startswith("tf_keras"):
        import tensorflow as tf

        return tf.nest.pack_sequence_as(getattr(graph, f"_nested_{kind}"), flat)
    return kit.tree.pack_sequence_as(getattr(graph, f"_{kind}_struct"), flat)
