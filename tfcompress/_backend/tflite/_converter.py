"""The door to TensorFlow's converter: a model of either Keras to `.tflite` bytes, in silence."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

from tfcompress._backend import bridge as doors
from tfcompress._backend.keras import _samples as _samples
from tfcompress._backend.quiet import quiet
from tfcompress._backend.tflite._export import Exported, export
from tfcompress._backend.tflite._finish import Finish
from tfcompress._backend.tflite._format import Format
from tfcompress._backend.tflite._rebuild import fusible, in_float32, unrolled
from tfcompress._backend.tflite._refusals import (
    explain,
    refuse_broken_int16,
    refuse_loops,
    refuse_trained_for_8_bits,
    refuse_written_loops,
)
from tfcompress.core._errors import ConversionError
from tfcompress.core._types import Array, Data, Model

__all__ = ["CALIBRATION_LIMIT", "FEW_SAMPLES", "Format", "convert"]

Calibration = Callable[[], Iterator[list[Array] | dict[str, Array]]]

CALIBRATION_LIMIT = 500
"""Most samples that ranges are calibrated on."""
FEW_SAMPLES = 100
"""Fewer samples than this are warned about."""


def convert(model: Model, form: Format, samples: Data = None) -> bytes:
    """`model` with batch 1 as `.tflite` bytes in `form`, under the user's names.

    Integer ranges are calibrated on `samples`, CALIBRATION_LIMIT of them at most; other formats
    need them only to settle open dimensions. Warns where fewer than FEW_SAMPLES calibrate.

    Raises ModelError (no graph), DataError (samples missing or wrong), ConversionError (operator,
    layer, and the targets that can express it).
    """
    doors.require_graph(model)
    arrays = _arrays(model, form, samples)
    shapes = None if arrays is None else [array.shape for array in arrays]
    exported = export(_shown(model, form), model, shapes, fusing=form.fused)
    if form.fused:
        refuse_written_loops(_run(exported, Format(form.label), None), form)
    elif form.integer:
        refuse_loops(exported, form)
    if form.activations != "int16":
        return _run(exported, form, arrays)
    refuse_trained_for_8_bits(exported, form)
    data = _run(exported, form, arrays)
    refuse_broken_int16(data, form)
    return data


def _arrays(model: Model, form: Format, samples: Data) -> list[Array] | None:
    """The checked samples that are needed: to calibrate, or one for open dimensions."""
    if form.integer:
        _samples.require(model, samples, form.label)
        arrays = _samples.as_samples(model, samples, CALIBRATION_LIMIT)
        if len(arrays[0]) < FEW_SAMPLES:
            warnings.warn(
                f"{form.label}: ranges calibrated on {len(arrays[0])} samples; {FEW_SAMPLES} or"
                " more of the training set's are steadier.",
                stacklevel=4,
            )
        return arrays
    is_open = any(None in shape[1:] for _, shape, _ in doors.input_specs(model))
    return _samples.as_samples(model, samples, 1) if is_open and samples is not None else None


def _shown(model: Model, form: Format) -> Model:
    """The model that the converter is shown: the user's own, or a copy that it can take."""
    shown = in_float32(model)
    if form.fused:
        return fusible(shown, form.label)
    if form.integer:
        shown = unrolled(shown, form.label)
    layers = doors.leaf_layers(shown) if form.activations == "int16" else []
    if any(type(layer).__name__ == "Embedding" for layer in layers):
        # Keras 3 compares the ids with 0, which the converter refuses in 16×8 bits.
        shown = doors.to_tf_keras(shown)
    return shown


def _run(exported: Exported, form: Format, arrays: Sequence[Array] | None) -> bytes:
    """The finished file; ConversionError for whatever the converter raises."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        noise = quiet()
        try:
            with noise:
                converter = tf.lite.TFLiteConverter.from_concrete_functions(
                    [exported.function], exported.holder
                )
                _ask(converter, form, _calibration(exported, arrays))
                data = bytes(converter.convert())
        except Exception as error:  # becomes one line that names operator, layer and way out
            text = f"{error}\n{noise.text}"
        else:
            return Finish(exported).apply(data)
    raise ConversionError(explain(text, exported, form, _float_file(exported, form)))


def _float_file(exported: Exported, form: Format) -> bytes | None:
    """The model in float32, to look up operators in; None where even that cannot be written."""
    if not form.integer:
        return None
    try:
        return _run(exported, Format(form.label), None)
    except ConversionError:
        return None


def _ask(converter: object, form: Format, calibration: Calibration | None) -> None:
    """Set the converter's options to `form`."""
    import tensorflow as tf

    kit: tf.lite.TFLiteConverter = converter  # type: ignore[assignment]
    if form.optimize:
        kit.optimizations = [tf.lite.Optimize.DEFAULT]
    if form.float16:
        kit.target_spec.supported_types = [tf.float16]
    if not form.integer:
        return
    sets = tf.lite.OpsSet
    only = {
        "int8": sets.TFLITE_BUILTINS_INT8,
        "int16": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    kit.target_spec.supported_ops = [only[form.activations]]
    if form.fallback:
        kit.target_spec.supported_ops.append(sets.TFLITE_BUILTINS)
    kit._experimental_disable_per_channel_quantization_for_dense_layers = form.dense_per_tensor
    if form.io != "float":
        kit.inference_input_type = kit.inference_output_type = tf.dtypes.as_dtype(form.io)
    if calibration is not None:
        kit.representative_dataset = calibration


def _calibration(exported: Exported, arrays: Sequence[Array] | None) -> Calibration | None:
    """A function whose generator gives one sample after the other; None without samples."""
    if arrays is None:
        return None
    by_name = exported.through_a_file and len(arrays) > 1

    def one_by_one() -> Iterator[list[Array] | dict[str, Array]]:
        for index in range(len(arrays[0])):
            sample = [array[index : index + 1] for array in arrays]
            yield dict(zip(exported.inputs, sample)) if by_name else sample

    return one_by_one
