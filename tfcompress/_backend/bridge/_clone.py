"""Copies of models in their own Keras, and trained weights brought back from the flat tf_keras model."""

from tfcompress._backend.graph._flavour import from_keras, require_graph
from tfcompress._backend.graph._walk import leaf_layers
from tfcompress._backend.keras._copy import copy_graph
from tfcompress._backend.keras._state import get_state, set_state
from tfcompress.core._errors import ModelError


def clone(model):
    """A copy of `model` in its own Keras: nesting, names, weights, trainable flags, compile state; nothing shared.

    The optimizer starts anew with the hyper-parameters it has now. A model with layers of the user's own classes is proven
    equal on random input; ModelError if a layer cannot be rebuilt.
    """
    from tfcompress._backend.bridge._compile import carry_compile

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
    from tfcompress._backend.bridge._compile import carry_compile
    from tfcompress._backend.bridge._split import target_names

    require_graph(model)
    require_graph(like)
    by_name = {layer.name: layer for layer in leaf_layers(model)}
    sources = leaf_layers(like)
    weighted = [
        layer for layer in sources if layer.weights and type(layer).__name__ != "Normalization"
    ]
    plans = [target_names(like, split) for split in (False, True)]
    missing = [
        [name for layer in weighted for name in plan[id(layer)] if name not in by_name]
        for plan in plans
    ]
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
