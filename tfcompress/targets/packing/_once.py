"""CALL_ONCE words: at the first run a subgraph decodes each layer into a variable."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from tfcompress._backend.tflite._builder import Builder
from tfcompress.targets.packing._apply import (
    OWN_KERNEL,
    Versions,
    apply_scaled,
    equal_scales,
    kernel_scales,
    scaling_bytes,
)
from tfcompress.targets.packing._digits import (
    byte_table_key,
    decode_bytes,
    per_word,
    stored_digits,
    trim,
    unit_scale,
)
from tfcompress.targets.packing._encoding import Costs, Encoding
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer, old
from tfcompress.targets.packing._stored import StoredWeights

START_BYTES = 400
"""Bytes of the initialization graph itself."""

FLOAT_TABLES = Costs(3.6, 3.2, 2.1, 3.4)
"""Where a variable holds float clusters: the float kernels run without weights laid out before."""


class Once(Encoding):
    """⌊log_L 256⌋ base-L digits a byte: 1 bit binary, 1.6 ternary, 2 for four levels, 4 for 16.

    Runs on every runtime. READ_VARIABLE copies the decoded weights at each run; clusters are
    decoded to floats, integers to int8 for the integer kernel.
    """

    name = "once"
    costs = Costs(1.45, 0.95, 2.2, 6.6)
    integer_costs = Costs(11.0, 3.1, 1.25, 1.0)

    def fits(self, layer: Layer, runtime: str) -> bool:
        if layer.kind == "DEPTHWISE_CONV_2D" or per_word(len(layer.levels.values), 256) < 2:
            return False
        if layer.levels.kind == "clusters":
            return True
        return layer.grid and not (layer.grouped and old(runtime) and equal_scales(layer))

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        _, values, kind = stored_digits(layer)
        count = per_word(len(values), 256)
        table = 0
        if byte_table_key(layer) not in shared:
            table = CONSTANT + len(values) ** count * count * (4 if kind == "FLOAT32" else 1)
        start = 0 if "once" in shared else START_BYTES
        operators = 2 * CONSTANT + 7 * OP + 8 * TENSOR
        return -(-layer.weights.size // count) + operators + table + start + scaling_bytes(layer)

    def shares(self, layer: Layer) -> set[Hashable]:
        return {byte_table_key(layer), "once"}

    def cost(self, layer: Layer, runtime: str) -> float:
        if layer.levels.kind == "clusters":
            return FLOAT_TABLES.of(layer, runtime)
        return super().cost(layer, runtime)

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        digits, values, kind = stored_digits(layer)
        quantization = unit_scale(kind)
        with initialization(builder):
            decoded = decode_bytes(builder, digits, values, kind)
            flat = trim(builder, decoded, layer.weights.size, kind, quantization)
            shaped = builder.reshape(flat, layer.weights.shape, kind, **quantization)
            variable = assign(builder, shaped)
        read_and_apply(builder, layer, variable, kind)

    def recognizes(self, stored: StoredWeights) -> bool:
        return "READ_VARIABLE" in stored.operators and "CUMSUM" not in stored.operators


@contextmanager
def initialization(builder: Builder) -> Iterator[None]:
    """Meanwhile operators go to the subgraph that CALL_ONCE runs; both begin at the first use."""
    if "once" not in builder.shared:
        builder.shared["once"] = builder.new_subgraph("decode")
        main = builder.ops
        builder.ops = builder.first_ops
        builder.op("CALL_ONCE", [], None, initSubgraphIndex=builder.shared["once"])
        builder.ops = main
    with builder.inside(builder.shared["once"]):
        yield


def assign(builder: Builder, weights: int) -> str:
    """Store a tensor in a new variable; returns the variable's name."""
    number = builder.shared.get("variables", 0)
    builder.shared["variables"] = number + 1
    name = f"packed{number}"
    builder.op("ASSIGN_VARIABLE", [_variable(builder, name), weights], None)
    return name


def read_and_apply(builder: Builder, layer: Layer, variable: str, kind: str) -> None:
    """The layer's operator on a variable of int8 codes, or of float32 clusters.

    The clusters' scale is a factor behind the operator.
    """
    versions: Versions | None
    if kind == "FLOAT32":
        weight = builder.tensor(layer.weights.shape, kind)
        factor = None if (layer.levels.scale == 1).all() else layer.levels.scale
        versions = {**OWN_KERNEL, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1}
    else:
        quantization, factor, versions = kernel_scales(layer)
        weight = builder.tensor(layer.weights.shape, kind, **quantization)
    builder.op("READ_VARIABLE", [_variable(builder, variable)], weight)
    apply_scaled(builder, layer, weight, factor, versions)


def _variable(builder: Builder, name: str) -> int:
    """A handle of the variable in the present subgraph."""
    handle = builder.tensor([1], "RESOURCE")
    builder.op("VAR_HANDLE", [], handle, container="", sharedName=name)
    return handle
