"""What nothing in a `.tflite` uses: tensors and operator codes, left out before it is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from tfcompress._backend.tflite._tree import GraphTree, ModelTree, OperatorTree, SignatureTree

ABSENT = -1
"""The index of an input that an operator leaves out."""
ENDS = ("inputs", "outputs")
PARTS = ("inputs", "outputs", "intermediates")
"""The fields of an operator that hold indices of tensors."""


def drop_unused(model: ModelTree) -> ModelTree:
    """A copy of the tree, deep enough to be changed, without unused tensors and operator codes."""
    model = copy.copy(model)
    model.subgraphs = [copy.copy(graph) for graph in model.subgraphs]
    model.signatureDefs = [copy.copy(signature) for signature in model.signatureDefs or []] or None
    for number, graph in enumerate(model.subgraphs):
        graph.operators = [copy.copy(op) for op in graph.operators]
        signatures = [one for one in model.signatureDefs or [] if one.subgraphIndex == number]
        _drop_tensors(graph, signatures)
    _drop_codes(model)
    return model


def _drop_tensors(graph: GraphTree, signatures: Sequence[SignatureTree]) -> None:
    used = _used(graph, signatures)
    if len(used) == len(graph.tensors):
        return
    kept = sorted(used)
    places = {old: new for new, old in enumerate(kept)} | {ABSENT: ABSENT}
    graph.tensors = [graph.tensors[old] for old in kept]
    for field in ENDS:
        setattr(graph, field, _moved(getattr(graph, field), places))
    for op in graph.operators:
        for field in PARTS:
            setattr(op, field, _moved(getattr(op, field), places))
    for signature in signatures:
        for field in ENDS:
            maps = [copy.copy(item) for item in getattr(signature, field) or []]
            for item in maps:
                item.tensorIndex = places[item.tensorIndex]
            setattr(signature, field, maps)


def _used(graph: GraphTree, signatures: Sequence[SignatureTree]) -> set[int]:
    """The tensors that a graph's operators, ends or signatures name."""
    used = {int(index) for field in ENDS for index in getattr(graph, field)}
    for op in graph.operators:
        used |= _tensors_of(op)
    for signature in signatures:
        for field in ENDS:
            used |= {item.tensorIndex for item in getattr(signature, field) or []}
    return used - {ABSENT}


def _tensors_of(op: OperatorTree) -> set[int]:
    tensors: set[int] = set()
    for field in PARTS:
        indices = getattr(op, field)
        tensors.update(int(index) for index in (() if indices is None else indices))
    return tensors


def _moved(indices: Sequence[int] | None, places: Mapping[int, int]) -> list[int] | None:
    return None if indices is None else [places[int(index)] for index in indices]


def _drop_codes(model: ModelTree) -> None:
    operators: list[OperatorTree] = []
    for graph in model.subgraphs:
        operators += graph.operators
    used = sorted({op.opcodeIndex for op in operators})
    places = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for op in operators:
        op.opcodeIndex = places[op.opcodeIndex]
