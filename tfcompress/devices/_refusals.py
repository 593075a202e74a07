"""Why a device cannot run a file: the operators by name, and the target that would run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfcompress._backend.tflite._facts import Op, read_facts
from tfcompress.core import TfcompressError

UNKNOWN = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
INTEGER = "Int8(io='int8') (recipe word int8io)"
SHORT = ("INT4", "INT2", "UINT4", "UINT8", "FLOAT16")
"""Types of stored weights that the kernels of microcontrollers do not take."""


def micro_refusal(data: bytes, error: TfcompressError) -> str:
    """What the interpreter of microcontrollers refuses in a file, in words that say what to do."""
    unknown = UNKNOWN.findall(str(error))
    if unknown:
        return (
            f"TensorFlow Lite for Microcontrollers has no operator {', '.join(unknown)}; no target "
            "changes that: replace the layer, or run the file on Host()."
        )
    try:
        ops = read_facts(data).ops
    except TfcompressError:
        return str(error)
    stored = {kind: _kinds(ops, kind) for kind in SHORT}
    for kind, named in stored.items():
        if named:
            return (
                f"{named} with weights stored as {kind.lower()}: TensorFlow Lite for "
                f"Microcontrollers does not take them. {INTEGER} runs there, and Float32()."
            )
    hybrid = _named(op.kind for op in ops if _is_hybrid(op))
    if hybrid:
        return (
            f"{hybrid} with int8 weights and float activations (a dynamic-range or weight-only "
            "file): TensorFlow Lite for Microcontrollers takes integers throughout, or floats. "
            f"{INTEGER} runs there, and Float32()."
        )
    return str(error)


def _kinds(ops: Iterable[Op], kind: str) -> str:
    return _named(op.kind for op in ops if any(one.kind == kind for one in op.constants))


def _is_hybrid(op: Op) -> bool:
    first = op.inputs[0] if op.inputs else None
    kernel = op.kernel
    return bool(kernel and kernel.kind == "INT8" and first and first.kind == "FLOAT32")


def _named(kinds: Iterable[str]) -> str:
    """`2 CONV_2D, FULLY_CONNECTED`, in the file's order."""
    listed = list(kinds)
    counts = {kind: listed.count(kind) for kind in dict.fromkeys(listed)}
    return ", ".join(kind if n == 1 else f"{n} {kind}" for kind, n in counts.items())
