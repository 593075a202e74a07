"""What goes into a model and what comes out: specs, random inputs that fit it, and its outputs as arrays."""

import numpy as np

from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import (
    flat_inputs,
    flatten,
    graph_of,
    input_names,
    replay,
    structure_of,
)

_FREE = {3: 8, 4: 64, 5: 16}  # size taken for a dimension that is None, by rank (batch included)
HUGE = 2**21  # input values from which memory counts more than a quick start
_BATCH = 32
_VALUES = 2**22  # input values in one batch at most


def input_specs(model):
    """List of (name, shape with None for a free dimension, dtype name), one for each input, in flat order."""
    tensors = graph_of(model).inputs
    return [
        (name, tuple(t.shape), getattr(t.dtype, "name", t.dtype))
        for name, t in zip(input_names(model), tensors)
    ]


def random_inputs(model, n=4, seed=0):
    """Flat list of arrays [n, ...] that `model` can be run on; a fixed batch size makes n the next multiple of it.

    Floats are uniform in 0..1, in 0..255 where the model rescales by 1/255 or so, within two standard deviations where it
    normalizes; integers are 0 or 1, or what the first Embedding takes; uint8 is 0..255.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for (_, shape, dtype), low_high in zip(input_specs(model), _ranges(model)):
        count = n if shape[0] is None else -(-n // shape[0]) * shape[0]
        size = (count, *(_FREE.get(len(shape), 8) if d is None else d for d in shape[1:]))
        arrays.append(_draw(rng, size, dtype, *low_high))
    return arrays


def _draw(rng, size, dtype, low, high, whole):
    if dtype == "string":
        return np.full(size, "0", dtype=object)
    if dtype == "bool":
        return rng.integers(0, 2, size).astype(bool)
    if np.dtype("float32" if dtype == "bfloat16" else dtype).kind in "iu" or whole:
        return rng.integers(int(low), int(high), size, endpoint=True).astype(dtype)
    values = rng.random(size, dtype=np.float32) * (high - low) + low
    return values if dtype == "bfloat16" else values.astype(dtype)


def _ranges(model):
    """(low, high, whole numbers?) of each input, by the layers that it reaches before any other layer with weights."""
    specs = input_specs(model)
    found = [[] for _ in specs]

    def call(op, args, kwargs, node):
        sources = frozenset().union(
            *(s for s in flatten([list(args), list(kwargs.values())]) if isinstance(s, frozenset)),
            frozenset(),
        )
        if graph_of(op) is not None:
            return replay(op, flat_inputs(op, args[0]), call)
        for source in sources:
            found[source].append(op)
        passes_on = not (is_layer(op) and op.weights) or type(op).__name__ == "Normalization"
        return [sources if passes_on else frozenset()] * len(flatten(node.outputs))

    replay(model, [frozenset([index]) for index in range(len(specs))], call)
    return [_range(ops, dtype) for ops, (_, _, dtype) in zip(found, specs)]


def _range(ops, dtype):
    sizes = [
        op.input_dim
        for op in ops
        if hasattr(op, "input_dim") and hasattr(op, "embeddings_initializer")
    ]
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


def run(model, arrays):
    """Flat list of outputs as arrays, in their own dtype, of one inference call on the flat list of inputs.

    Eager, which starts at once; traced for inputs so large that keeping every intermediate tensor would be felt.
    """
    import tensorflow as tf

    tensors = [
        tf.convert_to_tensor(array, dtype)
        for array, (_, _, dtype) in zip(arrays, input_specs(model))
    ]
    function = tf.function(_call) if sum(array.size for array in arrays) >= HUGE else _call
    return [value.numpy() for value in flatten(function(model, tensors))]


def _call(model, tensors):

    from tfcompress._backend.graph._walk import pack

    return model(pack(structure_of(model)[0], tensors), training=False)


def predict(model, inputs):
    """Flat list of float32 outputs [n, ...] of `model` in inference mode for the flat list of `inputs` [n, ...], in batches."""
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
        part = [array[start : start + batch] for array in arrays]
        missing = (fixed or 0) - len(part[0])
        if missing > 0:
            part = [np.concatenate([p, np.repeat(p[-1:], missing, axis=0)]) for p in part]
        tensors = [tf.convert_to_tensor(p, dtype=dtype) for p, (_, _, dtype) in zip(part, specs)]
        outputs = flatten(function(model, tensors))
        batches.append(
            [
                np.asarray(tf.cast(value, tf.float32))[: min(batch, count - start)]
                for value in outputs
            ]
        )
    return [np.concatenate(parts) for parts in zip(*batches)]
