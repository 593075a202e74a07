"""What goes into a model and what comes out: specs, random inputs that fit, outputs as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import GraphCall, ModelGraph, flatten, pack
from tfcompress.core._types import Array, Layer, Model, Tensor

Spec = tuple[str, tuple[int | None, ...], str]
Range = tuple[float, float, bool]
"""(low, high, whole numbers?)."""

_FREE = {3: 8, 4: 64, 5: 16}  # size taken for a dimension that is None, by rank (batch included)
HUGE = 2**21  # input values from which memory counts more than a quick start
_BATCH = 32
_VALUES = 2**22  # input values in one batch at most


def input_specs(model: Model) -> list[Spec]:
    """(name, shape with None for a free dimension, dtype name) of each input, in flat order."""
    graph = ModelGraph(model)
    return [
        (name, tuple(tensor.shape), getattr(tensor.dtype, "name", tensor.dtype))
        for name, tensor in zip(graph.input_names, graph.inputs)
    ]


def random_inputs(model: Model, n: int = 4, seed: int = 0) -> list[Array]:
    """Flat list of arrays [n, ...] that `model` can be run on.

    A fixed batch size makes n the next multiple of it. Floats are uniform in 0..1, in 0..255 where
    the model rescales by 1/255 or so, within two standard deviations where it normalizes; integers
    are 0 or 1, or what the first Embedding takes; uint8 is 0..255.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for (_, shape, dtype), value_range in zip(input_specs(model), _ranges(model)):
        count = n if shape[0] is None else -(-n // shape[0]) * shape[0]
        free = _FREE.get(len(shape), 8)
        size = (count, *(free if length is None else length for length in shape[1:]))
        arrays.append(_draw(rng, size, dtype, value_range))
    return arrays


def _draw(rng: np.random.Generator, size: tuple[int, ...], dtype: str, value_range: Range) -> Array:
    low, high, is_whole = value_range
    if dtype == "string":
        return np.full(size, "0", dtype=object)
    if dtype == "bool":
        return rng.integers(0, 2, size).astype(bool)
    if np.dtype("float32" if dtype == "bfloat16" else dtype).kind in "iu" or is_whole:
        return rng.integers(int(low), int(high), size, endpoint=True).astype(dtype)
    values = rng.random(size, dtype=np.float32) * (high - low) + low
    return values if dtype == "bfloat16" else values.astype(dtype)


def _ranges(model: Model) -> list[Range]:
    """The range of each input, by the layers it reaches before any other layer with weights."""
    specs = input_specs(model)
    reached: list[list[Layer]] = [[] for _ in specs]

    def visit(call: GraphCall, args: tuple, kwargs: dict[str, Any]) -> list[frozenset[int]]:
        sources = _sources([list(args), list(kwargs.values())])
        for source in sources:
            reached[source].append(call.op)
        has_weights = is_layer(call.op) and bool(call.op.weights)
        passes_on = not has_weights or type(call.op).__name__ == "Normalization"
        return [sources if passes_on else frozenset()] * len(call.outputs)

    ModelGraph(model).run([frozenset([index]) for index in range(len(specs))], visit)
    return [_range(ops, dtype) for ops, (_, _, dtype) in zip(reached, specs)]


def _sources(arguments: Any) -> frozenset[int]:
    leaves = flatten(arguments)
    return frozenset().union(*(leaf for leaf in leaves if isinstance(leaf, frozenset)))


def _range(ops: Sequence[Layer], dtype: str) -> Range:
    embeddings = [op for op in ops if hasattr(op, "embeddings_initializer")]
    sizes = [op.input_dim for op in embeddings if hasattr(op, "input_dim")]
    sizes += [op.num_tokens for op in ops if getattr(op, "num_tokens", None)]
    if sizes:
        return 0, min(sizes) - 1, True
    if dtype == "uint8":
        return 0, 255, True
    for op in ops:
        kind = type(op).__name__
        if kind == "Rescaling" and 0 < np.max(np.abs(np.asarray(op.scale))) <= 0.02:
            return 0.0, 255.0, False
        if kind == "Normalization" and op.mean is not None and not op.invert:
            mean, spread = np.asarray(op.mean), np.sqrt(np.asarray(op.variance))
            return float(np.min(mean - 2 * spread)), float(np.max(mean + 2 * spread)), False
    return 0, 1, False


def _call(model: Model, tensors: Sequence[Tensor]) -> Any:
    return model(pack(ModelGraph(model).input_structure, list(tensors)), training=False)


def predict(model: Model, inputs: Sequence[Array]) -> list[Array]:
    """Flat list of float32 outputs [n, ...] for the flat list of `inputs` [n, ...], in batches.

    The model runs in inference mode.
    """
    import tensorflow as tf

    specs = input_specs(model)
    arrays = [np.asarray(array) for array in inputs]
    count = len(arrays[0])
    fixed = next((shape[0] for _, shape, _ in specs if shape and shape[0] is not None), None)
    per_sample = max(1, sum(array[:1].size for array in arrays))
    batch = fixed or int(np.clip(_VALUES // per_sample, 1, _BATCH))
    function = _call if count <= 2 * batch else tf.function(_call, reduce_retracing=True)
    batches = []
    for start in range(0, count, batch):
        parts = [array[start : start + batch] for array in arrays]
        padded = [_padded(part, fixed) for part in parts]
        tensors = [tf.convert_to_tensor(p, dtype=dtype) for p, (_, _, dtype) in zip(padded, specs)]
        outputs = [tf.cast(value, tf.float32) for value in flatten(function(model, tensors))]
        batches.append([np.asarray(value)[: len(parts[0])] for value in outputs])
    return [np.concatenate(parts) for parts in zip(*batches)]


def _padded(part: Array, fixed: int | None) -> Array:
    """The last examples again, up to a fixed batch size."""
    missing = (fixed or 0) - len(part)
    return part if missing <= 0 else np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
