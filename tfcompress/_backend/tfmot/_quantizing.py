"""Quantization-aware training through TFMOT's extension points: annotate what can be, apply, and
take the helpers off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from tfcompress._backend.tfmot._affine import coefficients, replacement
from tfcompress._backend.tfmot._inside import act_as_inside
from tfcompress._backend.tfmot._load import load
from tfcompress._backend.tfmot._placement import Placement
from tfcompress._backend.tfmot._quantizers import classes, custom_objects
from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array, Layer, Model, Variable


def quantize_scope(extra: dict[str, Any] | None = None) -> Any:
    """Scope in which tf_keras can load a quantization-aware model of this library; `extra` names
    more classes and functions.
    """
    import tf_keras

    theirs = load().quantization.keras.quantize_scope().custom_objects
    # Ours come after, so that they win.
    return tf_keras.utils.custom_object_scope(*theirs, custom_objects(), extra or {})


def quantize(
    flat: Model, placement: Placement, *, clusters: bool, zeros: bool, tfmot_scheme: bool
) -> Model:
    """A quantization-aware model over copies of the layers of `flat`, quantized where `placement`
    says.

    Args:
        flat: a Functional tf_keras model without models inside; it is used up.
        placement: what becomes of every layer.
        clusters, zeros: what the weights keep.
        tfmot_scheme: by TFMOT's own collaborative schemes, for comparison.

    Raises:
        ModelError: TFMOT refuses the model.
    """
    load()
    from tfcompress._backend.tfmot import _schemes

    untouched = {layer.name for layer in flat.layers} - placement.annotated - placement.boundary
    scheme = _schemes.scheme(_schemes.Keeping(clusters, zeros), untouched, tfmots=tfmot_scheme)
    annotated = _annotated(flat, placement)
    with _building(flat):
        try:
            wrapped = load().quantization.keras.quantize_apply(annotated, scheme)
        except (RuntimeError, ValueError, TypeError) as error:
            raise _refused(flat, error, tfmot_scheme) from error
    # A copy through its config has lost the regularizer of an Activation layer.
    regularizers = {layer.name: layer.activity_regularizer for layer in flat.layers}
    for wrapper in wrapped_quantized(wrapped):
        act_as_inside(wrapper)
        wrapper._activity_regularizer = regularizers.get(wrapper.layer.name)
    return wrapped


def _annotated(flat: Model, placement: Placement) -> Model:
    """The layers of `flat` with TFMOT's annotations; affine ones in another form."""
    import tf_keras

    annotate = load().quantization.keras.quantize_annotate_layer
    output_config = classes().OutputConfig
    affine = [layer for layer in flat.layers if layer.name in placement.affine]
    values = {layer.name: coefficients(layer) for layer in affine}
    replaced: dict[str, Layer] = {}

    def annotated(layer: Layer) -> Layer:
        if layer.name in placement.affine:
            replaced[layer.name], config = replacement(layer)
            return annotate(replaced[layer.name], config)
        if layer.name in placement.output | placement.boundary:
            return annotate(layer, output_config())
        if layer.name in placement.range_kept:
            return annotate(layer, output_config(quantize_output=False))
        return annotate(layer) if layer.name in placement.default else layer

    model = tf_keras.models.clone_model(flat, clone_function=annotated)
    for name, layer in replaced.items():
        for variable, numbers in zip(layer.weights, values[name]):
            variable.assign(np.reshape(numbers, variable.shape))
    return model


def _refused(flat: Model, error: Exception, tfmot_scheme: bool) -> ModelError:
    """TFMOT's own words without its trace, and what to do."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    cause = next((line for line in lines if line.startswith(kind)), lines[0] if lines else kind)
    step = "Leave the layer out with skip=."
    if tfmot_scheme:
        step = "Leave scheme='tfmot' out."
    return ModelError(f"TFMOT refuses to quantize {flat.name!r}: {cause} {step}")


@contextmanager
def _building(model: Model) -> Iterator[None]:
    """What rebuilding a model's layers from their configs needs: their classes and functions;
    ranges averaged over replicas.
    """
    import tensorflow as tf
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with ExitStack() as stack:
        stack.enter_context(quantize_scope(_own_classes(model)))
        # The model's own Lambdas are already running in this process.
        stack.enter_context(SafeModeScope(False))
        if tf.distribute.has_strategy():
            stack.enter_context(tf.variable_creator_scope(_averaged))
        yield


def _own_classes(model: Model) -> dict[str, Any]:
    """Name → class or function of what in the layers of `model` is not Keras's own."""
    import tf_keras

    own: dict[str, Any] = {}
    for layer in model.layers:
        if type(layer).__module__.partition(".")[0] != "tf_keras":
            own[type(layer).__name__] = type(layer)
        activation = getattr(layer, "activation", None)
        name = getattr(activation, "__name__", None)
        if name is not None and not hasattr(tf_keras.activations, name):
            own[name] = activation
    return own


def _averaged(create: Any, **options: Any) -> Variable:
    """A variable whose replicas are averaged: the ranges of real numbers, which no gradient
    sets.
    """
    import tensorflow as tf

    none = tf.VariableAggregation.NONE
    free = options.get("aggregation", none) == none and not options.get("trainable")
    if free and tf.as_dtype(options.get("dtype") or tf.float32).is_floating:
        options["aggregation"] = tf.VariableAggregation.MEAN
    return create(**options)


def wrapped_quantized(model: Model) -> list[Layer]:
    """TFMOT's quantization wrappers in a model."""
    return [layer for layer in model.layers if type(layer).__name__ == "QuantizeWrapperV2"]


def quantized_kernels(model: Model) -> dict[str, list[Array]]:
    """Weights as the file will hold them, after fake quantization, by the name of the layer inside
    each wrapper.
    """
    kernels: dict[str, list[Array]] = {}
    for wrapper in wrapped_quantized(model):
        if wrapper._weight_vars:
            kernels[wrapper.layer.name] = [
                np.asarray(quantizer(weight, False, weights=variables))
                for weight, quantizer, variables in wrapper._weight_vars
            ]
    return kernels


def strip_keeping(model: Model, *, tfmot_scheme: bool) -> Model:
    """The trained model without what kept zeros and clusters; quantization wrappers and ranges
    stay, for the converter.
    """
    if tfmot_scheme:
        load()
        from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
            cluster_utils,
        )

        return cluster_utils.strip_clustering_cqat(model)
    keeping = {
        wrapper.name
        for wrapper in wrapped_quantized(model)
        if type(wrapper.quantize_config).__name__ == "KeepingConfig"
    }
    if not keeping:
        return model
    with model.distribute_strategy.scope(), _building(model):
        return _without_keeping(model, keeping)


def _without_keeping(model: Model, keeping: set[str]) -> Model:
    """A copy of `model` in which the wrappers `keeping` quantize by TFMOT's own configs."""
    import tf_keras

    renewed: dict[str, Layer] = {}

    def renew(layer: Layer) -> Layer:
        if layer.name not in keeping:
            return layer
        config = {**layer.get_config(), "quantize_config": _tfmots(layer.quantize_config)}
        wrapper = type(layer).from_config(config)
        # The wrapper lists its layer's weights when it is built itself.
        wrapper.layer.build(layer._build_input_shape)
        renewed[layer.name] = wrapper
        return wrapper

    plain = tf_keras.models.clone_model(model, clone_function=renew)
    for name, wrapper in renewed.items():
        _copy_kept(model.get_layer(name), wrapper)
    return plain


def _tfmots(config: Any) -> dict[str, Any]:
    """TFMOT's own config, serialized, in place of a KeepingConfig."""
    kind = "Default8BitQuantizeConfig"
    if config.weight_quantizer.per_axis:
        kind = "Default8BitConvQuantizeConfig"
    options = {key: value for key, value in config.get_config().items() if key != "keeping"}
    return {"class_name": kind, "config": options}


def _copy_kept(source: Layer, target: Layer) -> None:
    """Variables of one wrapper into another by their last names, the weights with their zeros and
    clusters in place.
    """
    values = {_last_name(variable): variable for variable in source.weights}
    for variable in target.weights:
        variable.assign(values[_last_name(variable)])
    for (weight, quantizer, kept), (fresh, _, _) in zip(source._weight_vars, target._weight_vars):
        fresh.assign(quantizer.kept(weight, kept))


def _last_name(variable: Variable) -> str:
    return variable.name.rpartition("/")[2]
