"""Copies of single layers and operations in their own Keras: same options, no shared variables."""

import copy

from tfcompress._backend.keras._flavour import flavour, from_keras, graph_of, is_layer, package_of
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
            config[key] = function(own) if function is not None and key.endswith("activation") else own

    def make(name=None):
        fresh = {**map_leaves(config, lambda leaf: leaf), **{key: build() for key, build in inner.items()}}
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
    from tfcompress._backend.keras._clone import copy_graph

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
        return (tuple if isinstance(structure, tuple) else list)(map_leaves(item, function) for item in structure)
    if isinstance(structure, dict):
        return {key: map_leaves(item, function) for key, item in structure.items()}
    if isinstance(structure, slice):
        return slice(*(map_leaves(item, function) for item in (structure.start, structure.stop, structure.step)))
    return function(structure)


def first_line(error):
    """The first line of an exception's message, with its type."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300] if text else ''}"


def quantize_scope():
    """TFMOT's own scope: its wrappers name quantizers that no registry knows."""
    from tfcompress._backend import tfmot

    return tfmot.quantize_scope()


def _scope(layer):
    """Custom-object scope of the user's classes and functions in `layer` and the layers inside it, registered or not."""
    package, found = package_of(layer), {}
    for part in layer._flatten_layers():
        candidates = [type(part), *(value for value in list(vars(part).values()) if callable(value) and hasattr(value, "__name__"))]
        found.update((thing.__name__, thing) for thing in candidates if not from_keras(thing))
    if package.__name__ == "keras":
        return lambda: package.saving.custom_object_scope(found)
    if type(layer).__module__.startswith("tensorflow_model_optimization"):
        return quantize_scope
    return lambda: package.utils.custom_object_scope(found)
