"""The last hand on a written file: the user's names for what is in it, and its signature."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._export import Exported
from tfcompress._backend.tflite._facts import KERNEL_INPUT
from tfcompress._backend.tflite._rebuild import is_recurrent
from tfcompress._backend.tflite._scopes import has_kernel, users_names
from tfcompress._backend.tflite._tree import (
    GraphTree,
    ModelTree,
    OperatorTree,
    SignatureTree,
    TensorTree,
)

SIGNATURE = "serving_default"
FUSED = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM")
"""Operators that the converter writes for a whole recurrent layer, under no name of it."""
SUBGRAPHS = ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex")
"""The options by which a loop or branch names the subgraphs that it runs."""


class Finish:
    """Names every tensor of a written file after the user's layer, and adds the signature.

    The converter names a tensor after all the places that were fused into it: in an LSTM written
    out step by step, more bytes than its weights have. Inputs and outputs have the user's names.
    The signature `serving_default` has the same names in the same order.
    """

    def __init__(self, exported: Exported):
        self.exported = exported
        self.inside: dict[int, str] = {}
        """Subgraph → the layer whose loop it is the body of."""
        self.fused = _recurrent_names(exported)
        self.unplaced: dict[str, list[int]] = {}
        """Layers that no operator's name tells of, and the sizes of their kernels."""

    def apply(self, data: bytes) -> bytes:
        """The bytes of the finished file."""
        model = flatbuffer.read(data)
        main = model.subgraphs[0]
        _put_in_order(model, self.exported)
        _set_names(main, main.outputs, self.exported.outputs)
        _set_names(main, main.inputs, self.exported.inputs)
        self.unplaced = self._layers_without_operator(model)
        for number, graph in enumerate(model.subgraphs):
            self._name_tensors(model, graph, self.inside.get(number, ""))
        model.signatureDefs = [_signature(main, self.exported)]
        return flatbuffer.write(model)

    def _name_tensors(self, model: ModelTree, graph: GraphTree, default: str) -> None:
        """Name the tensors of one subgraph; `default` is the layer of which it is a loop's body."""
        ends = {int(index) for index in (*graph.inputs, *graph.outputs)}
        known = {index: _text(graph.tensors[index]) for index in ends}
        for op in graph.operators:
            inputs, outputs = _indices(op.inputs), _indices(op.outputs)
            layer = self._layer_of(model, graph, op) or default
            layer = layer or next((known[i] for i in (*inputs, *outputs) if known.get(i)), "")
            constants = [index for index in inputs if _is_constant(model, graph, index)]
            for index in (*outputs, *constants, *_indices(op.intermediates)):
                known.setdefault(index, layer)
            for subgraph in _subgraphs(op):
                self.inside[subgraph] = layer
        for index, tensor in enumerate(graph.tensors):
            tensor.name = known.get(index, default)

    def _layer_of(self, model: ModelTree, graph: GraphTree, op: OperatorTree) -> str:
        """The layer of an operator: by its kernel's name first, as an output may be named after
        the layer that follows."""
        kind = flatbuffer.op_name(model, op)
        if kind in FUSED and self.fused:
            return self.fused.pop(0)
        inputs, outputs = _indices(op.inputs), _indices(op.outputs)
        place = KERNEL_INPUT.get(kind)
        kernel = [] if place is None else inputs[place : place + 1]
        constants = [index for index in inputs if _is_constant(model, graph, index)]
        names = [_text(graph.tensors[index]) for index in (*kernel, *outputs, *constants)]
        layer = self.exported.find_layer(*names)
        if not layer and kernel:
            return self._place(math.prod(int(n) for n in graph.tensors[kernel[0]].shape))
        return layer

    def _place(self, size: int) -> str:
        """The next layer with a kernel of `size` weights that has no operator yet.

        A grouped convolution is traced to an operator under no name of its layer.
        """
        fitting = [name for name, sizes in self.unplaced.items() if size in sizes]
        if not fitting:
            return ""
        del self.unplaced[fitting[0]]
        return fitting[0]

    def _layers_without_operator(self, model: ModelTree) -> dict[str, list[int]]:
        names = users_names(self.exported.model, self.exported.like)
        texts = [_text(tensor) for graph in model.subgraphs for tensor in graph.tensors]
        placed = {self.exported.find_layer(text) for text in texts}
        unplaced: dict[str, list[int]] = {}
        for layer in doors.leaf_layers(self.exported.model):
            name = names[id(layer)]
            if has_kernel(layer) and name not in placed:
                unplaced[name] = [math.prod(weight.shape) for weight in layer.weights]
        return unplaced


def _recurrent_names(exported: Exported) -> list[str]:
    """The recurrent layers in order, a Bidirectional once for each direction."""
    names = users_names(exported.model, exported.like)
    recurrent = []
    for layer in doors.leaf_layers(exported.model):
        if is_recurrent(layer):
            directions = 2 if hasattr(layer, "backward_layer") else 1
            recurrent += [names[id(layer)]] * directions
    return recurrent


def _put_in_order(model: ModelTree, exported: Exported) -> None:
    """Inputs and outputs in the model's order, which a file made of a SavedModel mixes up.

    The signature that it has tells them by name; the outputs are called output_0, output_1, ….
    """
    for signature in model.signatureDefs or []:
        main = model.subgraphs[signature.subgraphIndex]
        for field, names in (
            ("inputs", exported.inputs),
            ("outputs", [f"output_{number}" for number in range(len(exported.outputs))]),
        ):
            places = {_text(item): item.tensorIndex for item in getattr(signature, field)}
            if set(places) == set(names):
                setattr(main, field, [places[name] for name in names])


def _set_names(graph: GraphTree, indices: Sequence[int], names: tuple[str, ...]) -> None:
    """Give inputs or outputs their names."""
    for index, name in zip(indices, names):
        graph.tensors[int(index)].name = name


def _signature(graph: GraphTree, exported: Exported) -> SignatureTree:
    kit = flatbuffer.schema()

    def named(indices: Sequence[int], names: tuple[str, ...]) -> list[object]:
        pairs = zip(indices, names)
        return [kit.TensorMapT(name=name, tensorIndex=int(index)) for index, name in pairs]

    return kit.SignatureDefT(
        inputs=named(graph.inputs, exported.inputs),
        outputs=named(graph.outputs, exported.outputs),
        signatureKey=SIGNATURE,
        subgraphIndex=0,
    )


def _subgraphs(op: OperatorTree) -> list[int]:
    numbers = (getattr(op.builtinOptions, field, None) for field in SUBGRAPHS)
    return [number for number in numbers if number is not None]


def _is_constant(model: ModelTree, graph: GraphTree, index: int) -> bool:
    return model.buffers[graph.tensors[index].buffer].data is not None


def _indices(values: Sequence[int] | None) -> list[int]:
    return [] if values is None else [int(index) for index in values if int(index) >= 0]


def _text(tensor: TensorTree) -> str:
    name = tensor.name or b""
    return name.decode() if isinstance(name, bytes) else name
