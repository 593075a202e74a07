"""A `.tflite` indexed for reading weights: who makes a tensor, who uses it, what variables hold."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._tree import ModelTree, OperatorTree, TensorTree
from tfcompress.core import ConversionError, TfcompressError
from tfcompress.core._types import Array

Place = tuple[int, int]
"""(subgraph, index of a tensor in it)."""

Unpack = Callable[["Operator", "list[Array]", "WeightFile"], Array]
"""(operator, values of its inputs, its file) → values of its output."""

MOST_ELEMENTS, MOST_PER_BYTE = 1 << 22, 1 << 10
"""Largest tensor that is unpacked, and how large it may be beside the bytes of the file's data: a
damaged shape must not fill the memory. Words of 16 bits hold 15 weights, sparse rows many more."""

DECODE_NAME = "TFLM_DECODE"
DECODE = f"CUSTOM {DECODE_NAME}"
"""The operator of TensorFlow Lite for Microcontrollers that unpacks constants: for each output two
inputs, what is stored and how."""

REALS = ("FLOAT32", "FLOAT16", "FLOAT64", "INT2", "INT4", "INT8", "UINT8", "INT16")
"""Types of tensors that stand for real numbers; the integers do only if they have a scale."""


@dataclass(frozen=True)
class Operator:
    """One operator of a file: its subgraph, builtin name, schema object, and tensors by index."""

    graph: int
    kind: str
    tree: OperatorTree
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input(self, place: int) -> int:
        """Index of the input at `place`; −1 where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else -1

    def giving(self, place: int) -> Operator:
        """The operator as far as its output at `place` is concerned: a DECODE gives several."""
        if self.kind != DECODE or len(self.outputs) == 1:
            return self
        inputs = self.inputs[2 * place : 2 * place + 2]
        return replace(self, inputs=inputs, outputs=self.outputs[place : place + 1])


class WeightFile:
    """The tensors and operators of a file's subgraphs, and what connects them.

    Args:
        model: the file's tree.
        unpack: operators that unpack constants, and what each computes.

    Raises ConversionError where an operator points to a tensor, or a tensor to data, that the file
    does not have.
    """

    def __init__(self, model: ModelTree, unpack: Mapping[str, Unpack]):
        self.model = model
        self.unpack = unpack
        held = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
        self._most_elements = max(MOST_ELEMENTS, MOST_PER_BYTE * held)
        self._constant: dict[Place, bool] = {}
        self.operators: list[Operator] = []
        self.producers: dict[Place, Operator] = {}
        self.consumers: dict[Place, list[Operator]] = defaultdict(list)
        self.assigned: dict[str, Place] = {}
        for graph, tree in enumerate(model.subgraphs):
            self._check_buffers(graph)
            self.operators += [self._operator(graph, op) for op in items(tree.operators)]
        for operator in self.operators:
            for place, output in enumerate(operator.outputs):
                self.producers[operator.graph, output] = operator.giving(place)
            for tensor in dict.fromkeys(operator.inputs):
                self.consumers[operator.graph, tensor].append(operator)
        for operator in self.operators:
            if operator.kind == "ASSIGN_VARIABLE":
                name = self.variable((operator.graph, operator.input(0)))
                self.assigned[name] = (operator.graph, operator.inputs[1])

    def refuse_huge(self, shape: Sequence[int]) -> None:
        """ConversionError for a tensor of more values than the file's data can stand for."""
        if min(shape, default=1) < 0 or math.prod(shape) > self._most_elements:
            raise ConversionError(
                f"The .tflite is damaged: a weight tensor has {len(shape)} dimensions"
                f" {list(shape[:8])}, and the file's"
                f" data stand for {self._most_elements:,} values at most."
                " Write or download the file again."
            )

    def tensor(self, place: Place) -> TensorTree:
        """The tensor at `place`."""
        graph, index = place
        return self.model.subgraphs[graph].tensors[index]

    def shape(self, place: Place) -> list[int]:
        """A tensor's static shape."""
        return [int(n) for n in items(self.tensor(place).shape)]

    def type(self, place: Place) -> str:
        """A tensor's type by name."""
        return flatbuffer.tensor_type(self.tensor(place))

    def is_stored(self, place: Place) -> bool:
        """Whether the file holds the tensor's values."""
        return place[1] >= 0 and self.model.buffers[self.tensor(place).buffer].data is not None

    def is_constant(self, place: Place) -> bool:
        """Whether a tensor is stored, or unpacked from what is stored alone."""
        if place not in self._constant:
            self._constant[place] = False  # while it is asked: a tensor that makes itself is none
            self._constant[place] = self.is_stored(place) or self._is_unpacked(place)
        return self._constant[place]

    def is_real(self, place: Place) -> bool:
        """Whether a tensor's values stand for real numbers."""
        kind = self.type(place)
        has_scale = len(scales(self.tensor(place))) > 0
        return kind in REALS and (kind.startswith("FLOAT") or has_scale)

    def is_output(self, place: Place) -> bool:
        """Whether the tensor is an output of its subgraph."""
        return place[1] in {int(i) for i in items(self.model.subgraphs[place[0]].outputs)}

    def variable(self, handle: Place) -> str:
        """The name of the variable that a handle stands for; "" for a handle of none."""
        producer = self.producers.get(handle)
        if producer is None or producer.kind != "VAR_HANDLE":
            return ""
        return producer.tree.builtinOptions.sharedName

    def names(self, operator: Operator, tensor: int) -> list[str]:
        """Names that tell an operator's layer: its weights', its loop's, its output's."""
        graph = self.model.subgraphs[operator.graph]
        own = [graph.tensors[index].name for index in (tensor, *operator.outputs[:1])]
        names = [text.decode() if isinstance(text, bytes) else text or "" for text in own]
        if operator.graph == 0:
            return names
        # The converter names a loop's body after its layer; paths inside it may have forgotten it.
        body = graph.name.decode() if isinstance(graph.name, bytes) else graph.name or ""
        without_path = [name for name in names[:1] if "/" not in name]
        return [*without_path, body, *names]

    def _is_unpacked(self, place: Place) -> bool:
        producer = self.producers.get(place)
        if producer is None:
            return False
        if producer.kind == "READ_VARIABLE":
            source = self.assigned.get(self.variable((producer.graph, producer.input(0))))
            return source is not None and self.is_constant(source)
        if producer.kind not in self.unpack:
            return False
        return all(self.is_constant((producer.graph, index)) for index in producer.inputs)

    def _operator(self, graph: int, op: OperatorTree) -> Operator:
        count = len(self.model.subgraphs[graph].tensors)
        inputs, outputs = _whole(op.inputs), _whole(op.outputs)
        for index in (*inputs, *outputs):
            if not -1 <= index < count:
                raise ConversionError(
                    f"The .tflite is damaged: an operator of subgraph {graph} names tensor {index},"
                    f" and there are {count}. Write or download the file again."
                )
        return Operator(graph, self._kind(op), op, inputs, outputs)

    def _kind(self, op: OperatorTree) -> str:
        """An operator's builtin name; `CUSTOM` and its own name for a custom one."""
        name = flatbuffer.op_name(self.model, op)
        if name != "CUSTOM":
            return name
        return f"CUSTOM {flatbuffer.custom_name(self.model.operatorCodes[op.opcodeIndex])}"

    def _check_buffers(self, graph: int) -> None:
        for index, tensor in enumerate(items(self.model.subgraphs[graph].tensors)):
            if not 0 <= tensor.buffer < len(self.model.buffers):
                raise ConversionError(
                    f"The .tflite is damaged: tensor {index} of subgraph {graph} has its data in"
                    f" buffer {tensor.buffer}, and there are {len(self.model.buffers)}."
                    " Write or download the file again."
                )


def items(values: Iterable | None) -> list:
    """A vector of the schema's tree; nothing where it is absent."""
    return [] if values is None else list(values)


def _whole(values: Iterable | None) -> tuple[int, ...]:
    return tuple(int(value) for value in items(values))


def scales(tensor: TensorTree) -> Array:
    """A tensor's scales, float32; empty where it has none."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None:
        return np.zeros(0, np.float32)
    return np.asarray(quantization.scale, np.float32)


@contextmanager
def damage_named() -> Iterator[None]:
    """Turns what a damaged file raises while it is read into one ConversionError.

    A file's bytes may point anywhere: to operators that do not exist, shapes that data do not fill,
    variables that nobody assigns, tensors that make themselves.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except TfcompressError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConversionError(
            f"The .tflite is damaged: its weights cannot be read ({reason})."
            " Write or download the file again."
        ) from error
