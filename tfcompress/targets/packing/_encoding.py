"""What every encoding of weights is: it writes and reads them, and knows its size and time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import ClassVar, NamedTuple

from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets.packing._behind import factor_behind
from tfcompress.targets.packing._layer import Layer
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._weight_file import Operator, Unpack, WeightFile

NEVER = float("inf")


class Costs(NamedTuple):
    """Time relative to the layer as it was, on each runtime for FULLY_CONNECTED and convolutions.

    Measured by `benchmarks/packed.py --costs`: one thread of an x86-64 server; FULLY_CONNECTED
    4096 → 128, CONV_2D 3×3 64 → 64 (1×1 where only that fits). `old` is tflite_runtime 2.14.
    """

    dense: float
    convolution: float
    old_dense: float
    old_convolution: float

    def of(self, layer: Layer, runtime: str) -> float:
        """The time of `layer`; for `runtime` "any" the slower of both."""
        new = self.dense if layer.dense else self.convolution
        old = self.old_dense if layer.dense else self.old_convolution
        return {"litert": new, "tflite_runtime": old, "any": max(new, old)}[runtime]


class Encoding(ABC):
    """A way to store a layer's weights in a `.tflite` that a stock interpreter reads back.

    A new one is a file with its class, a line in `_registry.py` and a test.
    """

    name: str
    """What reports call it."""

    costs: Costs
    """Time relative to the layer in float32."""

    integer_costs: ClassVar[Costs | None] = None
    """Time relative to the same layer of an int8 network; None if it cannot hold such weights."""

    unpack: ClassVar[Mapping[str, Unpack]] = {}
    """Operators by which a file unpacks it, beside those of `_constants.py`, and what they do."""

    @property
    def integer(self) -> bool:
        """Whether it can also hold the weights of an operator that computes in integers."""
        return self.integer_costs is not None

    @abstractmethod
    def fits(self, layer: Layer, runtime: str) -> bool:
        """Whether it holds the weights exactly and `runtime` computes with them rightly.

        Args:
            layer: the layer, with the levels of its weights.
            runtime: "litert", "tflite_runtime" or "any".
        """

    @abstractmethod
    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        """Estimated bytes in the file; tables in `shared` are there already."""

    def shares(self, layer: Layer) -> set[Hashable]:
        """The tables that other layers can use once this one is written."""
        return set()

    def cost(self, layer: Layer, runtime: str) -> float:
        """Expected time relative to the layer as it was."""
        costs = self.integer_costs if layer.integer else self.costs
        return NEVER if costs is None else costs.of(layer, runtime)

    @abstractmethod
    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        """Append the operators that take the place of `layer.op`."""

    @abstractmethod
    def recognizes(self, stored: StoredWeights) -> bool:
        """Whether an operator's weights in a file are stored in this encoding."""

    def read(self, stored: StoredWeights) -> Array:
        """The float32 weights that a file's operator computes with, scales behind it included."""
        factor = factor_behind(stored)
        return stored.values if factor is None else stored.values * factor

    def helpers(self, file: WeightFile) -> list[Operator]:
        """Operators with constant weights that this encoding added; they are no layers."""
        return []
