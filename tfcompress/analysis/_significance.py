"""How much each layer changes the dimension of what it is given.

Source: the thesis; Chakraborty et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, cast, get_args

from tfcompress._backend.graph._activations import model_inputs
from tfcompress._backend.graph._calls import Calls, trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis._activations import View as PointsView
from tfcompress.analysis._activations import channels_view, collect, flatten_view
from tfcompress.analysis._layers import Layers, Place, find_layers
from tfcompress.analysis._scores import LayerScores
from tfcompress.analysis.dimension import Dimension, Estimator, TwoNN, by_name
from tfcompress.analysis.dimension._estimator import ScoreRule, View
from tfcompress.analysis.dimension._foreign import FitTransform, Foreign, measure_foreign
from tfcompress.analysis.dimension._points import first_row_not_finite
from tfcompress.analysis.dimension._room import BUDGET_BYTES
from tfcompress.core import DataError, RecipeError
from tfcompress.core._types import Array, Data, Model


def significance(
    model: Model,
    x: Data,
    by: Estimator | str | Foreign | None = None,
    view: View | None = None,
    rule: ScoreRule | None = None,
    layers: Iterable[str] | None = None,
    *,
    points: int | None = None,
    scales: bool = False,
    batch_size: int = 64,
    budget_bytes: int = BUDGET_BYTES,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> LayerScores:
    """Per layer with weights: the dimension of its output compared with what it consumes.

    rule="change": |dim(output) − dim(input)|; rule="rise": that difference where it is positive,
    else 0. Where several tensors are consumed, or the layer is called several times, the largest
    of the differences counts. A layer's output is taken after its normalisation and activation,
    before pooling; its input is followed back over pooling, dropout and reshaping to the layer,
    merge or model input that it comes from. One forward pass serves all layers.

    Args:
        model: A Sequential or Functional model of either Keras; it is left as it is.
        x: Its inputs [n, …], n ≥ 3, hundreds for numbers to believe.
        by: An Estimator (TwoNN() is the default), a name ("twonn", "pca": the estimator with the
            view and rule of its paper), any scikit-dimension object, or a function of points
            [n, d].
        view: "flatten": each input is one point of all its numbers. "channels": each spatial
            position is a point of c numbers. None: the name's, else "flatten".
        rule: "change" or "rise". None: the name's, else "change".
        layers: Names of the layers to score; None takes all with weights.
        points: How many points "channels" draws of each layer; None takes n. Dimensions at
            different numbers of points do not compare.
        scales: Measure halves, quarters and eighths of the points too.
        batch_size: Inputs of one step of the forward pass.
        budget_bytes: Memory for activations; what exceeds it lies on disk.
        threads: BLAS threads; None takes the idle cores.
        progress: As in `compress`.

    Returns:
        The scores; `details` holds dimension, difference and the estimator's whole result by name,
        inputs, params and ends.

    Raises:
        ModelError: A model without a graph, or without fixed sizes.
        DataError: Inputs of another shape or with NaN, or a layer without a dimension.
        RecipeError: An option or a layer that is unknown.
    """
    by, view, rule = _choice(by, view, rule)
    _require_positive(
        points=points, batch_size=batch_size, budget_bytes=budget_bytes, threads=threads
    )
    graph = trace_calls(model)
    network = find_layers(graph)
    chosen = network.choose(layers)
    arrays = model_inputs(graph, x)
    _require_inputs(arrays)
    views = _views(graph, _needed(network, chosen), view, len(arrays[0]), points)
    results: dict[str, Dimension] = {}
    with reporter(progress, total=len(views) + 1, title="significance") as step:
        step("forward pass")
        for seen, data in collect(
            graph, arrays, views, batch_size=batch_size, budget_bytes=budget_bytes
        ):
            name = seen.place.name
            step(name)
            results[name] = _measure(by, data, name, scales, budget_bytes, threads)
            del data
    details = {"view": view, "rule": rule, "n": len(arrays[0])}
    return _scores(network, chosen, results, rule, details)


def _choice(
    by: object, view: str | None, rule: str | None
) -> tuple[Estimator | Foreign, View, ScoreRule]:
    """The estimator, view and rule that are meant; RecipeError where one is none."""
    if isinstance(by, str):
        by, named_view, named_rule = by_name(by)
    else:
        by, named_view, named_rule = TwoNN() if by is None else by, "flatten", "change"
    view = named_view if view is None else view
    rule = named_rule if rule is None else rule
    require_view_and_rule(view, rule)
    if not (isinstance(by, (Estimator, FitTransform)) or callable(by)):
        raise RecipeError(
            f"by={by!r} is no estimator: give one such as TwoNN(), a name, a scikit-dimension "
            "object, or a function of points [n, d]."
        )
    return cast(Estimator | Foreign, by), cast(View, view), cast(ScoreRule, rule)


def require_view_and_rule(view: object, rule: object) -> None:
    """RecipeError for a view or a rule that `significance` does not have."""
    if view not in get_args(View) or rule not in get_args(ScoreRule):
        raise RecipeError(
            f"view={view!r}, rule={rule!r}: view is 'flatten' or 'channels', "
            "rule is 'change' or 'rise'."
        )


def _require_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise RecipeError(f"{name}={number!r}: expected a whole number of 1 or more.")


def _require_inputs(arrays: list[Array]) -> None:
    """DataError for fewer than 3 inputs, or inputs with NaN or infinity."""
    if len(arrays[0]) < 3:
        raise DataError(f"{len(arrays[0])} inputs have no dimension: give hundreds, better 2,000.")
    for array in arrays:
        row = first_row_not_finite(array)
        if row is not None:
            raise DataError(f"Input {row} holds NaN or infinity; remove it.")


def _needed(network: Layers, chosen: tuple[str, ...]) -> list[Place]:
    """The outputs of the chosen layers and what they are compared with, in the network's order."""
    needed: set[str] = set()
    for layer in chosen:
        for place in network.of(layer):
            needed |= {place.name, *place.inputs}
    return [place for name, place in network.places.items() if name in needed]


def _views(
    graph: Calls, places: list[Place], view: View, n: int, points: int | None
) -> list[PointsView]:
    if view == "flatten":
        return [flatten_view(graph, place, n) for place in places]
    return [channels_view(graph, place, n, points or n) for place in places]


def _measure(
    by: Estimator | Foreign,
    points: Array,
    name: str,
    scales: bool,
    budget_bytes: int,
    threads: int | None,
) -> Dimension:
    """The dimension of one tensor's points by any estimator; errors name the tensor."""
    try:
        if isinstance(by, Estimator):
            result = by.measure(
                points, overwrite=True, scales=scales, budget_bytes=budget_bytes, threads=threads
            )
        else:
            result = measure_foreign(by, points, budget_bytes)
    except DataError as error:
        raise DataError(f"Output of {name!r}: {error}") from error
    if not math.isfinite(result.id):
        why = "; ".join(result.warnings) or "no reason given"
        raise DataError(
            f"The output of {name!r} has no dimension by {result.method} ({why}): "
            "leave it out by layers=[...], or take PCA."
        )
    return result


def _scores(
    network: Layers,
    chosen: tuple[str, ...],
    results: dict[str, Dimension],
    rule: ScoreRule,
    details: dict[str, Any],
) -> LayerScores:
    """The largest difference of each layer to what it consumes, by `rule`."""
    scores: dict[str, float] = {}
    differences: dict[str, float] = {}
    sources: dict[str, list[str]] = {}
    for layer in chosen:
        steps = []
        consumed: set[str] = set()
        for place in network.of(layer):
            consumed.update(place.inputs)
            steps += [results[place.name].id - results[source].id for source in place.inputs]
        sources[layer] = sorted(consumed)
        differences[layer] = max(steps, key=abs if rule == "change" else float)
        scores[layer] = max(differences[layer], 0.0) if rule == "rise" else abs(differences[layer])
    details |= {
        "dimension": {name: result.id for name, result in results.items()},
        "difference": differences,
        "inputs": sources,
        "measured": {name: result.to_dict() for name, result in results.items()},
        "params": network.params,
        "other_params": network.other_params,
        "ends": list(network.ends),
    }
    method = next(iter(results.values())).method if results else ""
    return LayerScores(scores, f"{method}, {details['view']}, {rule}", "dimensions", details)
