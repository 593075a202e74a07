"""How much each layer changes the dimension of what it is given (thesis; Chakraborty et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from tfcompress._backend.graph._activations import model_inputs
from tfcompress._backend.graph._calls import trace_calls
from tfcompress._backend.progress import reporter
from tfcompress.analysis._activations import channels_view, collect, flatten_view
from tfcompress.analysis._layers import Layers, find_layers
from tfcompress.analysis._scores import LayerScores
from tfcompress.analysis.dimension._duplicates import unique_rows
from tfcompress.analysis.dimension._estimator import Dimension, Estimator, check_points
from tfcompress.analysis.dimension._room import BUDGET_BYTES
from tfcompress.analysis.dimension._two_nn import TwoNN
from tfcompress.core import DataError, RecipeError


def significance(
    model: Any,
    x: Any,
    by: Any = None,
    view: Literal["flatten", "channels"] = "flatten",
    rule: Literal["change", "rise"] = "change",
    layers: Iterable[str] | None = None,
    *,
    points: int | None = None,
    scales: bool = False,
    batch_size: int = 64,
    budget_bytes: int = BUDGET_BYTES,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> LayerScores:
    """Per layer with weights: the dimension of its output for the inputs `x` [n, …], compared with what it consumes.

    rule="change": |dim(output) − dim(input)| (the thesis'); rule="rise": that difference where it is positive, else 0
    (Chakraborty's). Where several tensors are consumed (or the layer is called several times), the largest of the
    differences counts. A layer's output is taken after its normalisation and activation, before pooling; its input is
    followed back over pooling, dropout and reshaping to the layer, merge or model input that made it.

    `by`: TwoNN() (the default), PCADimension(), any scikit-dimension estimator object, or a function of points [n, d].
    view="flatten": each input is one point of all its numbers. view="channels": each spatial position is a point of
    c numbers, of which `points` are drawn (default n, so that every layer is measured at the same number of points;
    dimensions at different numbers do not compare). `scales` measures halves, quarters and eighths of the points too.

    One forward pass serves all layers; activations beyond `budget_bytes` lie on disk. `progress` as in `compress`.
    `details` holds dimension, difference and the estimator's whole result by name, inputs, params and ends.
    Raises ModelError, DataError (wrong shape, NaN, a layer without a dimension), RecipeError (option or layer unknown).
    """
    if view not in ("flatten", "channels") or rule not in ("change", "rise"):
        raise RecipeError(
            f"view={view!r}, rule={rule!r}: view is 'flatten' or 'channels', rule is 'change' or 'rise'."
        )
    by = TwoNN() if by is None else by
    if not (isinstance(by, Estimator) or hasattr(by, "fit_transform") or callable(by)):
        raise RecipeError(
            f"by={by!r} is no estimator: TwoNN(), PCADimension(), a scikit-dimension object, or a function of points [n, d]."
        )
    graph = trace_calls(model)
    found = find_layers(graph)
    chosen = found.choose(layers)
    arrays = model_inputs(graph, x)
    n = len(arrays[0])
    if n < 3:
        raise DataError(f"{n} inputs have no dimension: give hundreds, better 2,000.")
    needed = {place.name for name in chosen for place in found.of(name)}
    needed |= {source for name in needed for source in found.places[name].inputs}
    places = [place for name, place in found.places.items() if name in needed]
    if view == "flatten":
        views = [flatten_view(graph, place, n) for place in places]
    else:
        views = [channels_view(graph, place, n, points or n) for place in places]
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
    return _scores(found, chosen, results, view, rule, n)


def _measure(
    by: Any, points: np.ndarray, name: str, scales: bool, budget_bytes: int, threads: int | None
) -> Dimension:
    """The dimension of one tensor's points by any estimator; errors say which tensor it was."""
    try:
        if isinstance(by, Estimator):
            found = by.measure(
                points, overwrite=True, scales=scales, budget_bytes=budget_bytes, threads=threads
            )
        else:
            found = _foreign(by, points)
    except DataError as error:
        raise DataError(f"Output of {name!r}: {error}") from error
    if not math.isfinite(found.id):
        why = "; ".join(found.warnings) or "no reason given"
        raise DataError(
            f"The output of {name!r} has no dimension by {found.method} ({why}): leave it out by layers=[...], or take PCA."
        )
    return found


def _foreign(by: Any, points: np.ndarray) -> Dimension:
    """A scikit-dimension estimator (a fresh copy of it) or a function, on the distinct points; errors become DataError."""
    points = check_points(points)
    keep = unique_rows(points)
    n, m = len(points), len(keep)
    said = (f"{n - m:,} of {n:,} rows are copies of others and were left out",) if m < n else ()
    label = getattr(by, "__name__", type(by).__name__)
    if m < 3:
        return Dimension(0.0, label, n_rows=n, n_unique=m, n_used=m, warnings=said)
    distinct = points if m == n else points[keep]
    if not hasattr(by, "fit_transform"):
        return Dimension(float(by(distinct)), label, n_rows=n, n_unique=m, n_used=m, warnings=said)
    from sklearn.base import clone

    if (
        distinct.shape[1] == 1
    ):  # scikit-dimension refuses one feature; a column of zeros leaves every distance as it is
        distinct = np.pad(distinct, ((0, 0), (0, 1)))
    try:
        value = clone(by).fit_transform(distinct)
    except ValueError as error:
        raise DataError(f"{label} refuses {list(distinct.shape)} points: {error}") from error
    return Dimension(float(np.mean(value)), label, n_rows=n, n_unique=m, n_used=m, warnings=said)


def _scores(
    found: Layers,
    chosen: tuple[str, ...],
    results: dict[str, Dimension],
    view: str,
    rule: str,
    n: int,
) -> LayerScores:
    difference = {}
    for layer in chosen:
        steps = [
            results[place.name].id - results[source].id
            for place in found.of(layer)
            for source in place.inputs
        ]
        difference[layer] = max(steps, key=abs if rule == "change" else float)
    scores = {layer: abs(d) if rule == "change" else max(d, 0.0) for layer, d in difference.items()}
    details = {
        "view": view,
        "rule": rule,
        "n": n,
        "dimension": {name: result.id for name, result in results.items()},
        "difference": difference,
        "inputs": {
            layer: sorted({source for place in found.of(layer) for source in place.inputs})
            for layer in chosen
        },
        "measured": {name: result.to_dict() for name, result in results.items()},
        "params": found.params,
        "other_params": found.other_params,
        "ends": list(found.ends),
    }
    method = next(iter(results.values())).method if results else ""
    return LayerScores(scores, f"{method}, {view}, {rule}", "dimensions", details)
