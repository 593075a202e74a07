"""Copies of models in their own Keras, and trained weights brought back from the flat twin."""

from __future__ import annotations

from tfcompress._backend.bridge._compile import carry_compile
from tfcompress._backend.bridge._split import target_names
from tfcompress._backend.graph._flavour import require_graph
from tfcompress._backend.graph._walk import leaf_layers
from tfcompress._backend.keras._copy import copy_graph
from tfcompress._backend.keras._prove import Sample, prove_copy, unequal
from tfcompress._backend.keras._state import get_state, set_state
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer, Model


def clone(model: Model) -> Model:
    """A copy of `model` in its own Keras: nesting, names, weights, flags, compile state.

    Nothing is shared; the optimizer starts anew with the hyper-parameters it has now. The copy is
    proven equal on random input. Raises ModelError if a layer cannot be rebuilt.
    """
    require_graph(model)
    copied = copy_graph(model)
    prove_copy(model, copied)
    carry_compile(model, copied)
    return copied


def restore(model: Model, like: Model) -> Model:
    """A fresh copy of `like` (its Keras, nesting and names) with the weights of `model`.

    model: the flat tf_keras model that came from `to_tf_keras(like)`, trained and stripped of
    wrappers. Layers are paired by the names that to_tf_keras gives, so two nested models may use
    one name. The result is proven to give `model`'s outputs on random input.
    Raises ModelError if weights are missing or do not fit.
    """
    require_graph(model)
    require_graph(like)
    by_name = {layer.name: layer for layer in leaf_layers(model)}
    sources = leaf_layers(like)
    weighted = [layer for layer in sources if _has_trained_weights(layer)]
    names = _plan(model, like, weighted, by_name)
    restored = copy_graph(like)
    for source, target in zip(sources, leaf_layers(restored)):
        if not _has_trained_weights(source):
            continue
        carried = [by_name[name] for name in names[id(source)] if name in by_name]
        try:
            set_state([target], get_state(carried))
        except ValueError as error:
            raise ModelError(
                f"{type(target).__name__} layer {target.name!r} of {like.name!r} cannot take the "
                f"trained weights: {error}."
            ) from error
    wrong = Sample(model).difference(restored)
    if wrong is not None:
        raise unequal(model, wrong, None)
    carry_compile(like, restored)
    return restored


def _has_trained_weights(layer: Layer) -> bool:
    return bool(layer.weights) and type(layer).__name__ != "Normalization"


def _plan(
    model: Model, like: Model, weighted: list[Layer], by_name: dict[str, Layer]
) -> dict[int, list[str]]:
    """The names under which `model` carries the layers of `like`, whole or in parts."""
    first_missing: list[str] = []
    for split in (False, True):
        names = target_names(like, split)
        wanted = [name for layer in weighted for name in names[id(layer)]]
        # An activation split off has no weights: only parts that hold weights must be there.
        missing = [name for name in wanted if name not in by_name and not name.endswith("_act")]
        if not missing:
            return names
        first_missing = first_missing or missing
    raise ModelError(
        f"The weights of model {model.name!r} do not belong to {like.name!r}: it has no layer "
        f"{', '.join(map(repr, first_missing[:5]))}. "
        "Give the model that came from it, stripped of all wrappers."
    )
