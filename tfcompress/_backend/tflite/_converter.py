"""The door to TensorFlow's converter: a model of either Keras, batch fixed to 1, to the bytes of a `.tflite`, in silence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress._backend import bridge as doors
from tfcompress._backend.keras import _samples as _samples
from tfcompress._backend.quiet import quiet
from tfcompress._backend.tflite._export import Exported, export
from tfcompress._backend.tflite._facts import read_facts
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._rebuild import in_float32, unrolled
from tfcompress.core._errors import ConversionError

CALIBRATION_LIMIT, FEW_SAMPLES = 500, 100
"""Most samples that ranges are calibrated on, and how few of them are warned about."""

LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")

REFUSED_INT16 = (
    *(
        "ARG_MAX",
        "ATAN2",
        "CAST",
        "CEIL",
        "CONV_3D",
        "COS",
        "CUMSUM",
        "DEPTH_TO_SPACE",
        "DIV",
        "ELU",
        "EQUAL",
        "FLOOR",
        "FLOOR_DIV",
    ),
    *(
        "FLOOR_MOD",
        "GREATER",
        "GREATER_EQUAL",
        "HARD_SWISH",
        "L2_NORMALIZATION",
        "LESS",
        "LESS_EQUAL",
        "LOCAL_RESPONSE_NORMALIZATION",
    ),
    *(
        "LOGICAL_AND",
        "LOGICAL_OR",
        "LOG_SOFTMAX",
        "NEG",
        "NOT_EQUAL",
        "POW",
        "PRELU",
        "REDUCE_ANY",
        "ROUND",
        "SIGN",
        "SIN",
    ),
    *("SPACE_TO_DEPTH", "SQRT", "SQUARE", "TOPK_V2"),
)
"""Operators that the converter refuses in 16×8 bits (TF 2.21); with `fallback` it leaves them in float."""

BROKEN_INT16 = {
    "SQUARED_DIFFERENCE": "the interpreter has no 16-bit kernel and ends",
    "PADV2": "the written file cannot be loaded",
    "SCATTER_ND": "the written file cannot be loaded",
    "SUM": "the written file gives wrong numbers",
}
"""Operators that the converter writes in 16×8 bits, `fallback` or not, and no interpreter runs rightly (LiteRT 2.3)."""


@dataclass(frozen=True)
class Format:
    """What the converter is asked for; `activations` is "float", "int8" or "int16", `io` the type at the file's ends."""

    label: str
    optimize: bool = False
    float16: bool = False
    activations: str = "float"
    io: str = "float"
    fallback: bool = False

    @property
    def integer(self) -> bool:
        """Whether activations are integers, so that their ranges must be calibrated."""
        return self.activations != "float"


def convert(model: Any, form: Format, samples: Any = None) -> bytes:
    """`model` as `.tflite` bytes in `form`; integer ranges are calibrated on `samples`, CALIBRATION_LIMIT of them at most.

    Raises ModelError (no graph), DataError (samples missing or wrong), ConversionError (operator, layer, and the targets
    that can express it). Warns where fewer than FEW_SAMPLES samples calibrate.
    """
    doors.require_graph(model)
    open_shape = any(None in shape[1:] for _, shape, _ in doors.input_specs(model))
    arrays = None
    if form.integer:
        _samples.require(model, samples, form.label)
        arrays = _samples.as_samples(model, samples, CALIBRATION_LIMIT)
        if len(arrays[0]) < FEW_SAMPLES:
            few = f"{form.label}: ranges calibrated on {len(arrays[0])} samples; {FEW_SAMPLES} or more of the training set's are steadier."
            warnings.warn(few, stacklevel=3)
    elif open_shape and samples is not None:
        arrays = _samples.as_samples(model, samples, 1)
    shown = in_float32(model)
    if form.integer:
        shown = unrolled(shown, form.label)
    if form.activations == "int16" and any(
        type(layer).__name__ == "Embedding" for layer in doors.leaf_layers(shown)
    ):
        shown = doors.to_tf_keras(
            shown
        )  # Keras 3 compares the ids with 0, which the converter refuses in 16×8 bits
    exported = export(
        shown, model, [array.shape for array in arrays] if arrays is not None else None
    )
    if form.integer:
        _refuse_loops(exported, form)
    if form.activations == "int16":
        _refuse_int16(exported, form)
    return _run(exported, form, arrays)


def _run(exported: Exported, form: Format, arrays: Sequence[np.ndarray] | None) -> bytes:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with quiet() as noise:
                converter = tf.lite.TFLiteConverter.from_concrete_functions(
                    [exported.function], exported.holder
                )
                if form.optimize:
                    converter.optimizations = [tf.lite.Optimize.DEFAULT]
                if form.float16:
                    converter.target_spec.supported_types = [tf.float16]
                if form.integer:
                    _ask_integer(converter, form, arrays)
                return bytes(converter.convert())
        except Exception as error:  # whatever the converter raises becomes one line that names operator, layer and way out
            text = f"{error}\n{noise.text}"
    raise ConversionError(_explain(text, exported, form))


def _ask_integer(converter: Any, form: Format, arrays: Sequence[np.ndarray] | None) -> None:
    import tensorflow as tf

    sets = tf.lite.OpsSet
    only = {
        "int8": sets.TFLITE_BUILTINS_INT8,
        "int16": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    converter.target_spec.supported_ops = [only[form.activations]] + [
        sets.TFLITE_BUILTINS
    ] * form.fallback
    if form.io != "float":
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(
            form.io
        )
    if arrays is not None:
        converter.representative_dataset = lambda: (
            [array[i : i + 1] for array in arrays] for i in range(len(arrays[0]))
        )


def _refuse_loops(exported: Exported, form: Format) -> None:
    loops = [path for kind, path in exported.ops if kind in LOOPS]
    if loops:
        names = LayerNames(exported.model)
        where = ", ".join(
            dict.fromkeys(repr(name) for name in map(names.find, loops) if name)
        ) or repr(loops[0])
        raise ConversionError(
            f"{form.label}: a loop or branch in {where} cannot be integer (calibrating it ends the process)."
            " Take Float32, Float16 or DynamicRange."
        )


def _refuse_int16(exported: Exported, form: Format) -> None:
    """Write it in float first: only then is it known which operators are left, and from which layers."""
    if any("FakeQuant" in kind for kind, _ in exported.ops):
        raise ConversionError(
            f"{form.label}: this model was trained for 8-bit activations (QuantizeAware) and the converter cannot widen them. Take Int8,"
            " or convert the model without QuantizeAware."
        )
    found = _float_ops(exported, form)
    bad = {kind: reason for kind, reason in BROKEN_INT16.items() if kind in found}
    if not form.fallback:
        bad |= {kind: "the converter refuses it" for kind in REFUSED_INT16 if kind in found}
    if bad:
        raise ConversionError(_int16_message(bad, found, form))


def _float_ops(exported: Exported, form: Format) -> dict[str, list[str]]:
    """Operator kind → layers, of what computes with real numbers in the model written in float32."""
    names = LayerNames(exported.model)
    found: dict[str, list[str]] = {}
    for op in read_facts(_run(exported, Format(form.label), None)).ops:
        if not op.holds("FLOAT32"):
            continue
        layers = found.setdefault(op.kind, [])
        layer = names.find(*op.names)
        if layer and layer not in layers:
            layers.append(layer)
    return found


def _explain(text: str, exported: Exported, form: Format) -> str:
    """The converter's failure `text` in one line: the operators it names, the layers they are in, what to do."""
    refused = re.findall(r"not yet supported for op: '(\w+)'", text)
    if refused:
        return _int16_message(
            dict.fromkeys(refused, "the converter refuses it"), _float_ops(exported, form), form
        )
    missing = set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", text))
    if missing:
        names = LayerNames(exported.model)
        where = {
            op: dict.fromkeys(
                filter(None, (names.find(path) for kind, path in exported.ops if kind == op))
            )
            for op in missing
        }
        return (
            f"{form.label}: .tflite has no operator for {_listed({op: (*where[op],) for op in sorted(missing)})}. No target can express"
            " it: write the layer with operators that have one (gelu in its tanh form for Erf, say)."
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = (
        [line for line in lines if "error:" in line]
        or [line for line in lines if "failed" in line or "was not true" in line]
        or lines
    )
    return f"{form.label}: the converter failed: {told[0][:300] if told else 'it gave no reason'}"


def _int16_message(bad: Mapping[str, str], found: Mapping[str, Sequence[str]], form: Format) -> str:
    listed = "; ".join(
        f"{_listed({kind: found.get(kind, ())})} ({reason})" for kind, reason in bad.items()
    )
    way_out = "Int8, Float16 or DynamicRange"
    if not form.fallback and not set(bad) & set(BROKEN_INT16):
        way_out += f", or {form.label} with fallback=True (those operators stay float)"
    return f"{form.label} cannot express {listed}. Take {way_out}."


def _listed(where: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        f"{op} in layer {_first(layers)}" if layers else op for op, layers in where.items()
    )


def _first(layers: Sequence[str], most: int = 6) -> str:
    return ", ".join(map(repr, layers[:most])) + (
        f" and {len(layers) - most} more" if len(layers) > most else ""
    )
