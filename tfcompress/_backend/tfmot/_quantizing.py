"""Quantization-aware training through TFMOT's extension points: annotate what can be, apply, and take the helpers off."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from tfcompress._backend.tfmot._affine import coefficients, replacement
from tfcompress._backend.tfmot._inside import act_as_inside
from tfcompress._backend.tfmot._load import load
from tfcompress._backend.tfmot._placement import Placement, also_supported
from tfcompress._backend.tfmot._quantizers import classes, custom_objects
from tfcompress.core._errors import ModelError


def quantize_scope(extra: dict[str, Any] | None = None) -> Any:
    """Scope in which tf_keras can load a quantization-aware model of this library; `extra` names more classes and functions."""
    import tf_keras

    theirs = (
        load().quantization.keras.quantize_scope().custom_objects
    )  # ours come after, so that they win
    return tf_keras.utils.custom_object_scope(*theirs, custom_objects(), extra or {})


def quantize(
    flat: Any, placement: Placement, *, clusters: bool, zeros: bool, tfmot_scheme: bool
) -> Any:
    """A quantization-aware model over copies of the layers of `flat` (which is used up), quantized where `placement` says.

    `clusters` and `zeros`: what the weights keep. `tfmot_scheme`: by TFMOT's own collaborative schemes, for comparison.
    """
    import tf_keras

    quant, made = load().quantization.keras, classes()
    folded = {}

    def annotate(layer):
        if layer.name in placement.affine:
            folded[layer.name], config = replacement(layer)
            return quant.quantize_annotate_layer(folded[layer.name], config)
        if layer.name in placement.output | placement.boundary:
            return quant.quantize_annotate_layer(layer, made.OutputConfig())
        if layer.name in placement.range_kept:
            return quant.quantize_annotate_layer(layer, made.OutputConfig(quantize_output=False))
        return quant.quantize_annotate_layer(layer) if layer.name in placement.default else layer

    untouched = {layer.name for layer in flat.layers} - placement.annotated - placement.boundary
    values = {
        layer.name: coefficients(layer) for layer in flat.layers if layer.name in placement.affine
    }
    annotated = tf_keras.models.clone_model(flat, clone_function=annotate)
    for name, layer in folded.items():
        for variable, numbers in zip(layer.weights, values[name]):
            variable.assign(np.reshape(numbers, variable.shape))
    with _building(flat):
        try:
            wrapped = quant.quantize_apply(
                annotated, _scheme(clusters, zeros, tfmot_scheme, untouched)
            )
        except (RuntimeError, ValueError, TypeError) as error:
            hint = (
                "Leave scheme='tfmot' out." if tfmot_scheme else "Leave the layer out with skip=."
            )
            raise ModelError(f"TFMOT refuses to quantize {flat.name!r}: {error} {hint}") from error
    for wrapper in wrapped_quantized(wrapped):
        act_as_inside(wrapper)
    return wrapped


def _scheme(clusters: bool, zeros: bool, tfmot_scheme: bool, untouched: set[str]) -> Any:
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        default_8bit_cluster_preserve_quantize_scheme as by_cluster,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (
        default_8bit_prune_preserve_quantize_scheme as by_zero,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_layout_transform as layout,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_scheme import (
        Default8BitQuantizeScheme,
    )

    if tfmot_scheme and clusters:
        return by_cluster.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=zeros)
    if tfmot_scheme and zeros:
        return by_zero.Default8BitPrunePreserveQuantizeScheme()
    stock = (
        "Default8BitQuantizeConfig",
        "Default8BitConvQuantizeConfig",
        "Default8BitConvTransposeQuantizeConfig",
    )

    def keeping(config):
        if type(config).__name__ not in stock or not config.weight_attrs or not (clusters or zeros):
            return config
        keep = {"per_axis": type(config).__name__ == stock[1], "clusters": clusters, "zeros": zeros}
        return classes().KeepingConfig(
            config.weight_attrs, config.activation_attrs, config.quantize_output, keep
        )

    class KeepingRegistry(registry.Default8BitQuantizeRegistry):
        def __init__(self):
            super().__init__()
            for kind, info in also_supported().items():
                self._layer_quantize_map[kind] = info

        def supports(
            self, layer
        ):  # asked for layers left alone as well, when they feed quantized ones: `boundary` sees to them
            return layer.name not in untouched and super().supports(layer)

        def get_quantize_config(self, layer):
            return keeping(super().get_quantize_config(layer))

    class KeepingLayout(layout.Default8BitQuantizeLayoutTransform):
        def apply(
            self, model, layer_quantize_map
        ):  # layers that feed a Concatenate get their config in here
            model, facts = super().apply(model, layer_quantize_map)
            for fact in facts.values():
                if fact.get("quantize_config") is not None:
                    fact["quantize_config"] = keeping(fact["quantize_config"])
            return model, facts

    class KeepingScheme(Default8BitQuantizeScheme):
        def get_quantize_registry(self):
            return KeepingRegistry()

        def get_layout_transformer(self):
            return KeepingLayout()

    return KeepingScheme()


@contextmanager
def _building(model: Any):
    """What rebuilding a model's layers from their configs needs: their classes and functions; ranges averaged over replicas."""
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    known = {}
    for layer in model.layers:
        if type(layer).__module__.partition(".")[0] != "tf_keras":
            known[type(layer).__name__] = type(layer)
        activation = getattr(layer, "activation", None)
        if hasattr(activation, "__name__") and not hasattr(
            tf_keras.activations, activation.__name__
        ):
            known[activation.__name__] = activation

    def averaged(create, **options):
        untouched = (
            options.get("aggregation", tf.VariableAggregation.NONE) == tf.VariableAggregation.NONE
        )
        if (
            untouched
            and not options.get("trainable")
            and tf.as_dtype(options.get("dtype") or tf.float32).is_floating
        ):
            options["aggregation"] = tf.VariableAggregation.MEAN
        return create(**options)

    with ExitStack() as stack:
        stack.enter_context(quantize_scope(known))
        stack.enter_context(
            SafeModeScope(False)
        )  # the model's own Lambdas, already running in this process
        if tf.distribute.has_strategy():
            stack.enter_context(tf.variable_creator_scope(averaged))
        yield


def wrapped_quantized(model: Any) -> list[Any]:
    """TFMOT's quantization wrappers in a model."""
    return [layer for layer in model.layers if type(layer).__name__ == "QuantizeWrapperV2"]


def quantized_kernels(model: Any) -> dict[str, list[np.ndarray]]:
    """Weights as the file will hold them, after fake quantization, by the name of the layer inside each wrapper."""
    return {
        wrapper.layer.name: [
            np.asarray(quantizer(weight, False, weights=facts))
            for weight, quantizer, facts in wrapper._weight_vars
        ]
        for wrapper in wrapped_quantized(model)
        if wrapper._weight_vars
    }


def strip_keeping(model: Any, *, tfmot_scheme: bool) -> Any:
    """The trained model without what kept zeros and clusters; quantization wrappers and ranges stay, for the converter."""
    import tf_keras

    if tfmot_scheme:
        load()
        from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
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
        made = {}

        def renew(layer):
            if layer.name not in keeping:
                return layer
            made[layer.name] = type(layer).from_config(
                {**layer.get_config(), "quantize_config": _plain(layer.quantize_config)}
            )
            made[layer.name].layer.build(
                layer._build_input_shape
            )  # the wrapper lists its layer's weights when it is built itself
            return made[layer.name]

        plain = tf_keras.models.clone_model(model, clone_function=renew)
        for name, wrapper in made.items():
            _copy_kept(model.get_layer(name), wrapper)
    return plain


def _plain(config: Any) -> dict[str, Any]:
    kind = (
        "Default8BitConvQuantizeConfig"
        if config.weight_quantizer.per_axis
        else "Default8BitQuantizeConfig"
    )
    return {
        "class_name": kind,
        "config": {key: value for key, value in config.get_config().items() if key != "keeping"},
    }


def _copy_kept(source: Any, target: Any) -> None:
    """Variables of one wrapper into another by their last names, the weights with their zeros and clusters in place."""
    values = {variable.name.rpartition("/")[2]: variable for variable in source.weights}
    for variable in target.weights:
        variable.assign(values[variable.name.rpartition("/")[2]])
    for (weight, quantizer, facts), (fresh, _, _) in zip(source._weight_vars, target._weight_vars):
        fresh.assign(quantizer.kept(weight, facts))
