"""How much accuracy is lost when one layer alone is rounded, thinned or shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tfcompress._backend import bridge as _keras
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis import _weights
from tfcompress.analysis._layers import Layers, find_layers
from tfcompress.analysis._metric import Measurement, Metric
from tfcompress.analysis._scores import LayerScores
from tfcompress.core import RecipeError
from tfcompress.core._types import Array, Data, Model, Variable


class _Change(NamedTuple):
    """A way to change a kernel: `apply(weights, strength)`, and which strengths there are."""

    apply: Callable[..., Array]
    unit: str
    allows: Callable[[float], bool]
    expected: str


_CHANGES = {
    "quantize": _Change(
        _weights.quantize,
        "bits",
        lambda strength: strength in range(1, 17),
        "a whole number of bits, 1 to 16",
    ),
    "prune": _Change(
        _weights.prune, "ratio", lambda strength: 0 < strength <= 1, "a ratio in (0, 1]"
    ),
    "cluster": _Change(
        _weights.cluster,
        "clusters",
        lambda strength: strength == int(strength) and strength >= 1,
        "a whole number of clusters",
    ),
}


def sensitivity(
    model: Model,
    data: tuple[Data, Data],
    how: tuple[str, float] = ("quantize", 4),
    layers: Iterable[str] | None = None,
    *,
    metric: Metric = "accuracy",
    batch_size: int = 64,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> LayerScores:
    """Per layer with weights: what `metric` loses when this layer's kernels alone are changed.

    Nothing is trained, biases stay, and `model` is left as it is; a copy is changed.

    Args:
        model: A Sequential or Functional model of either Keras.
        data: (x, y).
        how: ("quantize", bits): 2^bits symmetric levels at the scale of least squared error;
            ("prune", ratio): the smallest weights to 0; ("cluster", n): the nearest of n
            centroids.
        layers: Names of the layers to change; None takes all with weights.
        metric: "accuracy" takes class indices or one-hot rows; one output number is a probability
            above 0.5, or a logit above 0 where outputs leave [0, 1]. Or a function (y, outputs) →
            number, larger being better; for a model of several outputs it gets their list.
        batch_size: Inputs of one step.
        progress: As in `compress`.

    Returns:
        The losses; `details` holds the metric of the whole model ("base") and of each changed one
        ("metric").

    Raises:
        ModelError: A model without a graph.
        DataError: Inputs or labels that do not fit, or a metric that is not finite.
        RecipeError: Unknown `how`, value out of range, unknown layer or metric.
    """
    change = _change(how)
    network = find_layers(trace_calls(model))
    chosen = network.choose(layers)
    copy = trace_calls(_keras.clone(model))
    measured = Measurement(copy, data, metric, batch_size)
    kernels = _kernels(copy, chosen)
    strength = how[1] if how[0] == "prune" else int(how[1])
    after: dict[str, float] = {}
    title = f"sensitivity to {how[0]} {strength}"
    with reporter(progress, total=len(chosen) + 1, title=title) as step:
        step("whole model")
        base = measured()
        for name in chosen:
            step(name)
            before = [kernel.numpy() for kernel in kernels[name]]
            for kernel, values in zip(kernels[name], before):
                kernel.assign(change.apply(values, strength))
            after[name] = measured()
            for kernel, values in zip(kernels[name], before):
                kernel.assign(values)
    return LayerScores(
        {name: base - value for name, value in after.items()},
        f"{how[0]} {strength} {change.unit}",
        f"{measured.name} lost",
        _details(network, [how[0], strength], measured.rows, base, after),
    )


def _change(how: tuple[str, float]) -> _Change:
    """The change that `how` names; RecipeError for another name or a strength out of range."""
    change = _CHANGES.get(how[0]) if len(how) == 2 else None
    if change is None:
        raise RecipeError(
            f"how={how!r}: choose ('quantize', bits), ('prune', ratio) or ('cluster', n)."
        )
    try:
        allowed = change.allows(how[1])
    except (TypeError, ValueError):
        allowed = False
    if not allowed:
        raise RecipeError(f"how={how!r}: expected {change.expected}.")
    return change


def _kernels(graph: Calls, chosen: tuple[str, ...]) -> dict[str, list[Variable]]:
    """The variables of two or more axes of every chosen layer."""
    kernels: dict[str, list[Variable]] = {}
    for call in graph.calls:
        if call.name in chosen:
            kernels[call.name] = [
                variable for variable in call.layer.weights if len(variable.shape) >= 2
            ]
    return kernels


def _details(
    network: Layers, how: list[str | float], rows: int, base: float, after: dict[str, float]
) -> dict[str, object]:
    return {
        "how": how,
        "n": rows,
        "base": base,
        "metric": after,
        "params": network.params,
        "other_params": network.other_params,
        "ends": list(network.ends),
    }
