"""What the converter cannot write, in one line: the operators, their layers, the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tfcompress._backend.tflite._export import Exported
from tfcompress._backend.tflite._facts import read_facts
from tfcompress._backend.tflite._format import Format
from tfcompress.core._errors import ConversionError

LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")
"""Operations of a graph that run other graphs; calibrating one ends the process."""

BROKEN_INT16 = {
    "SQUARED_DIFFERENCE": "the interpreter has no 16-bit kernel and ends",
    "PADV2": "the written file cannot be loaded",
    "SCATTER_ND": "the written file cannot be loaded",
    "SUM": "the written file gives wrong numbers",
}
"""Operators that the converter writes in 16×8 bits and no interpreter runs rightly (LiteRT 2.3)."""

REFUSED_INT16 = {
    *("ARG_MAX", "ATAN2", "CAST", "CEIL", "CONV_3D", "COS", "CUMSUM", "DEPTH_TO_SPACE", "DIV"),
    *("ELU", "EQUAL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "HARD_SWISH"),
    *("L2_NORMALIZATION", "LESS", "LESS_EQUAL", "LOCAL_RESPONSE_NORMALIZATION", "LOGICAL_AND"),
    *("LOGICAL_OR", "LOG_SOFTMAX", "NEG", "NOT_EQUAL", "POW", "PRELU", "REDUCE_ANY", "ROUND"),
    *("SIGN", "SIN", "SPACE_TO_DEPTH", "SQRT", "SQUARE", "TOPK_V2"),
}
"""Operators that the converter refuses in 16×8 bits (TF 2.21); with `fallback` they stay float."""

LISTED_LAYERS = 6
REASON_LENGTH = 300
REFUSED = "the converter refuses it"

Layers = Mapping[str, Sequence[str]]
"""Operator → the layers it is in."""


def refuse_loops(exported: Exported, form: Format) -> None:
    """ConversionError naming the layers where an integer format meets a loop or branch."""
    loops = [path for kind, path in exported.ops if kind in LOOPS]
    if not loops:
        return
    layers = dict.fromkeys(exported.find_layer(path) for path in loops)
    named = ", ".join(repr(layer) for layer in layers if layer)
    raise ConversionError(
        f"{form.label}: a loop or branch in {named or repr(loops[0])} cannot be integer"
        " (calibrating it ends the process). Take Float32, Float16 or DynamicRange."
    )


def refuse_written_loops(data: bytes, form: Format) -> None:
    """The same for a float file in which every LSTM should have become one operator."""
    loops = [op for op in read_facts(data).ops if op.kind in ("WHILE", "IF")]
    if loops:
        raise ConversionError(
            f"{form.label}: the converter left a loop in layer {loops[0].names[0]!r} instead of"
            " one LSTM operator. Take lstm='unrolled'."
        )


def refuse_trained_for_8_bits(exported: Exported, form: Format) -> None:
    """ConversionError where a model of QuantizeAware is to have 16-bit activations."""
    if any("FakeQuant" in kind for kind, _ in exported.ops):
        raise ConversionError(
            f"{form.label}: this model was trained for 8-bit activations (QuantizeAware) and the"
            " converter cannot widen them. Take Int8, or convert the model without QuantizeAware."
        )


def refuse_broken_int16(data: bytes, form: Format) -> None:
    """ConversionError where a 16×8-bit file holds an operator that no interpreter runs rightly."""
    layers = _layers_by_operator(data, "INT16")
    broken = {kind: reason for kind, reason in BROKEN_INT16.items() if kind in layers}
    if broken:
        raise ConversionError(_int16_message(broken, layers, form))


def explain(text: str, exported: Exported, form: Format, float_file: bytes | None) -> str:
    """The converter's failure `text` in one line.

    `float_file` is the model in float32, by which all operators without an integer form are
    found, not only the one that the converter names; None where it could not be written.
    """
    refused = re.findall(r"not yet supported for op: '(\w+)'", text)
    if refused:
        layers = _layers_by_operator(float_file, "FLOAT32") if float_file else {}
        known = REFUSED_INT16.intersection(layers) if not form.fallback else ()
        kinds = dict.fromkeys(sorted({*refused, *known}), REFUSED)
        broken = {kind: reason for kind, reason in BROKEN_INT16.items() if kind in layers}
        return _int16_message(broken | kinds, layers, form)
    missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", text)))
    if missing:
        listed = _listed({kind: _layers_with(exported, kind) for kind in missing})
        return (
            f"{form.label}: .tflite has no operator for {listed}. No target can express it: write"
            " the layer with operators that have one (gelu in its tanh form for Erf, say)."
        )
    return f"{form.label}: the converter failed: {_reason(text)}"


def _layers_with(exported: Exported, kind: str) -> list[str]:
    layers = (exported.find_layer(path) for op_kind, path in exported.ops if op_kind == kind)
    return [layer for layer in dict.fromkeys(layers) if layer]


def _reason(text: str) -> str:
    """The line of the converter's output that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for words in (("error:",), ("failed", "was not true")):
        for line in lines:
            if any(word in line for word in words):
                return line[:REASON_LENGTH]
    return lines[0][:REASON_LENGTH] if lines else "it gave no reason"


def _layers_by_operator(data: bytes, kind: str) -> dict[str, list[str]]:
    """Operator → layers of what has an input or output of type `kind` in a finished file."""
    layers: dict[str, list[str]] = {}
    for op in read_facts(data).ops:
        if op.holds(kind):
            known = layers.setdefault(op.kind, [])
            if op.names[0] and op.names[0] not in known:
                known.append(op.names[0])
    return layers


def _int16_message(bad: Mapping[str, str], layers: Layers, form: Format) -> str:
    listed = "; ".join(
        f"{_listed({kind: layers.get(kind, ())})} ({reason})" for kind, reason in bad.items()
    )
    way_out = "Int8, Float16 or DynamicRange"
    if not form.fallback and not set(bad) & set(BROKEN_INT16):
        way_out += f", or {form.label} with fallback=True (those operators stay float)"
    return f"{form.label} cannot express {listed}. Take {way_out}."


def _listed(operators: Layers) -> str:
    texts = []
    for kind, layers in operators.items():
        texts.append(f"{kind} in layer {_first(layers)}" if layers else kind)
    return "; ".join(texts)


def _first(layers: Sequence[str]) -> str:
    shown = ", ".join(map(repr, layers[:LISTED_LAYERS]))
    more = len(layers) - LISTED_LAYERS
    return f"{shown} and {more} more" if more > 0 else shown
