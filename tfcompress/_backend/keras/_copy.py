"""Copies of layers, operations and graphs in their own Keras: same options, nothing shared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from tfcompress._backend.graph._flavour import flavour, from_keras, graph_of, is_layer, package_of
from tfcompress._backend.graph._walk import (
    GraphCall,
    ModelGraph,
    given_to,
    leaf_layers,
    map_leaves,
    pack,
)
from tfcompress._backend.keras._state import copy_state, copy_trainable
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer, Model, Tensor

Make = Callable[..., Layer]
Replace = Callable[[Any], Any]

_CALLABLE = ("activation", "_regularizer", "_constraint")
_OP_LAYERS = {
    "TFOpLambda": ("function",),
    "SlicingOpLambda": ("function",),
    "ClassMethod": ("cls_ref", "method_name"),
    "InstanceProperty": ("attr_name",),
    "InstanceMethod": ("attr_name",),
}


def copy_layer(
    layer: Layer,
    name: str | None = None,
    function: Replace | None = None,
    options: Mapping[str, Any] | None = None,
) -> Layer:
    """A new, unbuilt layer of the same class and options.

    function: what to put in the place of an activation function, given that function.
    options: entries of the configuration that are to be others. Raises ModelError if the layer
    cannot be rebuilt from its options.
    """
    return maker(layer, function, options or {})(name)


def maker(
    layer: Layer, function: Replace | None = None, options: Mapping[str, Any] | None = None
) -> Make:
    """A function `make(name=None) -> layer` that builds copies and holds no weights of `layer`."""
    cls, own_name = type(layer), layer.name
    if cls is package_of(layer).layers.Lambda:
        fields = (layer.function, layer._output_shape, layer.mask, dict(layer.arguments))
        common = {"dtype": layer.dtype_policy, "trainable": layer.trainable}
        return lambda name=None: cls(*fields, name=name or own_name, **common)
    if cls.__name__ in _OP_LAYERS and from_keras(cls):
        fields = tuple(getattr(layer, attribute) for attribute in _OP_LAYERS[cls.__name__])
        return lambda name=None: cls(*fields, name=name or own_name)
    if graph_of(getattr(layer, "layer", None)) is not None:
        return _model_wrapper(layer)
    return _from_config(layer, function, options or {})


def _from_config(layer: Layer, function: Replace | None, options: Mapping[str, Any]) -> Make:
    cls, own_name, scope = type(layer), layer.name, _scope(layer)
    config, inner = _live_config(layer, function, options)

    def make(name: str | None = None) -> Layer:
        fresh = map_leaves(config, lambda leaf: leaf)
        for key, make_inner in inner.items():
            fresh[key] = make_inner()
        if "name" in fresh:
            fresh["name"] = name or own_name
        try:
            with scope():
                copied = cls.from_config(fresh)
        except Exception as error:
            raise ModelError(
                f"{cls.__name__} layer {own_name!r} cannot be rebuilt from its get_config(): "
                f"{first_line(error)} Let get_config() return every argument that __init__ takes."
            ) from error
        if copied.name != (name or own_name):
            setattr(copied, "name" if flavour(copied) == "keras" else "_name", name or own_name)
        return copied

    return make


def _live_config(
    layer: Layer, function: Replace | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Make]]:
    """The configuration with the layer's own functions in it, and makers of the layers in it."""
    config = config_of(layer)
    other = {key: value for key, value in options.items() if not _same(config.get(key), value)}
    inner: dict[str, Make] = {}
    for key in config:
        own = getattr(layer, key, None) if key.endswith(_CALLABLE) else None
        if key in other:
            continue
        if is_layer(own):
            inner[key] = maker(own)
        elif callable(own):
            is_replaced = function is not None and key.endswith("activation")
            config[key] = function(own) if function and is_replaced else own
    return {**config, **other}, inner


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays
        return one is other


def _model_wrapper(layer: Layer) -> Make:
    """Wrappers of a whole model (TimeDistributed): the model inside is copied call by call."""
    cls, own_name, config = type(layer), layer.name, config_of(layer)
    config.pop("layer")
    inner = layer.layer
    return lambda name=None: cls(copy_graph(inner), **{**config, "name": name or own_name})


def config_of(layer: Layer) -> dict[str, Any]:
    """The options of `layer` as a dict; ModelError where its class does not tell them."""
    try:
        return dict(layer.get_config())
    except NotImplementedError as error:
        raise ModelError(
            f"{type(layer).__name__} layer {layer.name!r} has no get_config(): it cannot be "
            "copied. Give the class a get_config() that returns every argument that __init__ takes."
        ) from error


def copy_operation(operation: Layer) -> Layer:
    """A copy of a Keras 3 Operation that is part of no graph."""
    copied = copy.copy(operation)
    copied._inbound_nodes, copied._outbound_nodes = [], []
    return copied


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, with its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"


def _scope(layer: Layer) -> Callable[[], AbstractContextManager[Any]]:
    """Custom-object scope of the user's classes and functions in `layer` and the layers inside."""
    package, custom = package_of(layer), {}
    for part in layer._flatten_layers():
        named = [value for value in list(vars(part).values()) if hasattr(value, "__name__")]
        functions = [value for value in named if callable(value)]
        for thing in (type(part), *functions):
            if not from_keras(thing):
                custom[thing.__name__] = thing
    if package.__name__ == "keras":
        return lambda: package.saving.custom_object_scope(custom)
    if type(layer).__module__.startswith("tensorflow_model_optimization"):
        from tfcompress._backend.tfmot._quantizing import quantize_scope

        return quantize_scope
    return lambda: package.utils.custom_object_scope(custom)


def copy_graph(model: Model, copies: dict[int, Layer] | None = None) -> Model:
    """A copy of `model` with its nesting, names, weights and flags; without compile state.

    copies: from the ids of layers and nested models to what stands for them in the copy; what is
    in it already is used, the rest is added.
    """
    copies = {} if copies is None else copies
    package = package_of(model)
    is_sequential = isinstance(model, package.Sequential)
    copied = (_copy_sequential if is_sequential else _copy_functional)(model, package, copies)
    copies[id(model)] = copied
    if not model.trainable:
        copied.trainable = False
    for layer in leaf_layers(model):
        copy_trainable(layer, copies[id(layer)])
    return copied


def _copy(op: Layer, copies: dict[int, Layer]) -> Layer:
    """The copy of a layer, nested model or operation, made at its first use."""
    if id(op) not in copies:
        if graph_of(op) is not None:
            copies[id(op)] = copy_graph(op, copies)
        else:
            copies[id(op)] = copy_layer(op) if is_layer(op) else copy_operation(op)
    return copies[id(op)]


def _copy_sequential(model: Model, package: Any, copies: dict[int, Layer]) -> Model:
    graph = ModelGraph(model)
    first = input_like(package, graph.inputs[0], graph.input_names[0])
    copied = package.Sequential(
        [first, *(_copy(layer, copies) for layer in model.layers)], name=model.name
    )
    for layer in model.layers:
        if graph_of(layer) is None:
            copy_state(layer, copies[id(layer)])
    return copied


def _copy_functional(model: Model, package: Any, copies: dict[int, Layer]) -> Model:
    graph = ModelGraph(model)

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
        is_new = id(call.op) not in copies
        copied = _copy(call.op, copies)
        outputs = copied(*args, **kwargs)
        if is_new and is_layer(call.op):
            copy_state(call.op, copied)
        return outputs

    def nested(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> Any:
        inner = graph.inside(call)
        given = pack(inner.input_structure, inner.flat_inputs(given_to(args, kwargs)))
        kwargs.pop("inputs", None)
        return _copy(call.op, copies)(given, *args[1:], **kwargs)

    inputs = [
        input_like(package, tensor, name) for tensor, name in zip(graph.inputs, graph.input_names)
    ]
    outputs = graph.run(inputs, visit, nested)
    return package.Model(
        pack(graph.input_structure, inputs), pack(graph.output_structure, outputs), name=model.name
    )


def input_like(package: Any, tensor: Tensor, name: str) -> Tensor:
    """A new `Input` of the package with the shape, dtype and kind of a symbolic input tensor."""
    kind = type(tensor).__name__
    is_sparse = bool(getattr(tensor, "sparse", False)) or kind.startswith("Sparse")
    is_ragged = bool(getattr(tensor, "ragged", False)) or kind.startswith("Ragged")
    flags = {key: True for key, flag in (("sparse", is_sparse), ("ragged", is_ragged)) if flag}
    shape, dtype = tuple(tensor.shape), getattr(tensor.dtype, "name", tensor.dtype)
    return package.Input(shape=shape[1:], batch_size=shape[0], dtype=dtype, name=name, **flags)
