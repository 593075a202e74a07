"""What a study has to make: the address of its model, the shared models and the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfcompress._study._bench import Bench
from tfcompress._study._cell import Cell
from tfcompress._study._code import keras_code
from tfcompress._study._fingerprint import fingerprint, nameless
from tfcompress._study._node import Node, needed_nodes, shared_prefixes, start_of, tree
from tfcompress.core import ModelError, Recipe
from tfcompress.core._types import Model


@dataclass(frozen=True)
class Subject:
    """What a study is about: a model or a function that builds one, and its content address."""

    model: Model | None
    builder: Callable[[int], Model] | None
    key: str

    def root(self, seed: int) -> Node:
        """The base that the cells of `seed` start from."""
        if self.builder is None:
            return Node(self.key, seed, given=True)
        return Node(fingerprint(self.key, seed), seed)


def subject_of(model: Model | Callable[[int], Model], *, lasting: bool) -> Subject:
    """The subject that the user gave; ModelError for what is neither a model nor a builder.

    `lasting`: whether the address must mean the same to another process.
    """
    from tfcompress._backend import bridge as keras

    try:
        keras.flavour(model)
    except ModelError:
        if not callable(model) or isinstance(model, type):
            raise
        return Subject(None, model, fingerprint(model, lasting=lasting))
    parts = [keras.fingerprint(model), keras_code(model), _compile_state(model)]
    return Subject(model, None, fingerprint(parts, lasting=lasting))


def _compile_state(model: Model) -> list[object]:
    """What training takes over from a model: the optimizer's settings and the loss."""
    if not getattr(model, "optimizer", None):
        return []
    optimizer = model.optimizer
    return [type(optimizer), nameless(optimizer.get_config()), model.loss]


@dataclass(frozen=True)
class Plan:
    """The cells of a study, and every model that two or more of them could start from."""

    cells: list[Cell]
    nodes: list[Node]

    def needed(self, bench: Bench, cells: Sequence[Cell]) -> list[Node]:
        """The shared models that must be made for `cells`."""
        return needed_nodes(self.nodes, [cell.start for cell in cells], bench.has)


def planned(
    bench: Bench, subject: Subject, recipes: Sequence[Recipe], seeds: Sequence[int]
) -> Plan:
    """The cells of all recipes with all seeds, seed by seed, and the shared models."""
    prefixes = shared_prefixes(recipes)
    cells: list[Cell] = []
    nodes: list[Node] = []
    for seed in seeds:
        root = subject.root(seed)
        of_seed = tree(root, prefixes, bench.training_key, lasting=bench.lasting)
        nodes += of_seed
        for recipe in recipes:
            address = fingerprint(recipe, seed, root.key, bench.key, lasting=bench.lasting)
            cells.append(Cell(recipe, seed, start_of(recipe.techniques, of_seed), address))
    return Plan(cells, nodes)
