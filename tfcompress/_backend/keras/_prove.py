"""The proof on the spot: a carried-over model gives the outputs of the original on random input."""

import contextlib

import numpy as np

from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.graph._walk import graph_of, leaf_layers, operations, replay
from tfcompress._backend.keras._inputs import HUGE, random_inputs, run
from tfcompress.core._errors import ModelError


class Sample:
    """Random input for a model, and what the model makes of it."""

    def __init__(self, model):
        values = sum(array[:1].size for array in random_inputs(model, n=1))
        self.model, self.inputs = model, random_inputs(model, n=2 if values < HUGE else 1)
        self.outputs = _outputs(model, self.inputs)
        half = any("16" in str(layer.compute_dtype) for layer in leaf_layers(model))
        self.tolerance = 2e-2 if half else 1e-4

    def difference(self, carried):
        """None if `carried` (same inputs, flat order) gives the same outputs, else the Difference."""
        worst = _worst(self.outputs, _outputs(carried, self.inputs))
        return None if worst <= self.tolerance else Difference(self, carried, worst)


def _outputs(model, inputs):
    with _unchanged_states(model):
        return run(model, inputs)


def _worst(wanted, got):
    return max(map(error, wanted, got), default=0.0)


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
    return float(
        np.max(np.abs(wanted - got), initial=0.0) / (np.max(np.abs(wanted), initial=0.0) + 1e-2)
    )


class Difference:
    """A model and a copy that disagree, and by how much."""

    def __init__(self, sample, carried, worst):
        self.sample, self.carried, self.worst = sample, carried, worst

    def culprit(self, names):
        """The first layer or operation of the model whose output differs, or None; `names(model)` pairs the two models."""
        model, inputs = self.sample.model, self.sample.inputs
        pairs = names(model)
        ours, theirs = outputs_of(model, inputs), outputs_of(self.carried, inputs)
        by_name = {
            layer.name: theirs[id(layer)]
            for layer in leaf_layers(self.carried)
            if id(layer) in theirs
        }
        for op in operations(model):
            got = by_name.get(pairs[id(op)][-1])
            if (
                got is not None
                and id(op) in ours
                and _worst(ours[id(op)], got) > self.sample.tolerance
            ):
                return op
        return None

    def repeats(self):
        """Whether the original agrees with itself when run again."""
        return (
            _worst(self.sample.outputs, _outputs(self.sample.model, self.sample.inputs))
            <= self.sample.tolerance
        )


def outputs_of(model, inputs):
    """{id(op): flat list of its first outputs as arrays} while `model` runs eagerly on `inputs`."""
    import tensorflow as tf

    found = {}

    def call(op, args, kwargs, node):
        if graph_of(op) is not None:
            from tfcompress._backend.graph._walk import flat_inputs

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
    where = (
        f" They first differ at {type(culprit).__name__} {culprit.name!r}: replace that layer."
        if culprit is not None
        else ""
    )
    return ModelError(
        f"Model {model.name!r} could not be carried over: on random input its outputs and the copy's differ by {wrong.worst:.2e} "
        f"of their magnitude, more than {wrong.sample.tolerance:g}.{where}"
    )


@contextlib.contextmanager
def _unchanged_states(model):
    """Put the states of stateful recurrent layers back afterwards."""
    import tensorflow as tf

    layers = [layer for layer in leaf_layers(model) if getattr(layer, "stateful", False)]
    states = [
        v
        for layer in layers
        for v in tf.nest.flatten(getattr(layer, "states", None))
        if v is not None
    ]
    values = [np.asarray(state) for state in states]
    yield
    for state, value in zip(states, values):
        state.assign(value)
