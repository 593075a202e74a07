"""TensorFlow Lite for Microcontrollers in the shape of LiteRT's `Interpreter`.

The wheel `tflite-micro` has its reference kernels for this host's processor. Its interpreter prints
errors to stderr from C++, and some files end the process: `_micro_run` has it in a child process.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend.quiet import quiet
from tfcompress.core._types import Array

ARENAS = (1 << 24, 1 << 27, 1 << 30)
"""Bytes of the arenas tried, one after the other; what a file takes of one is measured."""
TOO_SMALL = ("Failed to allocate", "too small", "Failed to resize", "missing:", "Unable to alloc")
"""What the allocator says where the arena was the reason."""
PART = re.compile(r"'(?P<what>[^']+)' used (?P<bytes>\d+) bytes")
WHOLE = re.compile(r"Arena allocation (?P<what>total|head|tail) (?P<bytes>\d+) bytes")


@dataclass(frozen=True)
class Arena:
    """The memory that a file takes while it runs, in bytes, as the interpreter recorded it.

    `head_bytes` is what layers share for their activations, `tail_bytes` what stays for good, of
    which `parts` names the (what, bytes). Structures of the tail hold pointers, which are 8 bytes
    on this host and 4 on a 32-bit microcontroller, whose tail is smaller for it.
    """

    total_bytes: int
    head_bytes: int
    tail_bytes: int
    parts: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, printed: str) -> Arena:
        """From what `print_allocations` prints."""
        whole = {match["what"]: int(match["bytes"]) for match in WHOLE.finditer(printed)}
        parts = tuple((match["what"], int(match["bytes"])) for match in PART.finditer(printed))
        return cls(whole["total"], whole["head"], whole["tail"], parts)


class MicroInterpreter:
    """The main graph of a `.tflite`, open in TensorFlow Lite for Microcontrollers.

    It has those methods of LiteRT's `Interpreter` that `Interpreter` calls.

    Args:
        model_content: the file's bytes.
        model_path: or its path.
        arena_bytes: the memory it gets, 16 bytes aligned; None tries `ARENAS`.

    Raises:
        RuntimeError: the file does not load; with what the interpreter printed.
    """

    def __init__(
        self,
        model_content: bytes | None = None,
        model_path: str | None = None,
        arena_bytes: int | None = None,
        num_threads: int = 1,
        experimental_op_resolver_type: object = None,
    ):
        if model_content is None:
            with open(str(model_path), "rb") as file:
                model_content = file.read()
        schema = _schema()
        self.model = _read(schema, model_content)
        self.graph = self.model.subgraphs[0]
        self.inputs = [int(index) for index in self.graph.inputs]
        self.outputs = [int(index) for index in self.graph.outputs]
        self._raw = _open(model_content, arena_bytes)
        self._types = _names(schema.TensorType)
        self._kinds = _names(schema.BuiltinOperator)

    def allocate_tensors(self) -> None:
        """Done when the file was opened."""

    def resize_tensor_input(self, index: int, shape: Sequence[int]) -> None:
        """RuntimeError: there every shape is the file's."""
        fixed = [int(size) for size in self.graph.tensors[index].shape]
        raise RuntimeError(f"Shapes are fixed on a microcontroller: {fixed}, not {list(shape)}.")

    def reset_all_variables(self) -> None:
        """Set the state of recurrent layers to what it is at the start."""
        self._raw.reset()

    def invoke(self) -> None:
        """Run once; RuntimeError with what the interpreter printed."""
        noise = quiet()
        try:
            with noise:
                self._raw.invoke()
        except RuntimeError as error:
            raise RuntimeError(_reason(error, noise.text)) from error

    def set_tensor(self, index: int, values: Array) -> None:
        """Write an input."""
        self._raw.set_input(values, self.inputs.index(index))

    def get_tensor(self, index: int) -> Array:
        """An output, or a constant as the file stores it."""
        if index in self.outputs:
            return np.array(self._raw.get_output(self.outputs.index(index)))
        tensor = self.graph.tensors[index]
        stored = self.model.buffers[tensor.buffer].data
        if stored is None:
            raise ValueError(f"Tensor {index} is neither an output nor a constant.")
        values = np.frombuffer(np.asarray(stored, np.uint8).tobytes(), self._dtype(tensor))
        return values.reshape(tensor.shape)

    def get_input_details(self) -> list[dict[str, Any]]:
        """As LiteRT's."""
        return [self._detail(index) for index in self.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """As LiteRT's."""
        return [self._detail(index) for index in self.outputs]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """As LiteRT's."""
        return [self._detail(index) for index in range(len(self.graph.tensors))]

    def arena(self) -> Arena:
        """What the file takes of its arena, after a run."""
        with quiet() as noise:
            self._raw.print_allocations()
        return Arena.parse(noise.text)

    def _get_ops_details(self) -> list[dict[str, Any]]:
        return [
            {
                "index": number,
                "op_name": self._kind(self.model.operatorCodes[op.opcodeIndex]),
                "inputs": [] if op.inputs is None else list(op.inputs),
                "outputs": [] if op.outputs is None else list(op.outputs),
            }
            for number, op in enumerate(self.graph.operators)
        ]

    def _get_full_signature_list(self) -> dict[str, Any]:
        return {
            signature.signatureKey.decode(): {
                "inputs": _tensors_by_name(signature.inputs),
                "outputs": _tensors_by_name(signature.outputs),
            }
            for signature in self.model.signatureDefs or []
            if signature.subgraphIndex == 0
        }

    def _kind(self, code: Any) -> str:
        if code.customCode:
            return code.customCode.decode()
        return self._kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _dtype(self, tensor: Any) -> np.dtype:
        name = self._types[tensor.type].lower()
        packed = name in ("int4", "int2", "uint4")
        return np.dtype("uint8" if packed else name)

    def _detail(self, index: int) -> dict[str, Any]:
        tensor = self.graph.tensors[index]
        shape = [] if tensor.shape is None else list(tensor.shape)
        return {
            "index": index,
            "name": (tensor.name or b"").decode(),
            "shape": shape,
            "dtype": self._dtype(tensor),
            "quantization_parameters": _quantization(tensor.quantization),
        }


def _schema() -> Any:
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


def _read(schema: Any, data: bytes) -> Any:
    """The file as objects; RuntimeError where it is damaged."""
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    except (struct.error, TypeError, ValueError, IndexError) as error:
        raise RuntimeError(f"the file is damaged: {error}") from error


def _names(values: type) -> dict[int, str]:
    """The names of a schema's enumeration by number."""
    return {number: name for name, number in vars(values).items() if isinstance(number, int)}


def _quantization(known: Any | None) -> dict[str, Any]:
    """Scales, zero points and their axis; empty where the tensor is not quantized."""
    if known is None or known.scale is None:
        return {"scales": np.array([]), "zero_points": np.array([]), "quantized_dimension": 0}
    return {
        "scales": np.array(known.scale, np.float32),
        "zero_points": np.array(known.zeroPoint),
        "quantized_dimension": known.quantizedDimension,
    }


def _tensors_by_name(entries: Sequence[Any] | None) -> Mapping[str, int]:
    return {entry.name.decode(): int(entry.tensorIndex) for entry in entries or []}


def _open(data: bytes, arena_bytes: int | None) -> Any:
    """The wheel's interpreter in the first arena that is large enough."""
    from tflite_micro import runtime

    sizes = ARENAS if arena_bytes is None else (arena_bytes,)
    for size in sizes:
        noise = quiet()
        try:
            with noise:
                return runtime.Interpreter.from_bytes(data, arena_size=size)
        except RuntimeError as error:
            if size == sizes[-1] or not any(words in noise.text for words in TOO_SMALL):
                raise RuntimeError(_reason(error, noise.text)) from error
    raise AssertionError("no arena size was tried")


def _reason(error: Exception, noise: str) -> str:
    """What the interpreter printed, in one line; else what it raised."""
    lines = [" ".join(line.split()) for line in noise.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or str(error)
