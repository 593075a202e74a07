"""Which layers are looked at, which tensor is a layer's output, and what it is compared with.

A layer counts if it has a weight of two or more axes that multiplies its input (no normalisation, no PReLU).
Its output is taken after the normalisation and activation that alone follow it, and before pooling, dropout and reshaping.
Its input is what it consumes, followed back over every call with one input (pooling, dropout, reshaping, activation) to
where it was made: another such layer's output, a merge of several tensors (measured too), or an input of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.graph._calls import Call, Calls
from tfcompress.core import RecipeError

_ACTIVATION = frozenset(
    (
        "activation",
        "relu",
        "relu6",
        "leakyrelu",
        "prelu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "glu",
        "silu",
        "swish",
        "softmax",
        "softplus",
        "softsign",
        "sigmoid",
        "tanh",
        "mish",
        "thresholdedrelu",
        "hardsigmoid",
        "hardsilu",
        "hardswish",
        "hardtanh",
        "logsigmoid",
        "logsoftmax",
        "exponential",
        "squareplus",
        "hardshrink",
        "softshrink",
        "tanhshrink",
    )
)


@dataclass(frozen=True)
class Place:
    """A tensor to measure: the output of a layer, of a merge, or an input of the model; `inputs` are the places it is made from."""

    name: str
    layer: str
    """The scored layer it is the output of; empty for merges and inputs."""
    tensor: int
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Layers:
    """`places` by name in the order of the network; `scored` layers in that order; `ends`: first and last ones; `params` of each."""

    places: dict[str, Place]
    scored: tuple[str, ...]
    ends: tuple[str, ...]
    params: dict[str, int]
    other_params: int

    def of(self, layer: str) -> list[Place]:
        """The places that are outputs of `layer` (several where it is called several times)."""
        return [place for place in self.places.values() if place.layer == layer]

    def choose(self, layers: Iterable[str] | None) -> tuple[str, ...]:
        """`layers` in the order of the network (None: all); RecipeError for a name that no scored layer has."""
        if layers is None:
            return self.scored
        wanted = [layers] if isinstance(layers, str) else list(layers)
        require_known(wanted, self.scored)
        return tuple(name for name in self.scored if name in wanted)


def find_layers(graph: Calls) -> Layers:
    """The layers of a model that significance, sensitivity and bits speak of."""
    maker, users = graph.maker(), graph.users()
    names = {
        tensor: name or f"input{i}"
        for i, (tensor, name) in enumerate(zip(graph.inputs, graph.input_names))
    }
    places = {name: Place(name, "", tensor, ()) for tensor, name in names.items()}
    home = dict(names)  # tensor → name of the place at which it was made
    weights: dict[str, Any] = {}
    first, last = set(), set()

    def back(tensor: int) -> str:
        while tensor not in home:
            call = maker[tensor]
            tensor = call.inputs[0]
        return home[tensor]

    for call in graph.calls:
        scored, merge = has_kernel(call.layer), len(set(call.inputs)) != 1
        if not (scored or merge) or not call.outputs:
            continue
        name, times = call.name, 1
        while name in places:
            times += 1
            name = f"{call.name} (call {times})"
        sources = tuple(dict.fromkeys(back(tensor) for tensor in call.inputs))
        places[name] = Place(
            name,
            call.name if scored else "",
            _settled(call.outputs[0], users, graph.outputs),
            sources,
        )
        home.update(dict.fromkeys(call.outputs, name))
        if scored:
            weights.setdefault(call.name, call.layer)
            if any(source in names.values() for source in sources):
                first.add(call.name)
    for tensor in graph.outputs:
        last.add(places[back(tensor)].layer)
    scored_layers = tuple(weights)
    ends = first | last | {*scored_layers[:1], *scored_layers[-1:]}
    params = {
        name: sum(int(np.prod(v.shape)) for v in layer.weights) for name, layer in weights.items()
    }
    everything = {
        id(v): int(np.prod(v.shape))
        for call in graph.calls
        for v in getattr(call.layer, "weights", ())
    }
    return Layers(
        places,
        scored_layers,
        tuple(n for n in scored_layers if n in ends),
        params,
        sum(everything.values()) - sum(params.values()),
    )


def has_kernel(layer: Any) -> bool:
    """Whether a layer multiplies its input by a weight of two or more axes."""
    kind = type(layer).__name__
    if kind == "PReLU" or (kind.endswith("Normalization") and kind != "SpectralNormalization"):
        return False
    return any(len(variable.shape) >= 2 for variable in getattr(layer, "weights", ()))


def require_known(wanted: Iterable[str], known: Iterable[str]) -> None:
    """RecipeError if a layer's name is not among those with weights."""
    known = list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise RecipeError(
            f"No layer with weights is called {unknown[0]!r}; there are: {', '.join(known)}."
        )


def _settled(tensor: int, users: dict[int, list[Call]], outputs: tuple[int, ...]) -> int:
    """`tensor` after the normalisation and activation that are its only use."""
    while len(users[tensor]) == 1 and tensor not in outputs:
        call = users[tensor][0]
        if not _finishes(call):
            break
        tensor = call.outputs[0]
    return tensor


def _finishes(call: Call) -> bool:
    if len(set(call.inputs)) != 1:
        return False
    if call.kind in ("TFOpLambda", "Functional"):
        kind = call.name.split(".")[-1].rstrip("0123456789").rstrip("_")
    else:
        kind = call.kind
    kind = kind.lower().replace("_", "")
    return kind in _ACTIVATION or (kind.endswith("normalization") and not has_kernel(call.layer))
