"""The proof on the spot: a carried-over model gives the outputs of the original on random input."""

import contextlib

import numpy as np

from tfcompress._backend.keras._flavour import is_layer
from tfcompress._backend.keras._graph import graph_of, leaf_layers, operations, replay
from tfcompress._backend.keras._inputs import random_inputs, run
from tfcompress.core._errors import ModelError

_HUGE = 2**21  # input values per sample from which one sample must do


def difference(model, carried, inputs=None):
    """None if both models (same inputs, flat order) agree on random input, else the Difference."""
    if inputs is None:
        values = sum(array[:1].size for array in random_inputs(model, n=1))
        inputs = random_inputs(model, n=2 if values < _HUGE else 1)
    with unchanged_states(model):
        wanted = run(model, inputs)
    with unchanged_states(carried):
        got = run(carried, inputs)
    half = any("16" in str(_compute_dtype(layer)) for layer in leaf_layers(model))
    worst = max((error(a, b) for a, b in zip(wanted, got)), default=0.0)
    tolerance = 2e-2 if half else 1e-4
    return None if worst <= tolerance else Difference(model, carried, inputs, worst, tolerance)


def error(wanted, got):
    """max|a − b| / (max|a| + 0.01), so that 1e-4 of it is 1e-4 · max|a| + 1e-6; inf where shapes or NaNs differ."""
    wanted, got = np.asarray(wanted), np.asarray(got)
    if wanted.shape != got.shape:
        return np.inf
    if wanted.dtype.kind not in "fiub" or wanted.size == 0:
        return 0.0 if np.array_equal(wanted, got) else np.inf
    wanted, got = wanted.astype("float64"), got.astype("float64")
    finite = np.isfinite(wanted)
    if not np.array_equal(wanted[~finite], got[~finite], equal_nan=True):
        return np.inf
    wanted, got = wanted[finite], got[finite]
    return float(np.max(np.abs(wanted - got), initial=0.0) / (np.max(np.abs(wanted), initial=0.0) + 1e-2))


class Difference:
    """Two models that disagree: by how much, and on which inputs."""

    def __init__(self, model, carried, inputs, worst, tolerance):
        self.model, self.carried, self.inputs, self.worst, self.tolerance = model, carried, inputs, worst, tolerance

    def culprit(self, names):
        """The first layer or operation of the model whose output differs, or None; `names(model)` pairs the two models."""
        pairs = names(self.model)
        ours, theirs = outputs_of(self.model, self.inputs), outputs_of(self.carried, self.inputs)
        by_name = {layer.name: theirs[id(layer)] for layer in leaf_layers(self.carried) if id(layer) in theirs}
        for op in operations(self.model):
            got = by_name.get(pairs[id(op)][-1])
            if got is not None and id(op) in ours and max(map(error, ours[id(op)], got), default=0.0) > self.tolerance:
                return op
        return None

    def repeats(self):
        """Whether the original agrees with itself when run twice."""
        first, second = run(self.model, self.inputs), run(self.model, self.inputs)
        return max((error(a, b) for a, b in zip(first, second)), default=0.0) <= self.tolerance


def outputs_of(model, inputs):
    """{id(op): flat list of its first outputs as arrays} while `model` runs eagerly on `inputs`."""
    import tensorflow as tf

    found = {}

    def call(op, args, kwargs, node):
        if graph_of(op) is not None:
            from tfcompress._backend.keras._graph import flat_inputs

            return replay(op, flat_inputs(op, args[0]), call)
        if is_layer(op) and "training" in kwargs:
            kwargs = {**kwargs, "training": False}
        outputs = op(*args, **kwargs)
        found.setdefault(id(op), [np.asarray(value) for value in tf.nest.flatten(outputs)])
        return outputs

    replay(model, [tf.convert_to_tensor(array) for array in inputs], call)
    return found


def unequal(model, wrong, culprit):
    """ModelError for a model whose copy does not give the same outputs."""
    if not wrong.repeats():
        return ModelError(
            f"Model {model.name!r} gives other outputs each time it runs on the same input, so that no copy of it can be checked. "
            "Take the random layer out of inference (draw only when training=True)."
        )
    where = f" They first differ at {type(culprit).__name__} {culprit.name!r}: replace that layer." if culprit is not None else ""
    return ModelError(
        f"Model {model.name!r} could not be carried over: on random input its outputs and the copy's differ by {wrong.worst:.2e} "
        f"of their magnitude, more than {wrong.tolerance:g}.{where}"
    )


def _compute_dtype(layer):
    return layer.compute_dtype


@contextlib.contextmanager
def unchanged_states(model):
    """Put the states of stateful recurrent layers back afterwards."""
    import tensorflow as tf

    layers = [layer for layer in leaf_layers(model) if getattr(layer, "stateful", False)]
    states = [v for layer in layers for v in tf.nest.flatten(getattr(layer, "states", None)) if v is not None]
    values = [np.asarray(state) for state in states]
    yield
    for state, value in zip(states, values):
        state.assign(value)
