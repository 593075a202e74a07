"""Which layers are looked at, which tensor is a layer's output, and what it is compared with.

A layer counts if it has a weight of two or more axes that multiplies its input (no normalisation,
no PReLU). Its output is taken after the normalisation and activation that alone follow it, and
before pooling, dropout and reshaping. Its input is what it consumes, followed back over every call
with one input (pooling, dropout, reshaping, activation) to where it comes from: another such
layer's output, a merge of several tensors (measured too), or an input of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

from tfcompress._backend.graph._calls import Call, Calls
from tfcompress.core import RecipeError
from tfcompress.core._types import Layer

_ACTIVATIONS = frozenset(
    (
        "activation",
        "celu",
        "elu",
        "exponential",
        "gelu",
        "glu",
        "hardshrink",
        "hardsigmoid",
        "hardsilu",
        "hardswish",
        "hardtanh",
        "leakyrelu",
        "logsigmoid",
        "logsoftmax",
        "mish",
        "prelu",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softshrink",
        "softsign",
        "squareplus",
        "swish",
        "tanh",
        "tanhshrink",
        "thresholdedrelu",
    )
)


@dataclass(frozen=True)
class Place:
    """A tensor to measure: the output of a layer, of a merge, or an input of the model.

    layer: the scored layer it is the output of; empty for merges and inputs. inputs: the places
    that it is computed from.
    """

    name: str
    layer: str
    tensor: int
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Layers:
    """The layers of a model that significance, sensitivity and bits speak of.

    places: by name in the order of the network. scored: the layers in that order. ends: the first
    and last of them. params: parameters of each. other_params: parameters of everything else.
    """

    places: dict[str, Place]
    scored: tuple[str, ...]
    ends: tuple[str, ...]
    params: dict[str, int]
    other_params: int

    def of(self, layer: str) -> list[Place]:
        """The places that are outputs of `layer` (several where it is called several times)."""
        return [place for place in self.places.values() if place.layer == layer]

    def choose(self, layers: Iterable[str] | None) -> tuple[str, ...]:
        """`layers` in the order of the network (None: all); RecipeError for an unknown name."""
        if layers is None:
            return self.scored
        wanted = [layers] if isinstance(layers, str) else list(layers)
        require_known(wanted, self.scored)
        return tuple(name for name in self.scored if name in wanted)


def find_layers(graph: Calls) -> Layers:
    """The layers of a model with their places, ends and parameters."""
    walk = _Walk(graph)
    for call in graph.calls:
        walk.enter(call)
    last = {walk.places[walk.back(tensor)].layer for tensor in graph.outputs}
    scored = tuple(walk.scored)
    ends = {*walk.first, *last, *scored[:1], *scored[-1:]}
    params = {name: _parameters([layer]) for name, layer in walk.scored.items()}
    everything = _parameters([call.layer for call in graph.calls])
    return Layers(
        walk.places,
        scored,
        tuple(name for name in scored if name in ends),
        params,
        everything - sum(params.values()),
    )


@dataclass
class _Walk:
    """What is known of a graph after some of its calls.

    home: tensor → the name of the place that it comes from. first: scored layers that consume an
    input of the model.
    """

    graph: Calls
    places: dict[str, Place] = field(default_factory=dict)
    scored: dict[str, Layer] = field(default_factory=dict)
    first: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._maker, self._users = self.graph.maker(), self.graph.users()
        self._home: dict[int, str] = {}
        for number, (tensor, name) in enumerate(zip(self.graph.inputs, self.graph.input_names)):
            self._home[tensor] = name or f"input{number}"
        for tensor, name in self._home.items():
            self.places[name] = Place(name, "", tensor, ())
        self._model_inputs = set(self.places)

    def back(self, tensor: int) -> str:
        """The place that a tensor comes from, over every call with one input."""
        while tensor not in self._home:
            tensor = self._maker[tensor].inputs[0]
        return self._home[tensor]

    def enter(self, call: Call) -> None:
        """Note the place of a call that is scored or a merge; others are walked over."""
        is_scored = has_kernel(call.layer)
        is_merge = len(set(call.inputs)) != 1
        if not call.outputs or not (is_scored or is_merge):
            return
        name = self._free_name(call.name)
        sources = tuple(dict.fromkeys(self.back(tensor) for tensor in call.inputs))
        tensor = _settled(call.outputs[0], self._users, self.graph.outputs)
        self.places[name] = Place(name, call.name if is_scored else "", tensor, sources)
        self._home.update(dict.fromkeys(call.outputs, name))
        if is_scored:
            self.scored.setdefault(call.name, call.layer)
            if self._model_inputs.intersection(sources):
                self.first.add(call.name)

    def _free_name(self, name: str) -> str:
        free, times = name, 1
        while free in self.places:
            times += 1
            free = f"{name} (call {times})"
        return free


def has_kernel(layer: Layer) -> bool:
    """Whether a layer multiplies its input by a weight of two or more axes."""
    kind = type(layer).__name__
    if kind == "PReLU" or (kind.endswith("Normalization") and kind != "SpectralNormalization"):
        return False
    return any(len(variable.shape) >= 2 for variable in getattr(layer, "weights", ()))


def require_known(wanted: Iterable[str], known: Iterable[str]) -> None:
    """RecipeError if a layer's name is not among those with weights."""
    known = list(known)
    for name in wanted:
        if name not in known:
            raise RecipeError(
                f"No layer with weights is called {name!r}; there are: {', '.join(known)}."
            )


def _parameters(layers: Iterable[Layer]) -> int:
    """Parameters of `layers`, each variable once."""
    sizes: dict[int, int] = {}
    for layer in layers:
        for variable in getattr(layer, "weights", ()):
            sizes[id(variable)] = prod(variable.shape)
    return sum(sizes.values())


def _settled(tensor: int, users: dict[int, list[Call]], outputs: tuple[int, ...]) -> int:
    """`tensor` after the normalisation and activation that are its only use."""
    while len(users[tensor]) == 1 and tensor not in outputs:
        call = users[tensor][0]
        if not _finishes(call):
            break
        tensor = call.outputs[0]
    return tensor


def _finishes(call: Call) -> bool:
    """Whether a call only normalises or activates what it is given."""
    if len(set(call.inputs)) != 1:
        return False
    kind = call.kind
    if kind in ("TFOpLambda", "Functional"):
        kind = call.name.split(".")[-1].rstrip("0123456789").rstrip("_")
    kind = kind.lower().replace("_", "")
    return kind in _ACTIVATIONS or (kind.endswith("normalization") and not has_kernel(call.layer))
