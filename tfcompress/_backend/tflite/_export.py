"""A model of either Keras as one concrete function of batch 1, for the converter to read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress._backend.graph._walk import ModelGraph, maker_of, pack
from tfcompress._backend.quiet import quiet
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._rebuild import is_recurrent
from tfcompress._backend.tflite._scopes import Scopes
from tfcompress.core._errors import ConversionError
from tfcompress.core._types import Model, Tensor

Shape = tuple[int, ...]

LARGE = 2**21
"""Parameters from which memory counts more than a quick start: 8 MiB in float32."""


@dataclass(frozen=True)
class Exported:
    """A model as one concrete function of batch 1; `like` is the user's own model.

    `inputs` and `outputs` are the names that the file gets for them, in the model's order;
    `holder` keeps the function's variables alive. Where the model goes `through_a_file`, the
    converter writes a temporary SavedModel and reads the weights from there; inputs and outputs
    are known by name alone.
    """

    model: Model
    like: Model
    function: object
    holder: object
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    through_a_file: bool = False

    @cached_property
    def ops(self) -> tuple[tuple[str, str], ...]:
        """(type, name) of every operation, those in called functions too."""
        graph = self.function.graph.as_graph_def()  # type: ignore[attr-defined]
        nodes = list(graph.node)
        for function in graph.library.function:
            nodes += function.node_def
        return tuple((node.op, node.name) for node in nodes)

    @cached_property
    def _scopes(self) -> Scopes:
        return Scopes(self.model, self.like, [name for _, name in self.ops])

    @cached_property
    def _guesses(self) -> LayerNames:
        return LayerNames(self.like)

    def find_layer(self, *names: str) -> str:
        """The user's layer that the first known of these operators or tensors belongs to, or ""."""
        return self._scopes.find(*names) or self._guesses.find(*names)


def export(
    model: Model, like: Model, shapes: Sequence[Shape] | None = None, *, fusing: bool = False
) -> Exported:
    """`model` as a function of its inputs [1, ...] under the names that the user's `like` has.

    Inputs and outputs keep the model's own order, and outputs are named after their layers.

    Args:
        model: what is written, `like` itself or a copy of it.
        like: the user's model.
        shapes: [n, ...] of each input; they settle dimensions that the model leaves open.
        fusing: keep the functions that tf_keras marks for the converter's fused operators.

    Raises ConversionError where a dimension stays unknown.
    """
    import tensorflow as tf

    specs = _specs(like, shapes)
    inputs = tuple(spec.name for spec in specs)
    outputs = _output_names(like, set(inputs))

    def call(*tensors: Tensor) -> list[Tensor]:
        packed = pack(ModelGraph(model).input_structure, list(tensors))
        results = tf.nest.flatten(model(packed, training=False))
        named.extend(tf.identity(result, name=name) for result, name in zip(results, outputs))
        return named

    named: list[Tensor] = []
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if fusing:
            function = tf.function(call).get_concrete_function(*specs)
            return Exported(model, like, function, model, inputs, outputs, True)
        # A plain tf.function calls every output "Identity"; pruning a wrapped one to named
        # operations keeps the names.
        holder = tf.compat.v1.wrap_function(call, specs)
        function = holder.prune(holder.inputs[: len(specs)], named)
        through_a_file = _goes_through_a_file(like)
        if through_a_file:
            holder = _as_module(function)
    return Exported(model, like, function, holder, inputs, outputs, through_a_file)


def _goes_through_a_file(model: Model) -> bool:
    """Whether the converter gets a SavedModel: a graph with the weights in it takes ten times
    their memory. It would fuse LSTMs there, whose state outlives a run of the file."""
    if model.count_params() < LARGE:
        return False
    return not any(is_recurrent(layer) for layer in doors.leaf_layers(model))


def _as_module(function: Any) -> object:
    """A tf.Module that holds the variables of a concrete function."""
    import tensorflow as tf

    module: Any = tf.Module()
    module.kept = list(function.graph.variables)
    return module


def _specs(like: Model, shapes: Sequence[Shape] | None) -> list[Tensor]:
    """A TensorSpec of batch 1 for each input of the user's model."""
    import tensorflow as tf

    specs = []
    for number, (name, shape, dtype) in enumerate(doors.input_specs(like)):
        known = tuple(shapes[number][1:]) if shapes is not None else shape[1:]
        if None in known:
            raise ConversionError(
                f"Input {name!r} has the open shape {shape}: a .tflite is written for one. Pass"
                " samples of the size wanted, or give the model an Input of fixed shape."
            )
        specs.append(tf.TensorSpec((1, *known), dtype, name=_op_name(name)))
    return specs


def _output_names(model: Model, taken: set[str]) -> tuple[str, ...]:
    """The layer that each output comes from, numbered where one gives two."""
    tensors = ModelGraph(model).outputs
    count = len(tensors)
    names = getattr(model, "output_names", None) or [maker_of(tensor).name for tensor in tensors]
    if len(names) != count:
        return tuple(f"output_{number}" for number in range(count))
    users = LayerNames(model)
    return tuple(_unique([users.find(name) or name for name in names], taken))


def _unique(names: Iterable[str], taken: set[str]) -> list[str]:
    unique: list[str] = []
    for name in map(_op_name, names):
        number, candidate = 0, name
        while candidate in taken or candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _op_name(name: str) -> str:
    """`name` with what TensorFlow does not allow in an operation's name replaced by `_`."""
    return re.sub(r"^[^A-Za-z0-9.]+", "", re.sub(r"[^A-Za-z0-9_.\-]", "_", name)) or "x"
