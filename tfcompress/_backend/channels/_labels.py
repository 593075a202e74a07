"""Which channels belong together: the dependency graph of a model, by labels carried through it.

Every channel a layer makes gets a label. Layers pass labels on (ReLU), join them pairwise (Add), lay them side by side
(Concatenate) or repeat them (Flatten). Labels that were joined must be removed together; what cannot be decided freezes
the labels it touches. For every weight axis the labels it is indexed by are recorded: removing labels is then slicing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcompress._backend.channels._rules import RULES
from tfcompress._backend.graph._run import is_layer, run_graph

OUTPUTS = "a model's outputs stay"


@dataclass
class Labels:
    """A tensor on its way through the graph: its static shape (batch first) and the label of each index of its last axis."""

    shape: tuple
    ids: np.ndarray


@dataclass
class Site:
    """One axis of one weight of a layer, and the label of each of its indices; `makes` marks the axis of a layer's own channels."""

    layer: Any
    weight: int
    axis: int
    ids: np.ndarray
    makes: bool = False


@dataclass
class Channels:
    """The labels of a model: who made them, which are joined, which are frozen and why, and every weight axis they index.

    `through_norms`: channels that a LayerNormalization reads may go, although its statistics change with their number.
    """

    through_norms: bool = False
    parents: list[int] = field(default_factory=list)
    frozen: dict[int, str] = field(default_factory=dict)
    sites: dict[tuple[int, int, int], Site] = field(default_factory=dict)
    makers: dict[int, Any] = field(default_factory=dict)
    made: dict[int, np.ndarray] = field(default_factory=dict)
    shapes: dict[int, tuple[Labels, Labels]] = field(default_factory=dict)
    layers: dict[int, Any] = field(default_factory=dict)

    def new(self, count: int, reason: str = "") -> np.ndarray:
        """`count` fresh labels, frozen at once if a `reason` is given."""
        ids = np.arange(len(self.parents), len(self.parents) + count)
        self.parents.extend(ids.tolist())
        if reason:
            self.freeze(ids, reason)
        return ids

    def root(self, label: int) -> int:
        """The label that stands for all those joined with `label`."""
        while self.parents[label] != label:
            self.parents[label] = self.parents[self.parents[label]]
            label = self.parents[label]
        return label

    def roots(self, ids: np.ndarray) -> np.ndarray:
        """`root` of every label."""
        return np.array([self.root(int(label)) for label in ids], dtype=np.int64)

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """The labels of `one` and `other` must be removed together, pair by pair."""
        for a, b in zip(one.tolist(), other.tolist()):
            first, second = self.root(a), self.root(b)
            if first == second:
                continue
            self.parents[second] = first
            if second in self.frozen:
                self.frozen.setdefault(first, self.frozen[second])

    def freeze(self, ids: np.ndarray, reason: str) -> None:
        """None of these labels may be removed; the first reason given stays."""
        for label in np.unique(ids).tolist():
            self.frozen.setdefault(self.root(label), reason)

    def own(self, layer: Any, count: int) -> np.ndarray:
        """The labels of the channels that `layer` makes: the same each time a shared layer is called."""
        if id(layer) not in self.made:
            self.made[id(layer)] = self.new(count)
            self.makers[id(layer)] = layer
        return self.made[id(layer)]

    def index(
        self, layer: Any, weight: int, axis: int, ids: np.ndarray, makes: bool = False
    ) -> None:
        """Axis `axis` of weight number `weight` of `layer` is indexed by `ids`; a shared layer's calls are joined."""
        key = (id(layer), weight, axis)
        if key in self.sites:
            self.join(self.sites[key].ids, ids)
        else:
            self.sites[key] = Site(layer, weight, axis, ids, makes)


def analyse(model: Any, through_norms: bool = False) -> Channels:
    """The channels of a built Sequential or Functional model of either Keras; weights are not looked at."""
    channels = Channels(through_norms)

    def call(layer: Any, args: tuple, kwargs: dict, shapes: tuple) -> list[Labels]:
        inputs = _tensors([args, kwargs])
        rule = RULES.get(type(layer).__name__)
        outputs = rule(channels, layer, inputs, args, shapes) if rule and inputs else None
        if outputs is None:
            name = getattr(layer, "name", type(layer).__name__)
            for value in inputs:
                channels.freeze(
                    value.ids,
                    f"{type(layer).__name__} {name!r} uses them in a way that cannot be followed",
                )
            outputs = [
                channels.new(
                    shape[-1] or 1 if shape else 1, f"made by {type(layer).__name__} {name!r}"
                )
                for shape in shapes
            ]
            outputs = [Labels(shape, ids) for shape, ids in zip(shapes, outputs)]
        if is_layer(layer) and inputs:
            channels.shapes[id(layer)] = (inputs[0], outputs[0])
            channels.layers[id(layer)] = layer
        return outputs

    graph = getattr(model, "_functional", None) or model
    inputs = []
    for tensor in graph.inputs:
        shape = tuple(tensor.shape)
        inputs.append(
            Labels(
                shape,
                channels.new(shape[-1] or 1 if len(shape) > 1 else 1, "a model's inputs stay"),
            )
        )
    for value in run_graph(model, inputs, call):
        channels.freeze(value.ids, OUTPUTS)
    return channels


def _tensors(structure: Any) -> list[Labels]:
    if isinstance(structure, Labels):
        return [structure]
    if isinstance(structure, dict):
        return [item for value in structure.values() for item in _tensors(value)]
    if isinstance(structure, (list, tuple)):
        return [item for value in structure for item in _tensors(value)]
    return []
