"""A model of either Keras as one concrete function of batch 1, under the user's names, for the converter to read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress._backend.quiet import quiet
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress.core._errors import ConversionError


@dataclass(frozen=True)
class Exported:
    """A model as one concrete function of batch 1; `holder` keeps its variables alive."""

    model: Any
    function: Any
    holder: Any

    @property
    def ops(self) -> Iterable[tuple[str, str]]:
        """(type, name) of every operation, those in called functions too."""
        graph = self.function.graph.as_graph_def()
        yield from ((node.op, node.name) for node in graph.node)
        yield from (
            (node.op, node.name)
            for function in graph.library.function
            for node in function.node_def
        )


def export(model: Any, like: Any, shapes: Sequence[tuple[int, ...]] | None = None) -> Exported:
    """`model` as a function of its inputs, each [1, ...], with the input names and output layers' names of `like`, the user's own.

    The inputs and outputs keep the model's own order. Dimensions that the model leaves open are taken from `shapes` [n, ...].
    Raises ConversionError where they stay unknown.
    """
    import tensorflow as tf

    from tfcompress._backend.graph._walk import ModelGraph, pack

    specs = []
    for number, (name, shape, dtype) in enumerate(doors.input_specs(like)):
        known = tuple(shapes[number][1:]) if shapes is not None else shape[1:]
        if None in known:
            raise ConversionError(
                f"Input {name!r} has the open shape {shape}: a .tflite is written for one. Pass samples of the size wanted, or give the"
                " model an Input of fixed shape."
            )
        specs.append(tf.TensorSpec((1, *known), dtype, name=_op_name(name)))

    def call(*inputs):
        outputs = tf.nest.flatten(
            model(pack(ModelGraph(model).input_structure, list(inputs)), training=False)
        )
        names = _unique(_output_names(like, len(outputs)), {spec.name for spec in specs})
        named.extend(tf.identity(output, name=name) for output, name in zip(outputs, names))
        return named

    named: list = []
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A plain tf.function calls every output "Identity"; pruning a wrapped one to named operations keeps the names.
        holder = tf.compat.v1.wrap_function(call, specs)
        function = holder.prune(holder.inputs[: len(specs)], named)
    return Exported(model, function, holder)


def _output_names(model: Any, count: int) -> list[str]:
    names = getattr(model, "output_names", None) or [
        tensor._keras_history[0].name for tensor in model.outputs
    ]
    users = LayerNames(model)
    return (
        [users.find(name) or name for name in names]
        if len(names) == count
        else [f"output_{i}" for i in range(count)]
    )


def _unique(names: Sequence[str], taken: set[str]) -> list[str]:
    out: list[str] = []
    for name in map(_op_name, names):
        number, candidate = 0, name
        while candidate in taken or candidate in out:
            number += 1
            candidate = f"{name}_{number}"
        out.append(candidate)
    return out


def _op_name(name: str) -> str:
    """`name` with what TensorFlow does not allow in an operation's name replaced by `_`."""
    return re.sub(r"^[^A-Za-z0-9.]+", "", re.sub(r"[^A-Za-z0-9_.\-]", "_", name)) or "x"
