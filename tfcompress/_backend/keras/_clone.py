"""Copies of models in their own Keras, and trained weights brought back from the flat tf_keras model."""

from tfcompress._backend.keras._copy import copy_layer, copy_operation
from tfcompress._backend.keras._flavour import flavour, from_keras, graph_of, is_layer, package_of, require_graph
from tfcompress._backend.keras._graph import flat_inputs, input_names, leaf_layers, replay, structure_of
from tfcompress._backend.keras._state import copy_state, copy_trainable, get_state, set_state
from tfcompress.core._errors import ModelError


def clone(model):
    """A copy of `model` in its own Keras: nesting, names, weights, trainable flags, compile state; nothing shared.

    The optimizer starts anew with the hyper-parameters it has now. A model with layers of the user's own classes is proven
    equal on random input; ModelError if a layer cannot be rebuilt.
    """
    from tfcompress._backend.keras._compile import carry_compile

    require_graph(model)
    copied = copy_graph(model)
    if not all(from_keras(type(layer)) for layer in leaf_layers(model)):
        _prove(model, copied)
    carry_compile(model, copied)
    return copied


def restore(model, like):
    """A fresh copy of `like` (its Keras, nesting and names) with the weights of `model`.

    model: the flat tf_keras model that came from `to_tf_keras(like)`, trained and stripped of wrappers. Layers are paired by the
    names that to_tf_keras gives, so two nested models may use one name. The result is proven to give `model`'s outputs on
    random input; ModelError if weights are missing or do not fit.
    """
    from tfcompress._backend.keras._bridge import target_names
    from tfcompress._backend.keras._compile import carry_compile

    require_graph(model)
    require_graph(like)
    by_name = {layer.name: layer for layer in leaf_layers(model)}
    sources = leaf_layers(like)
    weighted = [layer for layer in sources if layer.weights and type(layer).__name__ != "Normalization"]
    plans = [target_names(like, split) for split in (False, True)]
    missing = [[name for layer in weighted for name in plan[id(layer)] if name not in by_name] for plan in plans]
    # An activation split off has no weights: only parts that hold weights must be there.
    missing = [[name for name in names if not name.endswith("_act")] for names in missing]
    if all(missing):
        raise ModelError(
            f"The weights of model {model.name!r} do not belong to {like.name!r}: it has no layer {', '.join(map(repr, missing[0][:5]))}. "
            "Give the model that came from it, stripped of all wrappers."
        )
    plan = plans[0] if not missing[0] else plans[1]
    restored = copy_graph(like)
    for source, target in zip(sources, leaf_layers(restored)):
        if source in weighted:
            carried = [by_name[name] for name in plan[id(source)] if name in by_name]
            try:
                set_state([target], get_state(carried))
            except ValueError as error:
                raise ModelError(
                    f"{type(target).__name__} layer {target.name!r} of {like.name!r} cannot take the trained weights: {error}."
                ) from error
    _prove(model, restored)
    carry_compile(like, restored)
    return restored


def _prove(model, copied):
    from tfcompress._backend.keras._prove import Sample, unequal

    wrong = Sample(model).difference(copied)
    if wrong is not None:
        raise unequal(model, wrong, None)


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
    from tfcompress._backend.keras._bridge import pack

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

    inputs = [_input(package, tensor, name) for tensor, name in zip(graph_of(model).inputs, input_names(model))]
    outputs = replay(model, inputs, call)
    shapes = structure_of(model)
    return package.Model(pack(shapes[0], inputs), pack(shapes[1], outputs), name=model.name)


def _input(package, tensor, name):
    shape, dtype = tuple(tensor.shape), getattr(tensor.dtype, "name", tensor.dtype)
    flags = {"sparse": True} if getattr(tensor, "sparse", False) or type(tensor).__name__.startswith("Sparse") else {}
    if getattr(tensor, "ragged", False) or type(tensor).__name__.startswith("Ragged"):
        flags["ragged"] = True
    return package.Input(shape=shape[1:], batch_size=shape[0], dtype=dtype, name=name, **flags)
