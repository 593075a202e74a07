"""Where in a flat tf_keras model 8-bit quantization can stand, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tfcompress._backend.graph._walk import ModelGraph, maker_of
from tfcompress._backend.tfmot._load import load
from tfcompress.core._types import Layer, Model, Tensor

_INSIDE = {
    "linear",
    "relu",
    "gelu",
    "softmax",
    "sigmoid",
    "tanh",
}  # activations a weighted layer may carry
_ALONE = _INSIDE | {"relu6", "swish"}
_ALONE_OUTPUT_ONLY = {"hard_swish", "leaky_relu"}
_FUSED_BELOW_BN = ("Conv2D", "DepthwiseConv2D", "Dense")
_OUTPUT_ONLY = ("Multiply", "Subtract", "PReLU")  # one int8 operation, whose output needs a range
# The file's operation has one range for input and output. TFMOT rounds the output of some of
# these once more, which costs an operation and, when the two ranges come out nearly equal, makes
# the converter fail.
_RANGE_KEPT = (
    "AveragePooling1D",
    "AveragePooling2D",
    "Maximum",
    "MaxPooling1D",
    "Minimum",
    "RepeatVector",
    "UpSampling1D",
    "UpSampling2D",
)
_IDLE = ("AlphaDropout", "GaussianDropout", "GaussianNoise", "InputLayer")  # nothing at inference
_AFFINE = ("BatchNormalization", "Rescaling", "Normalization")


@dataclass
class Placement:
    """What becomes of every layer, by name.

    default: TFMOT's 8-bit config. output: its output alone is quantized. range_kept: it keeps the
    range of its input. affine: an equal layer with an 8-bit form takes its place. left: float32,
    and why. boundary: left, with its output quantized for the next.
    """

    default: set[str] = field(default_factory=set)
    output: set[str] = field(default_factory=set)
    range_kept: set[str] = field(default_factory=set)
    affine: set[str] = field(default_factory=set)
    boundary: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def annotated(self) -> set[str]:
        return self.default | self.output | self.range_kept | self.affine


class Wiring:
    """Who feeds whom in a Functional tf_keras model: `parents`, `children` by layer name, and calls
    per layer.
    """

    def __init__(self, model: Model) -> None:
        self.layers = {layer.name: layer for layer in model.layers}
        self.parents: dict[str, list[str]] = {name: [] for name in self.layers}
        self.children: dict[str, list[str]] = {name: [] for name in self.layers}
        self.calls: dict[str, int] = dict.fromkeys(self.layers, 0)
        graph = ModelGraph(model)
        self.calls.update((name, 1) for name in graph.input_names)
        for call in graph.calls:
            name = call.op.name
            self.calls[name] += 1
            for tensor in call.inputs:
                parent = maker_of(tensor).name
                self.parents[name].append(parent)
                self.children[parent].append(name)
        self.outputs = {maker_of(tensor).name for tensor in graph.outputs}

    def only_child(self, name: str) -> str | None:
        """The one layer that alone reads `name`, which is not an output of the model; else None."""
        children = self.children[name]
        return (
            children[0]
            if len(children) == 1 and name not in self.outputs and self.calls[name] == 1
            else None
        )


def place(model: Model, chosen: set[str]) -> Placement:
    """Decide for every layer of the flat `model`; layers that are not `chosen` are neither
    quantized nor listed as left.

    A BatchNormalization, and an activation, directly behind a chosen layer with weights goes with
    it.
    """
    wiring, placement = Wiring(model), Placement()
    for name, layer in wiring.layers.items():
        idle = type(layer).__name__ in _IDLE
        if idle or not (name in chosen or _follows(wiring, name, chosen)):
            continue
        decision = _decide(wiring, layer, chosen)
        if decision.group is None:
            placement.left[name] = decision.reason
        else:
            getattr(placement, decision.group).add(name)
    for name in placement.annotated:
        placement.boundary.update(_feeding(wiring, name, placement.annotated))
    return placement


def _feeding(wiring: Wiring, name: str, quantized: set[str]) -> Iterator[str]:
    """The layers in float32 that feed `name` and whose output can be quantized: one float tensor,
    no mask.
    """
    for parent in wiring.parents[name]:
        layer = wiring.layers[parent]
        if parent in quantized or type(layer).__name__ == "InputLayer":
            continue
        if type(layer).__name__ in _IDLE:
            yield from _feeding(wiring, parent, quantized)
        elif all(_plain_call(node) for node in layer._inbound_nodes):
            yield parent


def _plain_call(node: Any) -> bool:
    """Whether a layer was called with nothing but one tensor, or one list, and gave one float
    tensor: TFMOT's wrapper takes no more.
    """
    output = node.outputs
    single = hasattr(output, "dtype") and output.dtype.is_floating
    masks = any(getattr(tensor, "_keras_mask", None) is not None for tensor in node.keras_inputs)
    return (
        single
        and not masks
        and len(node.call_args) == 1
        and not any(hasattr(value, "dtype") for value in node.call_kwargs.values())
    )


def _follows(wiring: Wiring, name: str, chosen: set[str]) -> bool:
    """Whether `name` is a BatchNormalization or activation fed by chosen weights through nothing
    but such layers.
    """
    while type(wiring.layers[name]).__name__ in ("BatchNormalization", "Activation", "ReLU"):
        parents = wiring.parents[name]
        if len(parents) != 1 or wiring.only_child(parents[0]) != name:
            return False
        name = parents[0]
        if type(wiring.layers[name]).__name__ in (*_FUSED_BELOW_BN, "Conv2DTranspose"):
            return name in chosen
    return False


@dataclass(frozen=True)
class Decision:
    """The group of a Placement that a layer goes to, or None and why it is left."""

    group: str | None
    reason: str = ""


def _left(reason: str) -> Decision:
    return Decision(None, reason)


def _decide(wiring: Wiring, layer: Layer, chosen: set[str]) -> Decision:
    kind = type(layer).__name__
    if not _stock(layer):
        return _left("TFMOT quantizes Keras's own layer classes only")
    computes_in = layer.dtype_policy.compute_dtype
    if computes_in != "float32":
        return _left(f"computes in {computes_in}; TFMOT trains 8 bit on float32 layers")
    if kind == "BatchNormalization" and _fused(wiring, layer.name, chosen):
        return Decision("default")
    if kind in _AFFINE:
        return _decide_affine(layer, kind)
    if kind == "Activation":
        return _decide_activation(activation_name(layer))
    if kind in _OUTPUT_ONLY:
        if wiring.calls[layer.name] == 1:
            return Decision("output")
        return _left("called more than once, with one range for all outputs")
    if kind in _RANGE_KEPT:
        return Decision("range_kept")
    return _decide_stock(layer, kind)


def _decide_stock(layer: Layer, kind: str) -> Decision:
    """By TFMOT's own table, and what the converter takes beyond it."""
    if not (_registry().supports(layer) or type(layer) in also_supported()):
        return _left(f"TFMOT has no 8-bit form of {kind}")
    activation = activation_name(layer)
    if activation not in _INSIDE:
        return _left(
            f"TFMOT has no 8-bit form of its activation {activation!r}; "
            "use a separate Activation layer"
        )
    return Decision("default")


def _decide_activation(activation: str) -> Decision:
    if activation in _ALONE:
        return Decision("default")
    if activation in _ALONE_OUTPUT_ONLY:
        return Decision("output")
    return _left(f"TFMOT has no 8-bit form of activation {activation!r}")


def _decide_affine(layer: Layer, kind: str) -> Decision:
    """A lone x·slope + offset along channels can be replaced: they come last, and the tensor is a
    float one [batch, ..., channels].
    """
    tensors = [tensor for node in layer._inbound_nodes for tensor in node.keras_inputs]
    if not all(_has_channels(tensor) for tensor in tensors):
        return _left(
            f"{kind} of a tensor that is not real-valued or has no known number of channels is "
            "computed in float32"
        )
    axis = getattr(layer, "axis", -1)
    axes = [axis] if isinstance(axis, int) else list(axis or [])
    last = axes in ([-1], [tensors[0].shape.rank - 1])
    if last or (kind == "Normalization" and not axes):
        return Decision("affine")
    return _left(f"{kind} along axis {axis}, not along the last, is computed in float32")


def _has_channels(tensor: Tensor) -> bool:
    shape = tensor.shape
    return bool(shape.rank and shape.rank > 1 and shape[-1] and tensor.dtype.is_floating)


def _fused(wiring: Wiring, name: str, chosen: set[str]) -> bool:
    """TFMOT's own pattern: a BatchNormalization that alone reads a quantized layer with weights and
    no activation.
    """
    if len(wiring.parents[name]) != 1 or wiring.calls[name] != 1:
        return False
    parent = wiring.parents[name][0]
    below = wiring.layers[parent]
    fits = type(below).__name__ in _FUSED_BELOW_BN and activation_name(below) == "linear"
    return fits and parent in chosen and wiring.only_child(parent) == name


def activation_name(layer: Layer) -> str:
    """Name of the function in a layer's `activation`; "linear" for a layer without one."""
    function = getattr(layer, "activation", None)
    return "linear" if function is None else getattr(function, "__name__", type(function).__name__)


def _stock(layer: Layer) -> bool:
    return type(layer).__module__.partition(".")[0] == "tf_keras"


def _registry() -> Any:
    load()
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )

    return registry.Default8BitQuantizeRegistry()


def also_supported() -> dict[Any, Any]:
    """tf_keras layer class → TFMOT's description of its 8-bit form, for classes that TFMOT leaves
    out and the converter takes.
    """
    import tf_keras

    load()
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )

    return {
        tf_keras.layers.Conv1D: registry._QuantizeInfo(
            tf_keras.layers.Conv1D, ["kernel"], ["activation"]
        )
    }
