"""Weights as they were: what is left when nothing smaller is exact."""

from __future__ import annotations

from collections.abc import Hashable

from tfcompress._backend.tflite._builder import Builder
from tfcompress.targets.packing._apply import scaling_bytes
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, Layer
from tfcompress.targets.packing._stored import StoredWeights


class Float(Encoding):
    """The operator untouched: float32, or the int8 weights of an int8 network."""

    name = "float"
    costs = Costs(1.0, 1.0, 1.0, 1.0)
    integer_costs = Costs(1.0, 1.0, 1.0, 1.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        return True

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        if layer.integer:
            return CONSTANT + layer.weights.size + scaling_bytes(layer)
        return CONSTANT + 4 * layer.weights.size

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        builder.ops.append(layer.op)
        builder.graph.tensors[layer.op.inputs[1]].name = layer.name

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.is_plain("FLOAT32")
