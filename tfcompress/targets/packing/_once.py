"""CALL_ONCE words: an initialization subgraph decodes each layer from bytes into a variable, once, at the first run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from tfcompress.targets.packing._digits import byte_table_key, decode_bytes, per_word, stored, trim
from tfcompress.targets.packing._layer import (
    CONSTANT,
    OP,
    OWN_KERNEL,
    TENSOR,
    Encoding,
    Layer,
    apply_scaled,
    kernel_grid,
    scaling_bytes,
)


class Once(Encoding):
    """⌊log_L 256⌋ base-L digits a byte: 1 bit binary, 1.6 ternary, 2 for four levels, 4 for 16 clusters. Runs on every runtime.

    READ_VARIABLE copies the decoded weights at each run; clusters are decoded to floats, integers to int8 for the integer kernel.
    """

    name = "once"
    integer = True

    def fits(self, layer, runtime):
        if layer.kind == "DEPTHWISE_CONV_2D" or not (layer.grid or layer.levels.kind == "clusters"):
            return False
        return per_word(len(layer.levels.values), 256) >= 2

    def size(self, layer, shared):
        _, values, kind = stored(layer)
        count = per_word(len(values), 256)
        table = (
            0
            if byte_table_key(layer) in shared
            else CONSTANT + len(values) ** count * count * (4 if kind == "FLOAT32" else 1)
        )
        start = 0 if "once" in shared else 400
        return (
            -(-layer.weights.size // count)
            + 2 * CONSTANT
            + 7 * OP
            + 8 * TENSOR
            + table
            + start
            + scaling_bytes(layer)
        )

    def shares(self, layer):
        return {byte_table_key(layer), "once"}

    def write(self, b, layer, runtime):
        digits, values, kind = stored(layer)
        grid = {"scale": 1} if kind == "INT8" else {}
        with initialization(b):
            flat = trim(b, decode_bytes(b, digits, values, kind), layer.weights.size, kind, **grid)
            name = assign(b, b.reshape(flat, layer.weights.shape, kind, **grid))
        read_and_apply(b, layer, name, kind)


@contextmanager
def initialization(b: Any):
    """Meanwhile operators go to the subgraph that CALL_ONCE runs; it and the CALL_ONCE are made at the first use."""
    if "once" not in b.shared:
        b.shared["once"] = b.new_subgraph("decode")
        call = b.ops
        b.ops = b.first_ops
        b.op("CALL_ONCE", [], None, initSubgraphIndex=b.shared["once"])
        b.ops = call
    with b.inside(b.shared["once"]):
        yield


def assign(b: Any, weights: int) -> str:
    """Store a tensor in a new variable; returns its name."""
    names = b.shared.setdefault("variables", [])
    names.append(f"packed{len(names)}")
    handle = variable(b, names[-1])
    b.op("ASSIGN_VARIABLE", [handle, weights], None)
    return names[-1]


def variable(b: Any, name: str) -> int:
    """A handle of the variable in the present subgraph."""
    handle = b.tensor([1], "RESOURCE")
    b.op("VAR_HANDLE", [], handle, container="", sharedName=name)
    return handle


def read_and_apply(b: Any, layer: Layer, name: str, kind: str) -> None:
    """The layer's operator on a variable of int8 codes, or of float32 clusters (whose scale is a factor after it)."""
    if kind == "FLOAT32":
        weight = b.tensor(layer.weights.shape, kind)
        factor = None if (layer.levels.scale == 1).all() else layer.levels.scale
        versions: dict[str, int] | None = {**OWN_KERNEL, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1}
    else:
        grid, factor, versions = kernel_grid(layer)
        weight = b.tensor(layer.weights.shape, kind, **grid)
    b.op("READ_VARIABLE", [variable(b, name)], weight)
    apply_scaled(b, layer, weight, factor, versions)
