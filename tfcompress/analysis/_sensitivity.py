"""How much accuracy is lost when one layer alone is rounded, thinned or shared, and all others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.graph._activations import Runner, model_inputs
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis import _weights
from tfcompress.analysis._layers import find_layers
from tfcompress.analysis._scores import LayerScores
from tfcompress.core import DataError, RecipeError

_HOW = {
    "quantize": (
        _weights.quantize,
        "bits",
        lambda v: v in range(1, 17),
        "a whole number of bits, 1 to 16",
    ),
    "prune": (_weights.prune, "ratio", lambda v: 0 < v <= 1, "a ratio in (0, 1]"),
    "cluster": (
        _weights.cluster,
        "clusters",
        lambda v: v == int(v) and v >= 1,
        "a whole number of clusters",
    ),
}


def sensitivity(
    model: Any,
    data: tuple[Any, Any],
    how: tuple[str, float] = ("quantize", 4),
    layers: Iterable[str] | None = None,
    *,
    metric: str | Callable[[np.ndarray, Any], float] = "accuracy",
    batch_size: int = 64,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> LayerScores:
    """Per layer with weights: what `metric` loses on `data` = (x, y) when this layer's kernels alone are changed, untrained.

    how=("quantize", bits): 2^bits symmetric levels at the scale of least squared error; ("prune", ratio): the smallest
    weights to 0; ("cluster", n): the nearest of n centroids. Biases stay. `model` is left as it is; a copy is changed.

    metric="accuracy" takes class indices or one-hot rows; one output number is a probability above 0.5, or a logit above 0
    where outputs leave [0, 1]. Or any function (y, outputs) → number, larger being better; for a model of several outputs
    it gets their list. `details` holds the metric of the whole model ("base") and of each changed one ("metric").

    Raises ModelError, DataError (rows that do not match), RecipeError (unknown `how`, value out of range, unknown layer).
    """
    change, unit, allowed, expected = _HOW.get(
        how[0] if len(how) == 2 else "", (None, "", None, "")
    )
    if change is None:
        raise RecipeError(
            f"how={how!r}: choose ('quantize', bits), ('prune', ratio) or ('cluster', n)."
        )
    if not isinstance(how[1], (int, float)) or not allowed(how[1]):
        raise RecipeError(f"how={how!r}: expected {expected}.")
    strength = how[1] if how[0] == "prune" else int(how[1])
    found = find_layers(trace_calls(model))
    chosen = found.choose(layers)
    copy = trace_calls(_keras.clone(model))
    kernels: dict[str, list] = {}
    for call in copy.calls:
        if call.name in chosen:
            kernels[call.name] = [
                variable for variable in call.layer.weights if len(variable.shape) >= 2
            ]
    measured, count = measurement(copy, data, metric, batch_size)
    after = {}
    with reporter(
        progress, total=len(chosen) + 1, title=f"sensitivity to {how[0]} {strength}"
    ) as step:
        step("whole model")
        base = measured()
        for name in chosen:
            step(name)
            before = [variable.numpy() for variable in kernels[name]]
            for variable, values in zip(kernels[name], before):
                variable.assign(change(values, strength))
            after[name] = measured()
            for variable, values in zip(kernels[name], before):
                variable.assign(values)
    what = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
    details = {
        "how": [how[0], strength],
        "n": count,
        "base": base,
        "metric": after,
        "params": found.params,
        "other_params": found.other_params,
        "ends": list(found.ends),
    }
    return LayerScores(
        {name: base - value for name, value in after.items()},
        f"{how[0]} {strength} {unit}",
        f"{what} lost",
        details,
    )


def measurement(
    graph: Calls, data: tuple[Any, Any], metric: Any, batch_size: int
) -> tuple[Callable[[], float], int]:
    """(function that measures `metric` on `data` = (x, y) with the graph's present weights, number of rows).

    Raises DataError for rows that do not match, RecipeError for a metric's name other than "accuracy".
    """
    x, y = data
    arrays = model_inputs(graph, x)
    score = _accuracy if metric == "accuracy" else metric
    if not callable(score):
        raise RecipeError(
            f"metric={metric!r}: choose 'accuracy' or give a function (y, outputs) → number."
        )
    if hasattr(y, "__len__") and len(y) != len(arrays[0]):
        raise DataError(f"{len(arrays[0])} inputs but {len(y)} labels.")
    run = Runner(graph, graph.outputs)

    def measured() -> float:
        outputs = run.all(arrays, batch_size)
        return float(score(y, outputs[0] if len(outputs) == 1 else outputs))

    return measured, len(arrays[0])


def _accuracy(y: Any, outputs: Any) -> float:
    """The share of rows whose class is right."""
    if isinstance(outputs, list):
        raise DataError(
            "Accuracy is of one output; give metric=function (y, [outputs]) for a model of several."
        )
    y, outputs = np.asarray(y), outputs.reshape(len(outputs), -1)
    if len(y) != len(outputs):
        raise DataError(f"{len(outputs)} inputs but {len(y)} labels.")
    y = y.reshape(len(y), -1)
    if y.shape[1] not in (1, outputs.shape[1]):
        raise DataError(
            f"Labels {list(y.shape)} fit neither class indices nor the outputs {list(outputs.shape)}."
        )
    if outputs.shape[1] == 1:
        inside = outputs.min() >= 0 and outputs.max() <= 1
        return float(np.mean((outputs > (0.5 if inside else 0.0)) == (y > 0.5)))
    truth = y[:, 0] if y.shape[1] == 1 else y.argmax(1)
    return float(np.mean(outputs.argmax(1) == truth))
