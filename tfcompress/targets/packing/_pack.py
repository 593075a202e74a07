"""A float `.tflite` rewritten with every layer in the encoding chosen for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress._backend.tflite._tree import ModelTree, OperatorTree
from tfcompress.core import InvariantError
from tfcompress.targets.packing._choose import choose
from tfcompress.targets.packing._constants import UNPACK
from tfcompress.targets.packing._encoding import Encoding
from tfcompress.targets.packing._find import Names, find_layers, operand_names
from tfcompress.targets.packing._layer import Layer
from tfcompress.targets.packing._levels import TOLERANCE, relative_error, round_to_int8
from tfcompress.targets.packing._read import encoding_of, stored_operands, weight_file, weights_of
from tfcompress.targets.packing._registry import ENCODINGS, UNTOUCHED
from tfcompress.targets.packing._stored import StoredWeights, operands
from tfcompress.targets.packing._weight_file import WeightFile, items

PREFERENCES = ("speed", "size")
RUNTIMES = ("litert", "tflite_runtime", "any")
"""Interpreters of a host."""
RESTS = ("float", "int8")
SPARE = 0.008
"""Share of the packed weights' bytes that "size" may give away, largest layers first, where that is
faster."""

Plan = dict[int, tuple[Layer, Encoding]]
"""Operator (by id) → its layer, on the levels to be written, and its encoding."""


def pack(
    data: bytes,
    *,
    prefer: str = "speed",
    runtime: str = "litert",
    rest: str = "float",
    names: Names = (),
    force: Mapping[str, str] | None = None,
) -> bytes:
    """The float32 or int8 `.tflite` `data` with every layer's weights as small as they are exact.

    The weights are read back and compared: InvariantError if one differs.

    Args:
        prefer: "speed" or "size" chooses among the encodings that `runtime` computes rightly.
        runtime: "litert", "tflite_runtime" or "any".
        rest: "int8" rounds the layers that are on no levels to int8, "float" leaves them.
        names: the model's layers with weights.
        force: layer name → encoding's name, for measuring.
    """
    packed, expected = rewrite(
        data,
        names,
        lambda layers: _plan(layers, prefer, runtime, rest, force or {}),
        runtime,
        unnamed=prefer == "size",
    )
    verify(packed, expected)
    return packed


def rewrite(
    data: bytes,
    names: Names,
    planned: Callable[[list[Layer]], Plan],
    runtime: str,
    *,
    unnamed: bool,
) -> tuple[bytes, list[Layer | None]]:
    """(the `.tflite` `data` as planned, what `verify` must find in it).

    Args:
        names: the model's layers with weights.
        planned: gives the plan of the file's layers.
        runtime: what the encodings write for.
        unnamed: leaves out the names of tensors that are neither ends nor weights.
    """
    model = flatbuffer.read(data)
    plan = planned(find_layers(model, names))
    named = _name_weights(model, names)
    builder = Builder(model)
    for op in builder.graph.operators:
        if id(op) in plan:
            layer, encoding = plan[id(op)]
            encoding.write(builder, layer, runtime)
        else:
            _put_constant_second(model, op)
            builder.ops.append(op)
    builder.graph.operators = builder.first_ops + builder.ops
    # It tells of the converter's options and lowest runtime, which no longer hold.
    model.metadata = None
    if unnamed:
        _drop_names(model, {name for _, name in named})
    return flatbuffer.write(model), [plan[op][0] if op in plan else None for op, _ in named]


def _plan(
    layers: Sequence[Layer], prefer: str, runtime: str, rest: str, force: Mapping[str, str]
) -> Plan:
    """Every layer's encoding; the largest choose first, and tables count once."""
    ready = [_rounded(layer) if rest == "int8" else layer for layer in layers]
    smallest = [0]
    if prefer == "size":
        smallest = [choose(layer, "size", runtime, set())[1] for layer in ready]
    spare, shared, plan = SPARE * sum(smallest), set[Hashable](), Plan()
    for plain, layer in sorted(zip(layers, ready), key=lambda pair: -pair[0].weights.size):
        if layer.name in force:
            encoding = _encoding_named(force[layer.name])
        else:
            encoding, size = choose(layer, prefer, runtime, shared, spare)
            if prefer == "size":
                spare -= size - choose(layer, prefer, runtime, shared)[1]
        shared |= encoding.shares(layer)
        plan[id(layer.op)] = (plain if encoding is UNTOUCHED else layer, encoding)
    return plan


def _encoding_named(name: str) -> Encoding:
    return next(encoding for encoding in ENCODINGS if encoding.name == name)


def _rounded(layer: Layer) -> Layer:
    if layer.grid:
        return layer
    levels = round_to_int8(layer.weights, layer.levels, layer.axis)
    return replace(layer, levels=levels, weights=levels.weights())


def _name_weights(model: ModelTree, names: Names) -> list[tuple[int, str]]:
    """Gives every weight tensor its layer's name; (id of the operator, that name) in order."""
    file = WeightFile(model, UNPACK)
    listed = list(operands(file))
    named = operand_names(file, listed, names)
    for operand, name in zip(listed, named):
        file.tensor(operand.place).name = name
    return [(id(operand.operator.tree), name) for operand, name in zip(listed, named)]


def _put_constant_second(model: ModelTree, op: OperatorTree) -> None:
    """A constant first factor is what `apply_scaled` writes: a model's own goes second."""
    if flatbuffer.op_name(model, op) != "MUL":
        return
    first, second = (
        flatbuffer.constant(model, model.subgraphs[0].tensors[tensor]) is not None
        for tensor in op.inputs
    )
    if first and not second:
        op.inputs = [op.inputs[1], op.inputs[0]]


def _drop_names(model: ModelTree, kept: set[str]) -> None:
    """Drops the names of tensors that are neither a graph's ends nor a layer's weights.

    They are bytes that nothing reads.
    """
    for graph in model.subgraphs:
        ends = {int(i) for i in [*items(graph.inputs), *items(graph.outputs)]}
        for index, tensor in enumerate(graph.tensors):
            if (index not in ends or graph is not model.subgraphs[0]) and tensor.name not in kept:
                tensor.name = None


def verify(packed: bytes, expected: Sequence[Layer | None]) -> None:
    """Every layer read back from the file is on the levels that were to be written.

    2s·u + s of a corrected sum may round once more.
    """
    file = weight_file(packed)
    listed = list(stored_operands(file))
    if len(listed) != len(expected):
        raise InvariantError(
            f"{len(expected)} weights were written and {len(listed)} are read back from the file;"
            " please report this model."
        )
    for operand, layer in zip(listed, expected):
        if layer is None:
            continue
        stored = StoredWeights(file, operand)
        written = layer.weights if layer.levels.kind == "float" else layer.levels.weights()
        error = relative_error(weights_of(stored).reshape(written.shape), written)
        if not error <= TOLERANCE:
            encoding = encoding_of(stored)
            name = "?" if encoding is None else encoding.name
            raise InvariantError(
                f"Layer {layer.name!r}, packed as {name}, reads back with relative error"
                f" {error:.3g}, bound {TOLERANCE:.3g}; please report this model."
            )
