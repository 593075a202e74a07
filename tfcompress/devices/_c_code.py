"""The C++ of a kit, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tfcompress.core._types import Array

A_LINE = 12
TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t"}
TYPES |= {"int64": "int64_t", "float32": "float", "bool": "bool"}
METHODS = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "TFLM_DECODE": "Decode",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "ethos-u": "EthosU",
}
"""Operators whose method of the resolver is not their name in capitalized words."""


def header(size: int, arena: int, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """`model.h`: the array, the arena's size, scale and zero point of every input and output."""
    ends = [*_ends("Input", inputs), *_ends("Output", outputs)]
    lines = [
        "#pragma once",
        "",
        "#include <cstddef>",
        "",
        f"constexpr size_t kModelSize = {size};",
        "extern const unsigned char g_model[kModelSize];",
        "",
        "// What was measured on a 64-bit host, and a margin; see README.md.",
        f"constexpr size_t kArenaSize = {arena};",
        "",
        "// real = scale * (stored - zero point); a scale of 0 means real numbers as they are.",
        *ends,
    ]
    return "\n".join(lines) + "\n"


def array(data: bytes, alignment: int) -> str:
    """`model.cc`: the file's bytes, aligned as the interpreter wants them."""
    rows = (data[start : start + A_LINE] for start in range(0, len(data), A_LINE))
    body = [f"    {', '.join(f'0x{byte:02x}' for byte in row)}," for row in rows]
    lines = [
        '#include "model.h"',
        "",
        f"alignas({alignment}) const unsigned char g_model[kModelSize] = {{",
        *body,
        "};",
    ]
    return "\n".join(lines) + "\n"


def operators(kinds: Sequence[str]) -> str:
    """`model_operators.h`: the lines that add the file's operators to a resolver."""
    adds = [f"  if (resolver.{method(kind)}() != kTfLiteOk) return kTfLiteError;" for kind in kinds]
    lines = [
        "#pragma once",
        "",
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"',
        "",
        f"constexpr unsigned int kOperatorCount = {len(kinds)};",
        "",
        "inline TfLiteStatus AddModelOperators(",
        "    tflite::MicroMutableOpResolver<kOperatorCount>& resolver) {",
        *adds,
        "  return kTfLiteOk;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def method(kind: str) -> str:
    """The resolver's method that adds an operator: CONV_2D → AddConv2D."""
    words = METHODS.get(kind) or "".join(_capitalized(word) for word in kind.split("_"))
    return f"Add{words}"


def test_vector(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """`model_test.h`: the inputs and the outputs that they give, as the file stores them."""
    lines = ["#pragma once", "", "#include <cstddef>", "#include <cstdint>", ""]
    for kind, vectors in (("Input", inputs), ("Output", outputs)):
        for number, vector in enumerate(vectors):
            lines += _values(f"kTest{kind}{number}", vector.values, vector.name)
    return "\n".join(lines) + "\n"


def _capitalized(word: str) -> str:
    """CONV → Conv, 2D → 2D, RELU6 → Relu6."""
    return word if word[0].isdigit() else word.capitalize()


def _ends(kind: str, vectors: Iterable[Any]) -> list[str]:
    lines: list[str] = []
    for number, vector in enumerate(vectors):
        lines += [
            f"// {_comment(vector.name)}: {vector.values.dtype} {list(vector.values.shape)}",
            f"constexpr float k{kind}{number}Scale = {_float(vector.scale)};",
            f"constexpr int k{kind}{number}ZeroPoint = {vector.zero_point};",
        ]
    return lines


def _values(name: str, values: Array, what: str) -> list[str]:
    numbers = values.ravel().tolist()
    words = [_float(one) if values.dtype.kind == "f" else str(one).lower() for one in numbers]
    rows = [", ".join(words[at : at + A_LINE]) for at in range(0, len(words), A_LINE)]
    return [
        f"// {_comment(what)}: {list(values.shape)}",
        f"constexpr size_t {name}Size = {len(words)};",
        f"constexpr {TYPES[values.dtype.name]} {name}[{name}Size] = {{",
        *(f"    {row}," for row in rows),
        "};",
        "",
    ]


def _comment(name: str) -> str:
    """A tensor's name where it cannot end or continue a comment."""
    return "".join(letter if letter.isprintable() and letter != "\\" else "?" for letter in name)


def _float(value: float) -> str:
    """A float32 in C, every bit of it."""
    return f"{float(value):.9e}f"
