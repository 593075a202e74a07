"""A graph of either Keras → a new tf_keras Functional model: outputs, weights, names, flags."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tfcompress._backend.bridge._compile import carry_compile
from tfcompress._backend.bridge._ops import carry_operation, carry_tf_operation
from tfcompress._backend.bridge._split import parts, target_names
from tfcompress._backend.graph._flavour import flavour, graph_of, is_layer, require_graph
from tfcompress._backend.graph._walk import GraphCall, ModelGraph, given_to, pack
from tfcompress._backend.keras._copy import config_of, copy_layer, first_line, input_like
from tfcompress._backend.keras._prove import Sample, unequal
from tfcompress._backend.keras._state import copy_trainable, transfer
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer, Model, Tensor

_TF_OPERATIONS = (
    "TFOpLambda",
    "SlicingOpLambda",
    "ClassMethod",
    "InstanceMethod",
    "InstanceProperty",
)


def to_tf_keras(model: Model, *, flatten: bool = True, split: bool = False) -> Model:
    """A new tf_keras Functional model that computes what `model` computes, compiled like it.

    model: of either Keras. flatten: nested models are laid flat. split: layers that TFMOT cannot
    quantize whole come in parts (a SeparableConv2D as depthwise + pointwise, a convolution or Dense
    with another activation as layer + Activation).

    The outputs are proven equal on random input, max|a − b| ≤ 1e-4 · max|a| + 1e-6 (2e-2 with
    half-precision layers); where a layer's tf_keras twin differs, the Keras 3 layer itself is
    wrapped. Raises ModelError naming a layer that cannot be carried.
    """
    require_graph(model)
    sample, wrap = Sample(model), set()
    while True:
        carried = carry(model, flatten=flatten, split=split, wrap=wrap)
        wrong = sample.difference(carried)
        if wrong is None:
            break
        culprit = wrong.culprit(functools.partial(target_names, split=split)) if flatten else None
        can_wrap = culprit is not None and id(culprit) not in wrap and is_layer(culprit)
        if not can_wrap or flavour(model) != "keras":
            raise unequal(model, wrong, culprit)
        wrap.add(id(culprit))
    carry_compile(model, carried)
    return carried


def carry(model: Model, *, flatten: bool, split: bool = False, wrap: Collection[int] = ()) -> Model:
    """`to_tf_keras` without proof and compile state; layers whose id is in `wrap` are wrapped."""
    return _Carrier(split, wrap, flatten).model(model)


class _Carrier:
    """One walk over the graph.

    carried: from the id of each layer, operation and nested model to (it, what it became).
    """

    def __init__(
        self,
        split: bool,
        wrap: Collection[int],
        is_flat: bool,
        carried: dict[int, tuple[Layer, list[Layer]]] | None = None,
    ):
        self.split, self.wrap, self.is_flat = split, wrap, is_flat
        self.carried = {} if carried is None else carried
        self.frozen: set[int] = set()
        self.names: dict[int, list[str]] = {}
        self.losses: list[Callable[[Model], None]] = []

    def model(self, model: Model) -> Model:
        import tf_keras

        graph = ModelGraph(model)
        self.names, self.losses = target_names(model, self.split), []
        if self.is_flat:
            for inner in graph.models():
                if not inner.trainable:
                    self.frozen.update(id(layer) for layer in inner._flatten_layers())
        inputs = [
            input_like(tf_keras, tensor, name)
            for tensor, name in zip(graph.inputs, graph.input_names)
        ]
        outputs = graph.run(inputs, self.visit, None if self.is_flat else self.nested)
        twin = tf_keras.Model(
            pack(graph.input_structure, inputs),
            pack(graph.output_structure, outputs),
            name=model.name,
        )
        for add in self.losses:
            add(twin)
        if not model.trainable and not self.is_flat:
            twin.trainable = False
        for layer, layers in list(self.carried.values()):
            if is_layer(layer) and graph_of(layer) is None:
                _copy_flags(layer, layers, id(layer) in self.frozen)
        return twin

    def nested(self, call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A nested model that stays one: carried at its first call, then called."""
        kwargs = _without_overridden(call, kwargs)
        if id(call.op) not in self.carried:
            inside = _Carrier(self.split, self.wrap, False, self.carried)
            self.carried[id(call.op)] = (call.op, [inside.model(call.op)])
        inner = ModelGraph(call.op)
        given = pack(inner.input_structure, inner.flat_inputs(given_to(args, kwargs)))
        kwargs.pop("inputs", None)
        return self.carried[id(call.op)][1][0](given, **kwargs)

    def visit(self, call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
        op, kwargs = call.op, _without_overridden(call, kwargs)
        if id(op) not in self.carried:
            return self.first_call(op, args, kwargs)
        layers = self.carried[id(op)][1]
        if not is_layer(op) or _is_tf_operation(op):
            from tfcompress._backend.bridge._wrapped import template

            tensors = template((args, kwargs))[1]
            return layers[0](tensors if len(tensors) > 1 else tensors[0])
        return _run(layers, args, kwargs)

    def first_call(self, op: Layer, args: tuple, kwargs: dict[str, Any]) -> Any:
        names = self.names[id(op)]
        if type(op).__name__ in ("AddLoss", "AddMetric") and flavour(op) == "tf_keras":
            return self.added_loss(op, args[0])
        if not is_layer(op) or _is_tf_operation(op):
            carry_op = carry_tf_operation if is_layer(op) else carry_operation
            layer, tensors = carry_op(op, args, kwargs, names[0])
            outputs = layer(tensors)
            self.carried[id(op)] = (op, [layer])
            return outputs
        layers, outputs = self.carry_layer(op, names, args, kwargs)
        self.carried[id(op)] = (op, layers)
        return outputs

    def carry_layer(
        self, layer: Layer, names: Sequence[str], args: tuple, kwargs: dict[str, Any]
    ) -> tuple[list[Layer], Any]:
        reason = None
        if id(layer) not in self.wrap:
            try:
                layers = self.twins(layer, names)
                if layers is not None:
                    outputs = _run(layers, args, kwargs)
                    transfer(layer, layers)
                    return layers, outputs
            except Exception as error:
                if isinstance(error, ModelError) or flavour(layer) == "tf_keras":
                    raise _cannot(layer, error) from error
                reason = error
        try:
            wrapped = _wrap(layer, names[0], args, kwargs)
            outputs = wrapped(*args, **kwargs)
            transfer(layer, [wrapped])
        except Exception as error:
            raise _cannot(layer, error, reason) from error
        return [wrapped], outputs

    def twins(self, layer: Layer, names: Sequence[str]) -> list[Layer] | None:
        """The tf_keras layers that do, one after another, what `layer` does; None without any."""
        import tf_keras

        if type(layer) is tf_keras.layers.Lambda:
            from tfcompress._backend.bridge._wrapped import FunctionLayer

            # Its function survives copying.
            options = {"dtype": layer.dtype_policy, "arguments": dict(layer.arguments)}
            return [FunctionLayer(layer.function, layer.mask, name=names[0], **options)]
        is_distributed = type(layer).__name__ == "TimeDistributed" and flavour(layer) == "keras"
        if is_distributed and graph_of(layer.layer) is not None:
            options = {**config_of(layer), "layer": carry(layer.layer, flatten=False)}
            policy = layer.dtype_policy.name
            return [
                tf_keras.layers.TimeDistributed(**{**options, "dtype": policy, "name": names[0]})
            ]
        return parts(layer, names, self.split)

    def added_loss(self, op: Layer, tensor: Tensor) -> Tensor:
        """model.add_loss and add_metric of tf_keras: the same tensor is added to the new model."""
        if type(op).__name__ == "AddLoss":
            self.losses.append(lambda twin: twin.add_loss(tensor))
        else:
            name, aggregation = op.metric_name, op.aggregation
            self.losses.append(
                lambda twin: twin.add_metric(tensor, name=name, aggregation=aggregation)
            )
        return tensor


def _wrap(layer: Layer, name: str, args: tuple, kwargs: dict[str, Any]) -> Layer:
    from tfcompress._backend.bridge._wrapped import Keras3Layer, template

    arguments, policy = template((args, kwargs))[0], layer.dtype_policy.name
    return Keras3Layer(copy_layer(layer), arguments, name=name, dtype=policy)


def _run(layers: Sequence[Layer], args: tuple, kwargs: dict[str, Any]) -> Any:
    outputs = layers[0](*args, **kwargs)
    for layer in layers[1:]:
        outputs = layer(outputs)
    return outputs


def _is_tf_operation(op: Layer) -> bool:
    return type(op).__name__ in _TF_OPERATIONS and flavour(op) == "tf_keras"


def _without_overridden(call: GraphCall, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keras 3 overrides the `training` that a model recorded when it fits or predicts."""
    if not is_layer(call.op) or flavour(call.op) != "keras":
        return kwargs
    return {key: value for key, value in kwargs.items() if key != "training"}


def _copy_flags(layer: Layer, layers: Sequence[Layer], is_frozen: bool) -> None:
    for part in layers:
        if len(layers) == 1:
            copy_trainable(layer, part)
        elif not layer.trainable:
            part.trainable = False
        if is_frozen:
            part.trainable = False


def _cannot(layer: Layer, error: Exception, reason: Exception | None = None) -> ModelError:
    if isinstance(error, ModelError):
        return error
    why = first_line(error).rstrip(".")
    if reason is not None:
        why += f" (as a tf_keras layer: {first_line(reason).rstrip('.')})"
    return ModelError(
        f"{type(layer).__name__} layer {layer.name!r} cannot be carried over to tf_keras: {why}. "
        "Replace the layer, or give its class a get_config() and a build() that rebuild it, and "
        "use only operations that run on TensorFlow tensors."
    )
