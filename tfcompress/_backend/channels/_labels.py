"""Which channels belong together: the dependency graph of a model, by labels carried through it.

Every channel a layer makes gets a label. Layers pass labels on (ReLU), join them pairwise (Add),
lay them side by side (Concatenate) or repeat them (Flatten). Labels that were joined must be
removed together; what cannot be decided freezes the labels it touches. For every weight axis the
labels it is indexed by are recorded: removing labels is then slicing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcompress._backend.channels._rules import rule_for
from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import GraphCall, ModelGraph, flatten
from tfcompress.core._types import Array, Layer, Model

OUTPUTS = "a model's outputs stay"


@dataclass
class Labels:
    """A tensor on its way through the graph.

    shape: static, batch first. ids: the label of each index of the last axis.
    """

    shape: tuple[int | None, ...]
    ids: Array


@dataclass
class Site:
    """One axis of one weight of a layer, and the label of each of its indices.

    makes: whether it is the axis of the layer's own channels.
    """

    layer: Layer
    weight: int
    axis: int
    ids: Array
    makes: bool = False


@dataclass
class Channels:
    """The labels of a model.

    They say who made them, which are joined, which are frozen and why, and every weight axis that
    they index. through_norms: channels that a LayerNormalization reads may go, although its
    statistics change with their number.
    """

    through_norms: bool = False
    parents: list[int] = field(default_factory=list)
    frozen: dict[int, str] = field(default_factory=dict)
    sites: dict[tuple[int, int, int], Site] = field(default_factory=dict)
    makers: dict[int, Layer] = field(default_factory=dict)
    own_labels: dict[int, Array] = field(default_factory=dict)
    shapes: dict[int, tuple[Labels, Labels]] = field(default_factory=dict)
    layers: dict[int, Layer] = field(default_factory=dict)

    def new(self, count: int, reason: str = "") -> Array:
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

    def roots(self, ids: Array) -> Array:
        """`root` of every label."""
        return np.array([self.root(int(label)) for label in ids], dtype=np.int64)

    def join(self, one: Array, other: Array) -> None:
        """The labels of `one` and `other` must be removed together, pair by pair."""
        for a, b in zip(one.tolist(), other.tolist()):
            first, second = self.root(a), self.root(b)
            if first == second:
                continue
            self.parents[second] = first
            if second in self.frozen:
                self.frozen.setdefault(first, self.frozen[second])

    def freeze(self, ids: Array, reason: str) -> None:
        """None of these labels may be removed; the first reason stays, but for `OUTPUTS`."""
        for label in np.unique(ids).tolist():
            root = self.root(label)
            if reason == OUTPUTS:
                self.frozen[root] = reason
            self.frozen.setdefault(root, reason)

    def own(self, layer: Layer, count: int) -> Array:
        """The labels of the channels that `layer` makes: the same each time it is called."""
        if id(layer) not in self.own_labels:
            self.own_labels[id(layer)] = self.new(count)
            self.makers[id(layer)] = layer
        return self.own_labels[id(layer)]

    def index(self, layer: Layer, weight: int, axis: int, ids: Array, makes: bool = False) -> None:
        """Axis `axis` of weight number `weight` of `layer` is indexed by `ids`.

        The calls of a shared layer are joined.
        """
        key = (id(layer), weight, axis)
        if key in self.sites:
            self.join(self.sites[key].ids, ids)
        else:
            self.sites[key] = Site(layer, weight, axis, ids, makes)


def analyse(model: Model, through_norms: bool = False) -> Channels:
    """The channels of a built Sequential or Functional model; weights are not looked at.

    through_norms: channels that a LayerNormalization reads may go too.
    """
    channels = Channels(through_norms)

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> list[Labels]:
        inputs = [leaf for leaf in flatten([args, kwargs]) if isinstance(leaf, Labels)]
        rule = rule_for(call.op)
        outputs = None
        if rule is not None and inputs:
            arguments = (*args, *kwargs.values())
            outputs = rule(channels, call.op, inputs, arguments, call.shapes)
        if outputs is None:
            outputs = _unfollowed(channels, call, inputs)
        if is_layer(call.op) and inputs:
            channels.shapes[id(call.op)] = (inputs[0], outputs[0])
            channels.layers[id(call.op)] = call.op
        return outputs

    graph = ModelGraph(model)
    shapes = [tuple(tensor.shape) for tensor in graph.inputs]
    inputs = [
        Labels(shape, channels.new(_width(shape), "a model's inputs stay")) for shape in shapes
    ]
    for value in graph.run(inputs, visit):
        channels.freeze(value.ids, OUTPUTS)
    return channels


def _unfollowed(channels: Channels, call: GraphCall, inputs: list[Labels]) -> list[Labels]:
    """Fresh frozen labels for the outputs of a call without a rule; its inputs freeze too."""
    kind, name = type(call.op).__name__, getattr(call.op, "name", type(call.op).__name__)
    for value in inputs:
        channels.freeze(value.ids, f"{kind} {name!r} uses them in a way that cannot be followed")
    return [
        Labels(shape, channels.new(_width(shape), f"made by {kind} {name!r}"))
        for shape in call.shapes
    ]


def _width(shape: tuple[int | None, ...]) -> int:
    """Indices of the last axis; one where there is none or it is not known."""
    return (shape[-1] or 1) if len(shape) > 1 else 1
