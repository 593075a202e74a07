"""What every weight tensor of a `.tflite` really holds, ours or foreign: constants followed through whatever unpacks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core import ArtifactError
from tfcompress.targets.packing._layer import KINDS
from tfcompress.targets.packing._levels import detect

_FOLLOWED = {
    "DEQUANTIZE",
    "DENSIFY",
    "RESHAPE",
    "STRIDED_SLICE",
    "GATHER",
    "TILE",
    "CONCATENATION",
    "CAST",
    "CUMSUM",
    "MUL",
}
_FOLLOWED |= {"READ_VARIABLE", "TRANSPOSE"}


_OTHERS = {
    "TRANSPOSE_CONV",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
    "BATCH_MATMUL",
    "EMBEDDING_LOOKUP",
    "GATHER",
    "SVDF",
}
_OTHERS |= {
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "LSTM",
    "RNN",
}


@dataclass(frozen=True)
class PackedLayer:
    """The weights of one operator as a file holds them.

    `encoding` names how; `bits` are the bits of one stored weight (codes and indices, without scales and tables), `bytes`
    all that is stored for it; `levels` says what values occur. `weights()` are the float32 weights it computes with.
    """

    name: str
    op: str
    encoding: str
    bits: float
    bytes: int
    shape: tuple[int, ...]
    levels: str
    weights: Callable[[], np.ndarray] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.name:24.24s} {self.op:18s} {self.encoding:16s} {self.bits:6.2f} bits {self.bytes:10,d} bytes  {self.levels}"


def packed_layers(source: str | Path | bytes) -> list[PackedLayer]:
    """Every FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D with constant weights in a `.tflite` (path or bytes), in order of execution.

    Weights are followed through DEQUANTIZE, DENSIFY, look-ups and variables; a factor or Σx correction behind the operator is included.
    Raises ArtifactError when the file cannot be opened, ConversionError when it is not a `.tflite`.
    """
    if isinstance(source, (str, Path)):
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise ArtifactError(f"No .tflite could be read at {source}: {error}.") from error
    return _Reader(flatbuffer.read(bytes(source))).layers()


def other_weights(data: bytes) -> list[tuple[str, str, int]]:
    """(layer, operator, bytes of float weights) of the operators in the main graph whose weights no encoding is made for."""
    model, found = flatbuffer.read(data), []
    graph = model.subgraphs[0]
    for op in graph.operators:
        kind = flatbuffer.op_name(model, op)
        tensors = (
            [graph.tensors[i] for i in _indices(op.inputs) if i >= 0] if kind in _OTHERS else []
        )
        held = [
            t
            for t in tensors
            if flatbuffer.tensor_type(t) == "FLOAT32" and model.buffers[t.buffer].data is not None
        ]
        if held:
            size = sum(len(model.buffers[t.buffer].data) for t in held)
            found.append(
                (
                    layer_name(held[0].name, graph.tensors[op.outputs[0]].name)
                    or f"output tensor {op.outputs[0]}",
                    kind,
                    size,
                )
            )
    return found


class _Reader:
    def __init__(self, model: Any):
        self.model = model
        self.names = [
            [flatbuffer.op_name(model, op) for op in graph.operators] for graph in model.subgraphs
        ]
        self.makers = [
            {
                int(out): (name, op)
                for name, op in zip(names, graph.operators)
                for out in _indices(op.outputs)
            }
            for names, graph in zip(self.names, model.subgraphs)
        ]
        self.assigned = {}
        for g, graph in enumerate(model.subgraphs):
            for name, op in zip(self.names[g], graph.operators):
                if name == "ASSIGN_VARIABLE":
                    self.assigned[self._variable(g, op.inputs[0])] = (g, int(op.inputs[1]))

    def layers(self):
        found = []
        for name, op in zip(self.names[0], self.model.subgraphs[0].operators):
            if (
                name in KINDS
                and self._constant_source(0, int(op.inputs[1]))
                and not self._is_window_sum(op)
            ):
                found.append(self._layer(name, op))
        return found

    def _layer(self, kind, op):
        tensor = self.model.subgraphs[0].tensors[op.inputs[1]]
        trace = _Trace()
        values = self._evaluate(0, int(op.inputs[1]), trace)
        axis = KINDS[kind]
        weights = self._effective(op, tensor, values, axis)
        factor, correction = self._behind(op, tensor, axis)
        if factor is not None:
            weights = weights * factor
        if correction is not None:
            weights = weights + correction
        encoding, payload, total = trace.summary(correction is not None)
        total += 0 if factor is None else 4 * factor.size
        name = layer_name(tensor.name, self.model.subgraphs[0].tensors[op.outputs[0]].name)
        bits = round(8 * payload / max(weights.size, 1), 4)
        exact = np.ascontiguousarray(weights, np.float32)
        return PackedLayer(
            name, kind, encoding, bits, total, exact.shape, str(detect(exact, axis)), lambda: exact
        )

    def _effective(self, op, tensor, values, axis):
        """The stored integers times the scale that the kernel itself knows."""
        if values.dtype.kind == "f":
            return values.astype(np.float32)
        scale, zero = _grid(tensor, values.ndim)
        return ((values.astype(np.int32) - zero).astype(np.float32) * scale).astype(np.float32)

    def _behind(self, op, tensor, axis):
        """(factor, addend) for the weights from a MUL by constants behind unit-scale or float-table weights, or from Σx added."""
        graph, out = self.model.subgraphs[0], int(op.outputs[0])
        users = [
            (n, o) for n, o in zip(self.names[0], graph.operators) if out in _indices(o.inputs)
        ]
        if len(users) != 1 or out in _indices(graph.outputs):
            return None, None
        name, user = users[0]
        other = next((int(i) for i in user.inputs if int(i) != out), -1)
        shape = [1] * len(tensor.shape)
        shape[axis] = -1
        made = self.makers[0].get(int(op.inputs[1]), ("", None))[0]
        decoded = (
            made in ("READ_VARIABLE", "RESHAPE", "DEQUANTIZE")
            or flatbuffer.tensor_type(tensor) != "FLOAT32"
        )
        if name == "MUL" and other >= 0 and decoded and _unit(tensor):
            factor = flatbuffer.constant(self.model, graph.tensors[other])
            if factor is not None and factor.size in (1, tensor.shape[axis]):
                return factor.reshape(shape).astype(np.float32), None
        if name == "ADD" and other in self.makers[0] and self.makers[0][other][0] == "MUL":
            total, scale = self.makers[0][other][1].inputs
            if self._is_sum_of(int(total), int(op.inputs[0])):
                values = flatbuffer.constant(self.model, graph.tensors[scale])
                return None, values.reshape(shape).astype(np.float32)
        return None, None

    def _is_sum_of(self, tensor, x):
        name, op = self.makers[0].get(tensor, ("", None))
        if name == "CONV_2D":
            return self._is_sum_of(int(op.inputs[0]), x)
        return name == "SUM" and int(op.inputs[0]) == x

    def _is_window_sum(self, op):
        """Whether it is the convolution of Σx with ones that corrects another one."""
        return (
            self.makers[0].get(int(op.inputs[0]), ("", None))[0] == "SUM"
            and self._shape(op.inputs[1])[-1] == 1
        )

    def _shape(self, tensor):
        return [int(n) for n in self.model.subgraphs[0].tensors[tensor].shape]

    def _constant_source(self, g, tensor):
        if self.model.buffers[self.model.subgraphs[g].tensors[tensor].buffer].data is not None:
            return True
        name, op = self.makers[g].get(tensor, ("", None))
        if name == "READ_VARIABLE":
            source = self.assigned.get(self._variable(g, op.inputs[0]))
            return source is not None and self._constant_source(*source)
        return name in _FOLLOWED and all(self._constant_source(g, int(i)) for i in op.inputs)

    def _variable(self, g, handle):
        op = self.makers[g].get(int(handle), ("", None))[1]
        return None if op is None else op.builtinOptions.sharedName

    def _evaluate(self, g, index, trace):
        """The tensor's stored or computed values as NumPy would have them; `trace` notes what was read on the way."""
        tensor = self.model.subgraphs[g].tensors[index]
        stored = flatbuffer.constant(self.model, tensor)
        if stored is not None:
            trace.constant(self.model, tensor)
            return _densify(tensor, stored) if tensor.sparsity is not None else stored
        name, op = self.makers[g][index]
        trace.ops.append(name)
        if name == "READ_VARIABLE":
            where, source = self.assigned[self._variable(g, op.inputs[0])]
            return self._evaluate(where, source, trace)
        inputs = [int(i) for i in op.inputs]
        if name == "GATHER":
            with trace.as_table():
                table = self._evaluate(g, inputs[0], trace)
            return table[self._evaluate(g, inputs[1], trace)]
        first = self._evaluate(g, inputs[0], trace)
        if name == "DEQUANTIZE":
            scale, zero = _grid(self.model.subgraphs[g].tensors[inputs[0]], first.ndim)
            return (
                first.astype(np.float32)
                if first.dtype.kind == "f"
                else (first.astype(np.int32) - zero).astype(np.float32) * scale
            )
        if name == "RESHAPE":
            return first.reshape([int(n) for n in tensor.shape])
        if name == "CAST":
            return first.astype(np.int64)
        if name == "DENSIFY":
            return first
        rest = [
            self._evaluate(g, i, _Trace())
            if name != "CONCATENATION"
            else self._evaluate(g, i, trace)
            for i in inputs[1:]
        ]
        if name == "MUL":
            return first * rest[0]
        if name == "CUMSUM":
            return np.cumsum(first, axis=int(rest[0]))
        if name == "TILE":
            return np.tile(first, rest[0])
        if name == "TRANSPOSE":
            return np.transpose(first, rest[0])
        if name == "CONCATENATION":
            return np.concatenate([first, *rest], axis=op.builtinOptions.axis)
        begin, end, step = rest  # STRIDED_SLICE
        return first[tuple(slice(int(a), int(z), int(s)) for a, z, s in zip(begin, end, step))]


class _Trace:
    """What was read to make a weight tensor: operators passed, bytes of codes, and of everything."""

    def __init__(self):
        self.ops, self.payload, self.total, self.kinds, self.sparse, self.inside_table = (
            [],
            0,
            0,
            [],
            None,
            False,
        )

    def constant(self, model, tensor):
        size = len(model.buffers[tensor.buffer].data)
        scales = 0
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            scales = 12 * len(tensor.quantization.scale)
        if tensor.sparsity is not None:
            self.sparse = tensor.sparsity
            for part in tensor.sparsity.dimMetadata:
                for vector in (part.arraySegments, part.arrayIndices):
                    size += 0 if vector is None else np.asarray(vector.values).nbytes
        self.total += size + scales
        self.kinds.append(flatbuffer.tensor_type(tensor))
        if (
            not self.inside_table or len(tensor.shape) == 1
        ):  # tables have rows; codes, masks and lists of values do not
            self.payload += size

    def as_table(self):
        trace = self

        class Inside:
            def __enter__(self):
                self.before, trace.inside_table = trace.inside_table, True

            def __exit__(self, *raised):
                trace.inside_table = self.before

        return Inside()

    def summary(self, corrected):
        """(name of the encoding, bytes of codes, all bytes)."""
        first = self.kinds[0].lower()
        if "CUMSUM" in self.ops:
            name = "bitmask"
        elif "READ_VARIABLE" in self.ops:
            name = "once"
        elif "GATHER" in self.ops:
            name = "folded" if "TILE" in self.ops else "gather"
        elif self.sparse is not None:
            kind = "int8" if first == "int8" else "float"
            name = (
                f"csr-{kind}"
                if "DENSIFY" in self.ops
                else f"blocks-{kind}"
                if len(self.sparse.blockMap or [])
                else f"sparse-{kind}"
            )
        elif first.startswith("float"):
            name = "float" if first == "float32" else first
        else:
            name = first + (
                "-sum" if corrected else "-dequantize" if "DEQUANTIZE" in self.ops else ""
            )
        return name, self.payload, self.total


def _grid(tensor, ndim):
    """(scale, zero point) of a quantized tensor, shaped to multiply its values; (1, 0) where it has none."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return np.float32(1), np.int32(0)
    shape = [1] * ndim
    if len(quantization.scale) > 1:
        shape[quantization.quantizedDimension] = -1
    scale = np.asarray(quantization.scale, np.float32).reshape(shape)
    zero = quantization.zeroPoint
    return scale, np.asarray(zero if zero is not None and len(zero) else 0, np.int32).reshape(shape)


def _unit(tensor):
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    return scale is None or not len(scale) or (len(scale) == 1 and scale[0] == 1)


def _densify(tensor, stored):
    """The dense array of a tensor stored as CSR in its last traversed dimension, or in dense blocks."""
    sparsity, shape = tensor.sparsity, [int(n) for n in tensor.shape]
    rows = next(part for part in sparsity.dimMetadata if part.format == 1)
    segments, indices = (
        np.asarray(rows.arraySegments.values, np.int64),
        np.asarray(rows.arrayIndices.values, np.int64),
    )
    at = np.repeat(np.arange(len(segments) - 1), np.diff(segments))
    if len(sparsity.blockMap if sparsity.blockMap is not None else []):
        width = int(sparsity.dimMetadata[-1].denseSize)
        dense = np.zeros((shape[0], shape[1] // width, width), stored.dtype)
        dense[at, indices] = stored.reshape(-1, width)
        return dense.reshape(shape)
    order = [int(i) for i in sparsity.traversalOrder]
    turned = np.zeros([shape[i] for i in order], stored.dtype)
    turned.reshape(len(segments) - 1, -1)[at, indices] = stored
    return np.ascontiguousarray(np.transpose(turned, np.argsort(order)))


def _indices(values):
    return [] if values is None else [int(i) for i in values]


def layer_name(*names):
    """The layer in a converter's tensor name: `net/conv1_1/convolution` → `conv1_1`; a name without a path is the layer's own."""
    for name in names:
        text = name.decode() if isinstance(name, bytes) else name or ""
        parts = text.split(";")[0].split("/")
        if text and not text.startswith(("arith.", "tfl.")):
            return parts[-2] if len(parts) > 1 else parts[0]
    return ""
