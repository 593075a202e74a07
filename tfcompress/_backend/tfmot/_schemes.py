"""TFMOT's quantization schemes, and the one in which weights keep their zeros and clusters.

This file imports TFMOT: import it inside functions only, after `load()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
    default_8bit_cluster_preserve_quantize_scheme as by_cluster,
)
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
    default_8bit_prune_preserve_quantize_scheme as by_zero,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_layout_transform as layout,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry as registry,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_scheme as schemes,
)

from tfcompress._backend.tfmot._keeping import KeepingConfig
from tfcompress._backend.tfmot._placement import also_supported
from tfcompress.core._types import Layer, Model

_BY_CHANNEL = "Default8BitConvQuantizeConfig"
_WITH_KERNEL = (
    "Default8BitQuantizeConfig",
    _BY_CHANNEL,
    "Default8BitConvTransposeQuantizeConfig",
)


@dataclass(frozen=True)
class Keeping:
    """What the weights of a model keep while they are trained."""

    clusters: bool
    zeros: bool

    def config(self, config: Any) -> Any:
        """TFMOT's `config` of a layer, or one whose weights are kept."""
        kind = type(config).__name__
        keeps = self.clusters or self.zeros
        if not keeps or kind not in _WITH_KERNEL or not config.weight_attrs:
            return config
        keeping = {
            "per_axis": kind == _BY_CHANNEL,
            "clusters": self.clusters,
            "zeros": self.zeros,
        }
        return KeepingConfig(
            config.weight_attrs, config.activation_attrs, config.quantize_output, keeping
        )


class KeepingRegistry(registry.Default8BitQuantizeRegistry):
    """TFMOT's 8-bit layers and those that it leaves out, except the `untouched` ones.

    Args:
        keeping: what the weights keep.
        untouched: names of layers that stay as they are.
    """

    def __init__(self, keeping: Keeping, untouched: set[str]) -> None:
        super().__init__()
        self.keeping, self.untouched = keeping, untouched
        for kind, info in also_supported().items():
            self._layer_quantize_map[kind] = info

    def supports(self, layer: Layer) -> bool:
        """Whether TFMOT may quantize `layer` of its own accord.

        It asks for layers left alone as well, when they feed quantized ones: `boundary` sees to
        them.
        """
        return layer.name not in self.untouched and super().supports(layer)

    def get_quantize_config(self, layer: Layer) -> Any:
        return self.keeping.config(super().get_quantize_config(layer))


class KeepingLayout(layout.Default8BitQuantizeLayoutTransform):
    """TFMOT's changes of the graph; inputs of whole numbers get no range.

    Args:
        keeping: what the weights keep.
    """

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping

    def apply(self, model: Model, layer_quantize_map: dict[str, Any]) -> tuple[Model, dict]:
        """The changed model, and what is known of its layers by name."""
        model, facts = super().apply(model, layer_quantize_map)
        for layer in model.layers:
            if type(layer).__name__ == "QuantizeLayer" and not layer.input.dtype.is_floating:
                layer.quantizer = None
        for fact in facts.values():
            # Layers that feed a Concatenate get their config in here.
            if fact.get("quantize_config") is not None:
                fact["quantize_config"] = self.keeping.config(fact["quantize_config"])
        return model, facts


class KeepingScheme(schemes.Default8BitQuantizeScheme):
    """TFMOT's default 8-bit scheme with a KeepingRegistry and a KeepingLayout."""

    def __init__(self, keeping: Keeping, untouched: set[str]) -> None:
        super().__init__()
        self.keeping, self.untouched = keeping, untouched

    def get_quantize_registry(self) -> KeepingRegistry:
        return KeepingRegistry(self.keeping, self.untouched)

    def get_layout_transformer(self) -> KeepingLayout:
        return KeepingLayout(self.keeping)


def scheme(keeping: Keeping, untouched: set[str], *, tfmots: bool) -> Any:
    """The scheme for what is to be kept: this library's, or TFMOT's own collaborative one."""
    if tfmots and keeping.clusters:
        return by_cluster.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=keeping.zeros)
    if tfmots and keeping.zeros:
        return by_zero.Default8BitPrunePreserveQuantizeScheme()
    return KeepingScheme(keeping, untouched)
