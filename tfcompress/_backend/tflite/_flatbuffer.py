"""`.tflite` bytes ↔ the object tree of the schema.

Buffers outside the flatbuffer are read in, constants are 16-byte aligned and equal ones shared.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.tflite._tree import (
    ModelTree,
    OperatorCodeTree,
    OperatorTree,
    QuantizationTree,
    SchemaModule,
    TensorTree,
)
from tfcompress._backend.tflite._trim import drop_unused
from tfcompress.core._errors import ConversionError
from tfcompress.core._types import Array

IDENTIFIER = b"TFL3"
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
    "INT32": "<i4",
    "UINT32": "<u4",
    "INT64": "<i8",
    "UINT64": "<u8",
}
SPARE = 1 << 16
"""Bytes that a file is thought to have beside its constants; more are found where they are not."""
ALIGNMENT = 16
"""Bytes that a buffer's data start at a multiple of, as the schema demands."""


def schema() -> SchemaModule:
    """The module of the schema's generated classes and enums, imported on first use."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@functools.cache
def enum_names(enum: str) -> dict[int, str]:
    """The names of the schema's enum by their numbers."""
    members = vars(getattr(schema(), enum)).items()
    return {value: name for name, value in members if isinstance(value, int)}


def require_identifier(data: bytes) -> None:
    """ConversionError unless the bytes have a `.tflite`'s identifier."""
    if data[4:8] != IDENTIFIER:
        raise ConversionError(
            f"Not a .tflite: bytes 4 to 8 are {data[4:8]!r}, expected {IDENTIFIER!r}"
            f" ({len(data):,} bytes given)."
        )


def read(data: bytes) -> ModelTree:
    """The `ModelT` tree of a `.tflite`.

    Buffers stored behind the flatbuffer (by offset and size) are read in as well. Raises
    ConversionError for bytes that are not a `.tflite` or are cut short.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    data = bytes(data)
    require_identifier(data)
    try:
        model: ModelTree = flatbuffer_utils.read_model_from_bytearray(data)
    except Exception as error:  # the generated reader indexes wherever the bytes point
        raise ConversionError(
            f"The .tflite is damaged or cut short after {len(data):,} bytes: {error}."
        ) from error
    for buffer in model.buffers or []:
        if buffer.data is not None:
            buffer.data = np.frombuffer(buffer.data, np.uint8)  # no copy
    return model


def write(model: ModelTree) -> bytes:
    """`model` as `.tflite` bytes.

    Unused tensors, buffers and op codes are left out, equal buffers stored once, data 16-byte
    aligned: the schema's `force_align: 16` is not honoured by its generated Python writer, hence
    `_Constant`. `model` may be used on.
    """
    model = drop_unused(model)
    _share_buffers(model)
    # As large as the file: growing would double it, with both sizes in memory.
    constants = sum(len(buffer.data) + ALIGNMENT for buffer in model.buffers if buffer.size)
    builder = _sharing_builder(constants + SPARE)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


def tensor_type(tensor: TensorTree) -> str:
    """A tensor's type by name, e.g. `INT2`."""
    return enum_names("TensorType")[tensor.type]


def custom_name(code: OperatorCodeTree) -> str | None:
    """The name of a custom operator's code; None where it is no custom one."""
    name = code.customCode
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def op_name(model: ModelTree, op: OperatorTree) -> str:
    """An operator's builtin name, e.g. `CONV_2D` (`CUSTOM` for custom ones)."""
    code = model.operatorCodes[op.opcodeIndex]
    return enum_names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def constant(model: ModelTree, tensor: TensorTree) -> Array | None:
    """A constant tensor's stored values, flat for a sparse one; None if it is not constant.

    2- and 4-bit values are unpacked to int8.
    """
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


def pack_bits(values: Array, bits: int) -> Array:
    """Two's complement integers of `bits` (2 or 4) each, row-major, padded with 0, as uint8.

    The first is in a byte's lowest bits.
    """
    per_byte = 8 // bits
    digits = np.asarray(values).astype(np.int8).reshape(-1).view(np.uint8) & (2**bits - 1)
    padding = np.zeros(-digits.size % per_byte, np.uint8)
    rows = np.append(digits, padding).reshape(-1, per_byte)
    return np.bitwise_or.reduce(rows << _shifts(bits), axis=1)


def unpack_bits(data: Array, bits: int) -> Array:
    """The int8 values that `pack_bits` packed, padding included."""
    half = 1 << (bits - 1)
    digits = (np.asarray(data, np.uint8)[:, None] >> _shifts(bits)) & (2**bits - 1)
    return ((digits.astype(np.int16) ^ half) - half).astype(np.int8).reshape(-1)


def _shifts(bits: int) -> Array:
    """How far each value in a byte is shifted."""
    return np.arange(8 // bits, dtype=np.uint8) * np.uint8(bits)


def _sharing_builder(size: int):
    """A flatbuffer builder that writes equal names and equal short vectors once.

    A written-out recurrent layer has thousands of tensors of one layer and shape.
    """
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        def __init__(self, size: int):
            super().__init__(size)
            self.written: dict[tuple[str, bytes], int] = {}

        def CreateString(
            self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict"
        ) -> int:
            text = s.encode(encoding, errors) if isinstance(s, str) else bytes(s)
            write = super().CreateString
            return self._once("", text, lambda: write(text))

        def CreateNumpyVector(self, x: Array) -> int:
            write = super().CreateNumpyVector
            return self._once(x.dtype.str, x.tobytes(), lambda: write(x))

        def _once(self, kind: str, content: bytes, create: Callable[[], int]) -> int:
            if (kind, content) not in self.written:
                self.written[kind, content] = create()
            return self.written[kind, content]

    return SharingBuilder(size)


class _Constant:
    """A buffer whose data start at a multiple of ALIGNMENT."""

    def __init__(self, data: Array | None):
        self.data = data
        self.size = 0 if data is None else len(data)

    def Pack(self, builder: Any) -> int:
        """Write the buffer; called by the generated writer of the model."""
        kit, vector = schema(), None
        if self.data is not None:
            builder.StartVector(1, self.size, ALIGNMENT)
            builder.head = builder.Head() - self.size
            place = slice(builder.Head(), builder.Head() + self.size)
            np.frombuffer(builder.Bytes, np.uint8)[place] = self.data
            vector = builder.EndVector()
        kit.BufferStart(builder)
        if vector is not None:
            kit.BufferAddData(builder, vector)
        return kit.BufferEnd(builder)


class _Buffers:
    """The used buffers of a file, each content once, in order of first use; buffer 0 is empty."""

    def __init__(self, model: ModelTree):
        self.given = model.buffers
        self.kept = [_Constant(None)]
        self._places: dict[bytes, int] = {}

    def place(self, index: int) -> int:
        """Where the content of the given buffer is now."""
        data = self.given[index].data
        if data is None or not len(data):
            return 0
        raw = np.ascontiguousarray(data, np.uint8).reshape(-1)
        key = hashlib.sha256(raw.data).digest()
        if key not in self._places:
            self._places[key] = len(self.kept)
            self.kept.append(_Constant(raw))
        return self._places[key]


def _share_buffers(model: ModelTree) -> None:
    """Store equal buffers once, and leave out what says nothing."""
    buffers = _Buffers(model)
    for graph in model.subgraphs:
        graph.tensors = [copy.copy(tensor) for tensor in graph.tensors]
        for tensor in graph.tensors:
            tensor.buffer = buffers.place(tensor.buffer)
            tensor.name = tensor.name or None
            tensor.shape = _vector(tensor.shape)
            tensor.shapeSignature = _vector(tensor.shapeSignature)
            if tensor.quantization is not None and _is_empty(tensor.quantization):
                tensor.quantization = None
    model.metadata = [copy.copy(item) for item in model.metadata or []] or None
    for item in model.metadata or []:
        item.buffer = buffers.place(item.buffer)
    model.metadataBuffer = None
    model.buffers = buffers.kept


def _vector(values: Sequence[int] | Array | None) -> Array | None:
    """Integers as the array that the writer can share among tensors."""
    return None if values is None else np.asarray(values, np.int32)


def _is_empty(quantization: QuantizationTree) -> bool:
    """Whether no field of a tensor's quantization holds anything."""
    fields = (quantization.scale, quantization.min, quantization.max)
    has_values = any(field is not None and len(field) for field in fields)
    return not has_values and quantization.details is None
