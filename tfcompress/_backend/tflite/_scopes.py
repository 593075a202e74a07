"""Which of the user's layers every operator of a traced model belongs to, by its name scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tfcompress._backend import bridge as doors
from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import ModelGraph, flat_names, operations
from tfcompress.core._types import Layer, Model

KERNEL_DIMENSIONS = 2
"""A weight of so many dimensions or more is a kernel; a BatchNormalization has none."""


class Scopes:
    """Looks up the user's layer of an operator or tensor in the graph that a model was traced to.

    A name such as `functional_1/re_lu_1/Relu;functional_1/conv2d_1/convolution` lists the places
    that were fused into one. Both Kerases open a name scope for each call of a layer. tf_keras
    opens the same one again; of Keras 3, each call opens two, and TensorFlow numbers a name that
    it has: `conv2d_1` is there the first call of `conv2d`, in tf_keras a layer of that name. The
    numbers are therefore counted as TensorFlow counts them, call by call.
    """

    def __init__(self, model: Model, like: Model, operators: Iterable[str]):
        """`operators` are the names of the traced operators; `like` has the names to be given."""
        names = users_names(model, like)
        seen = {scope for name in operators for scope in _prefixes(name)}
        plans = [list(_calls(model, opened)) for opened in (0, 2, 1)]
        best = max(plans, key=lambda calls: sum(scope in seen for scope, _ in calls))
        self._layers = {scope: names[id(layer)] for scope, layer in best}
        self._with_kernel = {names[id(layer)] for _, layer in best if has_kernel(layer)}

    def find(self, *names: str) -> str:
        """The layer that the first of `names` with any belongs to; "" where none has one.

        Where several layers were fused, it is the one with a kernel: a BatchNormalization and an
        activation folded into a convolution count to the convolution.
        """
        for name in names:
            layers = [self._layer_of(place) for place in name.split(";")]
            known = [layer for layer in layers if layer]
            if known:
                return next((layer for layer in known if layer in self._with_kernel), known[0])
        return ""

    def _layer_of(self, place: str) -> str:
        for scope in _prefixes(place):
            if scope in self._layers:
                return self._layers[scope]
        return ""


def users_names(model: Model, like: Model) -> dict[int, str]:
    """{id(layer of `model`): the name that the user's model `like` has for it}.

    `model` is `like` itself, a copy of the same structure, or its flat copy in tf_keras. A layer
    that TFMOT wraps has the name of the one inside; a name that two nested models share is
    numbered as in the flat copy.
    """
    flat = {key: names[0] for key, names in flat_names(like, lambda op: [""]).items()}
    names: dict[int, str] = {}
    ours, theirs = doors.leaf_layers(model), doors.leaf_layers(like)
    if model is like or doors.flavour(model) == doors.flavour(like):
        names = {id(layer): flat[id(own)] for layer, own in zip(ours, theirs)}
    else:
        carriers = doors.target_names(like, False)
        by_name = {name: flat[id(op)] for op in operations(like) for name in carriers[id(op)]}
        for layer in ours:
            own = str(layer.name)
            names[id(layer)] = by_name.get(own, own)
    for layer in ours:
        if is_wrapper(layer):
            names[id(layer)] = layer.layer.name
    return names


def is_wrapper(layer: Layer) -> bool:
    """Whether a layer is one of TFMOT's wrappers around a layer of the user's."""
    module = type(layer).__module__
    return module.startswith("tensorflow_model_optimization") and hasattr(layer, "layer")


def has_kernel(layer: Layer) -> bool:
    """Whether a layer has weights that multiply across channels."""
    return any(len(weight.shape) >= KERNEL_DIMENSIONS for weight in layer.weights)


def _prefixes(name: str) -> list[str]:
    """The scopes that an operator's name lies in, outer before inner, then the name itself."""
    parts = name.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _calls(model: Model, opened: int) -> Iterator[tuple[str, Layer]]:
    """(scope, layer) of every call of a layer, where a call opens `opened` new scopes.

    With 0, every call of a layer is in the scope of its first.
    """
    taken: set[str] = set()

    def enter(parent: str, name: str) -> str:
        scope = f"{parent}{name}"
        for _ in range(opened):
            scope = _unique(f"{parent}{name}", taken)
        return scope

    def visit(graph: ModelGraph, scope: str) -> Iterator[tuple[str, Layer]]:
        for call in graph.calls:
            if call.is_model:
                yield from visit(graph.inside(call), enter(f"{scope}/", call.op.name))
            elif is_layer(call.op):
                yield enter(f"{scope}/", call.op.name), call.op

    yield from visit(ModelGraph(model), enter("", model.name))


def _unique(scope: str, taken: set[str]) -> str:
    """`scope`, numbered as TensorFlow numbers a name that a graph has already."""
    candidate, number = scope, 0
    while candidate.lower() in taken:
        number += 1
        candidate = f"{scope}_{number}"
    taken.add(candidate.lower())
    return candidate
