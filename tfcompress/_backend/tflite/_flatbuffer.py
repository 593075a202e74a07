"""`.tflite` bytes ↔ the object tree of the schema: buffers outside read in, constants 16-byte aligned, equal ones shared."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tfcompress.core._errors import ConversionError
from tfcompress.core._types import Array

SMALL_TYPES = {"INT4": 4, "UINT4": 4, "INT2": 2}
"""Tensor types with several values in a byte, and their bits."""
_NUMPY = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "FLOAT64": "<f8",
    "INT8": "i1",
    "UINT8": "u1",
    "BOOL": "?",
    "INT16": "<i2",
    "UINT16": "<u2",
}
_NUMPY |= {"INT32": "<i4", "UINT32": "<u4", "INT64": "<i8", "UINT64": "<u8"}


def schema() -> Any:
    """The module of the schema's generated classes (`ModelT`, `TensorT`, enums), imported on first use."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def read(data: bytes) -> Any:
    """The `ModelT` tree of a `.tflite`; buffers stored behind the flatbuffer (by offset and size) are read in as well.

    Raises ConversionError for bytes that are not a `.tflite` or are cut short.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    data = bytes(data)
    require_identifier(data)
    try:
        model = flatbuffer_utils.read_model_from_bytearray(data)
    except Exception as error:  # the generated reader indexes wherever the bytes point
        raise ConversionError(
            f"The .tflite is damaged or cut short after {len(data):,} bytes: {error}."
        ) from error
    for buffer in model.buffers:
        if buffer.data is not None:
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
    return model


def require_identifier(data: bytes) -> None:
    """ConversionError unless the bytes have a `.tflite`'s identifier."""
    if data[4:8] != b"TFL3":
        raise ConversionError(
            f"Not a .tflite: bytes 4 to 8 are {data[4:8]!r}, expected b'TFL3'"
            f" ({len(data):,} bytes given)."
        )


def write(model: Any) -> bytes:
    """`model` as `.tflite` bytes: unused tensors, buffers and op codes left out, equal buffers stored once, data 16-byte aligned.

    The schema's `force_align: 16` is not honoured by its generated Python writer, hence `_Constant`. `model` may be used on.
    """
    import copy

    model = copy.copy(model)
    model.subgraphs = [copy.copy(graph) for graph in model.subgraphs]
    for graph in model.subgraphs:
        _drop_unused_tensors(model, graph)
    _drop_unused_codes(model)
    _share_buffers(model)
    builder = _sharing_builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _sharing_builder(size: int) -> Any:
    """A flatbuffer builder that writes equal names and equal short vectors (shapes, zero points) once.

    A written-out recurrent layer has thousands of tensors of one layer and shape.
    """
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        def __init__(self, size: int):
            super().__init__(size)
            self.written: dict[tuple[str, bytes], int] = {}

        def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict"):
            text = s.encode(encoding, errors) if isinstance(s, str) else bytes(s)
            return self._once("", text, lambda: super(SharingBuilder, self).CreateString(text))

        def CreateNumpyVector(self, x: Array) -> int:
            write = super().CreateNumpyVector
            return self._once(x.dtype.str, x.tobytes(), lambda: write(x))

        def _once(self, kind: str, content: bytes, create: Callable[[], int]) -> int:
            if (kind, content) not in self.written:
                self.written[kind, content] = create()
            return self.written[kind, content]

    return SharingBuilder(size)


def tensor_type(tensor: Any) -> str:
    """A tensor's type by name, e.g. `INT2`."""
    return enum_names("TensorType")[tensor.type]


def op_name(model: Any, op: Any) -> str:
    """An operator's builtin name, e.g. `CONV_2D` (`CUSTOM` for custom ones)."""
    code = model.operatorCodes[op.opcodeIndex]
    return enum_names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def constant(model: Any, tensor: Any) -> np.ndarray | None:
    """A constant tensor's stored values (2- and 4-bit ones unpacked to int8), flat for a sparse one; None if it is not constant."""
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    kind = tensor_type(tensor)
    shape = tuple(int(n) for n in (tensor.shape if tensor.shape is not None else ()))
    if kind in SMALL_TYPES:
        values = unpack_bits(data, SMALL_TYPES[kind])[: int(np.prod(shape))]
    elif kind in _NUMPY:
        values = np.frombuffer(bytes(data), _NUMPY[kind])
    else:
        return None
    return values if tensor.sparsity is not None else values.reshape(shape)


def pack_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement integers of `bits` (2 or 4) each, the first in a byte's lowest bits, row-major; uint8, padded with 0."""
    per = 8 // bits
    flat = np.asarray(values).astype(np.int8).reshape(-1).view(np.uint8) & (2**bits - 1)
    flat = np.append(flat, np.zeros(-flat.size % per, np.uint8)).reshape(-1, per)
    return np.bitwise_or.reduce(flat << (np.arange(per, dtype=np.uint8) * np.uint8(bits)), axis=1)


def unpack_bits(data: np.ndarray, bits: int) -> np.ndarray:
    """The int8 values that `pack_bits` packed, padding included."""
    per, half = 8 // bits, 1 << (bits - 1)
    digits = (
        np.asarray(data, np.uint8)[:, None] >> (np.arange(per, dtype=np.uint8) * np.uint8(bits))
    ) & (2**bits - 1)
    return ((digits.astype(np.int16) ^ half) - half).astype(np.int8).reshape(-1)


@functools.cache
def enum_names(enum: str) -> dict[int, str]:
    """The names of the schema's enum by their numbers."""
    members = vars(getattr(schema(), enum)).items()
    return {value: name for name, value in members if isinstance(value, int)}


class _Constant:
    """A buffer whose data start at a multiple of 16 bytes, as the schema demands."""

    def __init__(self, data):
        self.data = data

    def Pack(self, builder):
        s, data = schema(), None
        if self.data is not None:
            raw = np.ascontiguousarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(raw), 16)
            builder.head = builder.Head() - len(raw)
            builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
            data = builder.EndVector()
        s.BufferStart(builder)
        if data is not None:
            s.BufferAddData(builder, data)
        return s.BufferEnd(builder)


def _share_buffers(model):
    """Buffer 0 stays empty; every other used buffer once, in order of first use."""
    import copy

    kept, place = [_Constant(None)], {b"": 0}

    def moved(index):
        data = model.buffers[index].data
        if data is None or not len(data):
            return 0
        raw = np.ascontiguousarray(data, np.uint8)
        key = hashlib.sha256(raw.tobytes()).digest()
        if key not in place:
            place[key] = len(kept)
            kept.append(_Constant(raw))
        return place[key]

    for graph in model.subgraphs:
        graph.tensors = [copy.copy(tensor) for tensor in graph.tensors]
        for tensor in graph.tensors:
            tensor.buffer = moved(tensor.buffer)
            tensor.name = tensor.name or None
            tensor.shape = _vector(tensor.shape)
            tensor.shapeSignature = _vector(tensor.shapeSignature)
            if tensor.quantization is not None and not _says_something(tensor.quantization):
                tensor.quantization = None
    model.metadata = [copy.copy(item) for item in model.metadata or []] or None
    for item in model.metadata or []:
        item.buffer = moved(item.buffer)
    model.metadataBuffer = None
    model.buffers = kept


def _vector(values: Any) -> Array | None:
    """Integers as the array that the writer can share among tensors."""
    return None if values is None else np.asarray(values, np.int32)


def _says_something(quantization):
    fields = (quantization.scale, quantization.min, quantization.max, quantization.details)
    return any(
        field is not None and (not hasattr(field, "__len__") or len(field)) for field in fields
    )


def _drop_unused_tensors(model, graph):
    import copy

    signatures = [d for d in model.signatureDefs or [] if model.subgraphs[d.subgraphIndex] is graph]
    used = {int(i) for i in [*graph.inputs, *graph.outputs]}
    for op in graph.operators:
        used |= {
            int(i)
            for part in (op.inputs, op.outputs, op.intermediates)
            if part is not None
            for i in part
        }
    used |= {t.tensorIndex for d in signatures for t in [*(d.inputs or []), *(d.outputs or [])]}
    new = {old: place for place, old in enumerate(sorted(used - {-1}))} | {-1: -1}
    if len(new) == len(graph.tensors) + 1:
        return

    def moved(indices):
        return None if indices is None else [new[int(i)] for i in indices]

    graph.tensors = [graph.tensors[old] for old in sorted(used - {-1})]
    graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
    graph.operators = [copy.copy(op) for op in graph.operators]
    for op in graph.operators:
        op.inputs, op.outputs, op.intermediates = (
            moved(op.inputs),
            moved(op.outputs),
            moved(op.intermediates),
        )
    if signatures:
        model.signatureDefs = [
            copy.copy(d) if any(d is mine for mine in signatures) else d
            for d in model.signatureDefs
        ]
        for definition in model.signatureDefs:
            if model.subgraphs[definition.subgraphIndex] is graph:
                for side in ("inputs", "outputs"):
                    maps = [copy.copy(t) for t in getattr(definition, side) or []]
                    for item in maps:
                        item.tensorIndex = new[item.tensorIndex]
                    setattr(definition, side, maps)


def _drop_unused_codes(model):
    import copy

    used = sorted({op.opcodeIndex for graph in model.subgraphs for op in graph.operators})
    new = {old: place for place, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for graph in model.subgraphs:
        graph.operators = [copy.copy(op) for op in graph.operators]
        for op in graph.operators:
            op.opcodeIndex = new[op.opcodeIndex]
