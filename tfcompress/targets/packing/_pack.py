"""A float `.tflite` rewritten with every layer in the encoding chosen for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core import InvariantError
from tfcompress.targets.packing._choose import ENCODINGS, choose
from tfcompress.targets.packing._layer import KINDS, Encoding, Layer
from tfcompress.targets.packing._levels import (
    TOLERANCE,
    Levels,
    detect,
    relative_error,
    round_to_int8,
)
from tfcompress.targets.packing._read import layer_name, packed_layers

PREFERENCES = ("speed", "size")
RUNTIMES = ("litert", "tflite_runtime", "any")
RESTS = ("float", "int8")
FLOATS, INTEGERS = ("FLOAT32", "FLOAT32"), ("INT8", "INT8")
"""Types of the input and weights of operators that can be packed."""
SPARE = 0.008
"""Share of the packed weights' bytes that "size" may give away, largest layers first, where that is faster."""


def pack(
    data: bytes,
    *,
    prefer: str = "speed",
    runtime: str = "litert",
    rest: str = "float",
    names: Sequence[str] = (),
    force: dict[str, str] | None = None,
) -> bytes:
    """The float32 or int8 `.tflite` `data` with the weights of every layer packed as small as they are exact.

    `prefer` "speed" or "size" chooses among the encodings that `runtime` ("litert", "tflite_runtime", "any") computes rightly;
    `rest` "int8" rounds the layers that are on no levels to int8, "float" leaves them. `names` are the model's layer names.
    `force` maps layer names to encodings' names, for measuring. The weights are read back and compared: InvariantError if one differs.
    """
    model = flatbuffer.read(data)
    b = Builder(model)
    plan = _plan(find_layers(model, names), prefer, runtime, rest, force or {})
    for op in b.graph.operators:
        if id(op) in plan:
            layer, encoding = plan[id(op)]
            encoding.write(b, layer, runtime)
        else:
            b.ops.append(op)
    b.graph.operators = b.first_ops + b.ops
    model.metadata = (
        None  # it tells of the converter's options and lowest runtime, which no longer hold
    )
    if prefer == "size":
        _drop_names(b.graph, {layer.name for layer, _ in plan.values()})
    packed = flatbuffer.write(model)
    _verify(packed, [layer for layer, _ in plan.values()])
    return packed


def _plan(
    layers: list[Layer], prefer: str, runtime: str, rest: str, force: dict[str, str]
) -> dict[int, tuple[Layer, Encoding]]:
    """Operator (by id) → its layer, on the levels to be written, and its encoding; the largest choose first, tables count once."""
    ready = [_rounded(layer) if rest == "int8" else layer for layer in layers]
    smallest = (
        [choose(layer, "size", runtime, set())[1] for layer in ready] if prefer == "size" else [0]
    )
    spare, shared, chosen = SPARE * sum(smallest), set(), {}
    for plain, layer in sorted(zip(layers, ready), key=lambda pair: -pair[0].weights.size):
        if layer.name in force:
            encoding = next(
                encoding for encoding in ENCODINGS if encoding.name == force[layer.name]
            )
        else:
            encoding, size = choose(layer, prefer, runtime, shared, spare)
            if prefer == "size":
                spare -= size - choose(layer, prefer, runtime, shared)[1]
        shared |= encoding.shares(layer)
        chosen[id(layer.op)] = (plain if encoding.name == "float" else layer, encoding)
    return {id(layer.op): chosen[id(layer.op)] for layer in layers}


def _rounded(layer: Layer) -> Layer:
    if layer.grid:
        return layer
    levels = round_to_int8(layer.weights, layer.levels, layer.axis)
    return replace(layer, levels=levels, weights=levels.weights())


def _drop_names(graph: Any, kept: set[str]) -> None:
    """Names of tensors that are neither the graph's inputs and outputs nor a layer's are bytes that nothing reads."""
    ends = {int(i) for i in [*graph.inputs, *graph.outputs]}
    for index, tensor in enumerate(graph.tensors):
        if index not in ends and tensor.name not in kept:
            tensor.name = None


def find_layers(model: Any, names: Sequence[str] = ()) -> list[Layer]:
    """The operators of the main graph whose weights are constant, float32 or int8 with int8 activations, and the levels they are on."""
    graph, found, paths = model.subgraphs[0], [], []
    for op in graph.operators:
        kind = flatbuffer.op_name(model, op)
        if kind not in KINDS:
            continue
        tensor = graph.tensors[op.inputs[1]]
        types = flatbuffer.tensor_type(graph.tensors[op.inputs[0]]), flatbuffer.tensor_type(tensor)
        stored = flatbuffer.constant(model, tensor) if types in (FLOATS, INTEGERS) else None
        if stored is None or tensor.sparsity is not None:
            continue
        levels = (
            detect(stored, KINDS[kind])
            if types == FLOATS
            else _levels_of(tensor, stored, KINDS[kind])
        )
        has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
        layer = Layer(
            name="",
            kind=kind,
            op=op,
            weights=stored if types == FLOATS else levels.weights(),
            levels=levels,
            bias=flatbuffer.constant(model, graph.tensors[op.inputs[2]]) if has_bias else None,
            input_shape=tuple(int(n) for n in graph.tensors[op.inputs[0]].shape),
            activation=op.builtinOptions.fusedActivationFunction,
            integer=types == INTEGERS,
        )
        if has_bias and layer.bias is None:
            continue  # a bias computed at run time cannot be divided by the scale
        found.append(layer)
        paths.append([tensor.name, graph.tensors[op.outputs[0]].name])
    return [replace(layer, name=name) for layer, name in zip(found, _names(names, paths))]


def _levels_of(tensor: Any, stored: np.ndarray, axis: int) -> Levels:
    """The grid that a tensor of int8 weights is on."""
    return Levels(
        "grid",
        stored.astype(np.int16),
        np.asarray(tensor.quantization.scale, np.float32),
        None,
        axis,
    )


def _verify(packed: bytes, layers: list[Layer]) -> None:
    """Each layer read back from the file is on the levels that were to be written (2s·u + s of a corrected sum may round once more)."""
    read = iter(packed_layers(packed))
    for layer in layers:
        got = next((candidate for candidate in read if candidate.name == layer.name), None)
        if got is None:
            raise InvariantError(
                f"Layer {layer.name!r} was packed but cannot be read back from the file; please report this model."
            )
        expected = layer.weights if layer.levels.kind == "float" else layer.levels.weights()
        error = relative_error(got.weights().reshape(expected.shape), expected)
        if not error <= TOLERANCE:
            raise InvariantError(
                f"Layer {layer.name!r}, packed as {got.encoding}, reads back with relative error {error:.3g}; please report."
            )


def _names(names: Sequence[str], paths: list[list[Any]]) -> list[str]:
    """Each operator's layer among `names`, by the paths in its tensors' names (`net/conv1_1/Relu;…`); else what tells it apart there.

    Keras 3 appends a number to every name on the way, tf_keras does not, and both call layers conv, conv_1, …: the numbers are
    taken off if that gives every operator a layer of its own.
    """
    short = [_known(names, texts, 1) for texts in paths]
    if len({name for name in short if name}) < len(short):
        short = [_known(names, texts, 0) or _known(names, texts, 1) for texts in paths]
    return [name or layer_name(*texts) for name, texts in zip(short, paths)]


def _known(names: Sequence[str], texts: list[Any], numbers: int) -> str:
    for text in (text.decode() if isinstance(text, bytes) else text or "" for text in texts):
        parts = re.split("[/;]", text)
        known = [
            part
            for part in (
                re.sub(r"_\d+$", "", part, count=numbers) if numbers else part for part in parts
            )
            if part in names
        ]
        if not known and numbers:
            known = [part for part in parts if part in names]
        if known:
            return max(known, key=len)
    return ""
