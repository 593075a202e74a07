"""Copies of single layers and operations in their own Keras: same options, no shared variables."""

import copy

from tfcompress._backend.graph._flavour import flavour, from_keras, graph_of, is_layer, package_of
from tfcompress._backend.graph._walk import (
    flat_inputs,
    input_names,
    leaf_layers,
    pack,
    replay,
    structure_of,
)
from tfcompress._backend.keras._state import copy_state, copy_trainable
from tfcompress.core._errors import ModelError

_CALLABLE = ("activation", "_regularizer", "_constraint")
_OP_LAYERS = {
    "TFOpLambda": ("function",),
    "SlicingOpLambda": ("function",),
    "ClassMethod": ("cls_ref", "method_name"),
    "InstanceProperty": ("attr_name",),
    "InstanceMethod": ("attr_name",),
}


def copy_layer(layer, name=None, function=None):
    """A new, unbuilt layer of the same class and options; ModelError if the layer cannot be rebuilt from its options.

    function: what to put in the place of an activation function, given that function.
    """
    return maker(layer, function)(name)


def maker(layer, function=None):
    """A function `make(name=None) -> layer` that builds copies of `layer` and holds none of its weights."""
    cls, own_name = type(layer), layer.name
    if cls is package_of(layer).layers.Lambda:
        fields = (layer.function, layer._output_shape, layer.mask, dict(layer.arguments))
        common = {"dtype": layer.dtype_policy, "trainable": layer.trainable}
        return lambda name=None: cls(*fields, name=name or own_name, **common)
    if cls.__name__ in _OP_LAYERS and from_keras(cls):
        fields = [getattr(layer, attribute) for attribute in _OP_LAYERS[cls.__name__]]
        return lambda name=None: cls(*fields, name=name or own_name)
    if graph_of(getattr(layer, "layer", None)) is not None:
        return _model_wrapper(layer)
    return _from_config(layer, function)


def _from_config(layer, function):
    cls, own_name, config, inner = type(layer), layer.name, config_of(layer), {}
    scope = _scope(layer)
    for key in config:
        own = getattr(layer, key, None) if key.endswith(_CALLABLE) else None
        if is_layer(own):
            inner[key] = maker(own)
        elif callable(own):
            config[key] = (
                function(own) if function is not None and key.endswith("activation") else own
            )

    def make(name=None):
        fresh = {
            **map_leaves(config, lambda leaf: leaf),
            **{key: build() for key, build in inner.items()},
        }
        if "name" in fresh:
            fresh["name"] = name or own_name
        try:
            with scope():
                made = cls.from_config(fresh)
        except Exception as error:
            raise ModelError(
                f"{cls.__name__} layer {own_name!r} cannot be rebuilt from its get_config(): {first_line(error)} "
                "Let get_config() return every argument that __init__ takes."
            ) from error
        if made.name != (name or own_name):
            setattr(made, "name" if flavour(made) == "keras" else "_name", name or own_name)
        return made

    return make


def _model_wrapper(layer):
    """Wrappers of a whole model (TimeDistributed): the model inside is cloned node by node, not by its config."""
    cls, own_name, config = type(layer), layer.name, config_of(layer)
    config.pop("layer")
    inner = layer.layer
    return lambda name=None: cls(copy_graph(inner), **{**config, "name": name or own_name})


def config_of(layer):
    """The options of `layer` as a dict; ModelError where its class does not tell them."""
    try:
        return dict(layer.get_config())
    except NotImplementedError as error:
        raise ModelError(
            f"{type(layer).__name__} layer {layer.name!r} has no get_config(): it cannot be copied. "
            "Give the class a get_config() that returns every argument that __init__ takes."
        ) from error


def copy_operation(operation):
    """A copy of a Keras 3 Operation that is part of no graph."""
    made = copy.copy(operation)
    made._inbound_nodes, made._outbound_nodes = [], []
    return made


def map_leaves(structure, function):
    """Map `function` over the leaves of nested lists, tuples, dicts and slices; containers are new."""
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_leaves(item, function) for item in structure))
    if isinstance(structure, (list, tuple)):
        return (tuple if isinstance(structure, tuple) else list)(
            map_leaves(item, function) for item in structure
        )
    if isinstance(structure, dict):
        return {key: map_leaves(item, function) for key, item in structure.items()}
    if isinstance(structure, slice):
        return slice(
            *(
                map_leaves(item, function)
                for item in (structure.start, structure.stop, structure.step)
            )
        )
    return function(structure)


def first_line(error):
    """The first line of an exception's message, with its type."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300] if text else ''}"


def _scope(layer):
    """Custom-object scope of the user's classes and functions in `layer` and the layers inside it, registered or not."""
    package, found = package_of(layer), {}
    for part in layer._flatten_layers():
        candidates = [
            type(part),
            *(
                value
                for value in list(vars(part).values())
                if callable(value) and hasattr(value, "__name__")
            ),
        ]
        found.update((thing.__name__, thing) for thing in candidates if not from_keras(thing))
    if package.__name__ == "keras":
        return lambda: package.saving.custom_object_scope(found)
    if type(layer).__module__.startswith("tensorflow_model_optimization"):
        from tfcompress._backend.tfmot._quantizing import quantize_scope

        return quantize_scope
    return lambda: package.utils.custom_object_scope(found)


def copy_graph(model, made=None):
    """`clone` without compile state and proof; `made` maps ids of layers and nested models to their copies."""
    made = {} if made is None else made
    package = package_of(model)
    if isinstance(model, package.Sequential):
        copied = _copy_sequential(model, package, made)
    else:
        copied = _copy_functional(model, package, made)
    made[id(model)] = copied
    if not model.trainable:
        copied.trainable = False
    for layer in leaf_layers(model):
        copy_trainable(layer, made[id(layer)])
    return copied


def _copy(op, made):
    """The copy of a layer, nested model or operation, made at its first use."""
    if id(op) not in made:
        if graph_of(op) is not None:
            made[id(op)] = copy_graph(op, made)
        else:
            made[id(op)] = copy_layer(op) if is_layer(op) else copy_operation(op)
    return made[id(op)]


def _copy_sequential(model, package, made):
    tensor, name = graph_of(model).inputs[0], input_names(model)[0]
    layers = [_copy(layer, made) for layer in model.layers]
    copied = package.Sequential([_input(package, tensor, name), *layers], name=model.name)
    for layer in model.layers:
        if graph_of(layer) is None:
            copy_state(layer, made[id(layer)])
    return copied


def _copy_functional(model, package, made):
    def call(op, args, kwargs, node):
        new = id(op) not in made
        copied = _copy(op, made)
        if graph_of(op) is not None:
            first = pack(structure_of(op)[0], flat_inputs(op, args[0]))
            outputs = copied(first, *args[1:], **kwargs)
        else:
            outputs = copied(*args, **kwargs)
        if new and is_layer(op) and graph_of(op) is None:
            copy_state(op, copied)
        return outputs

    inputs = [
        _input(package, tensor, name)
        for tensor, name in zip(graph_of(model).inputs, input_names(model))
    ]
    outputs = replay(model, inputs, call)
    shapes = structure_of(model)
    return package.Model(pack(shapes[0], inputs), pack(shapes[1], outputs), name=model.name)


def _input(package, tensor, name):
    shape, dtype = tuple(tensor.shape), getattr(tensor.dtype, "name", tensor.dtype)
    flags = (
        {"sparse": True}
        if getattr(tensor, "sparse", False) or type(tensor).__name__.startswith("Sparse")
        else {}
    )
    if getattr(tensor, "ragged", False) or type(tensor).__name__.startswith("Ragged"):
        flags["ragged"] = True
    return package.Input(shape=shape[1:], batch_size=shape[0], dtype=dtype, name=name, **flags)
