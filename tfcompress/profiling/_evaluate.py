"""How good a `.tflite` is on data: predictions in batches as the file allows, scores by NumPy or by Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.keras._metrics import keras_metric
from tfcompress.core import DataError
from tfcompress.profiling._metrics import NATIVE
from tfcompress.profiling._remote import Remote
from tfcompress.profiling._source import Source, on_disk

Metric = str | Callable[[np.ndarray, np.ndarray], float]


def evaluate(
    file: Any,
    x: Any,
    y: Any = None,
    metric: Metric | Sequence[Metric] = "accuracy",
    *,
    batch_size: int = 64,
    runtime: str = "auto",
    threads: int = 1,
    predictions: bool = False,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    timeout: float = 120.0,
) -> Any:
    """Score of a `.tflite` (path, bytes or Artifact) on data; real numbers in and out, whatever the file stores.

    x, y: arrays, lists of them or {name: array} for several inputs or outputs; or `x` alone an iterable of (x, y) batches
    (tf.data, PyDataset). metric: "accuracy" (one-unit sigmoid, class numbers or one-hot), "top5", "mse", "mae", "auc", any
    other of Keras's by name, a Keras Metric, or a function (y, outputs) → number. batch_size: for files that take any number.
    threads: more than 1 pays for big networks only. input_names/output_names: the order of lists, if it is not the file's.
    timeout: seconds without an answer after which the child process that runs the file is given up.

    Returns a float; for several metrics {metric: float}; for several outputs {output: either}; with `predictions` a pair
    (score, outputs), outputs [n, ...] as the score. Raises DataError (shapes, no samples, labels, unknown metric) and
    InterpreterError (the file does not load or run, or crashes its interpreter).
    """
    runtime = choose(runtime)
    source = Source.of(file)
    options = {"threads": threads, "input_names": input_names, "output_names": output_names}
    with on_disk([source]) as paths:
        called = f"{runtime} {available()[runtime]}"
        with Remote(
            paths[0],
            what=source.what,
            runtime=called,
            timeout=timeout,
            options={"runtime": runtime, **options},
        ) as opened:
            labels, outputs = _predict(opened, x, y, batch_size)
            names = [item["name"] for item in opened.outputs]
    if len(names) == 1:
        score = _score(metric, labels[0], outputs[0])
        return (score, outputs[0]) if predictions else score
    scores = {name: _score(metric, *pair) for name, *pair in zip(names, labels, outputs)}
    return (scores, dict(zip(names, outputs))) if predictions else scores


def _score(metric: Metric | Sequence[Metric], y: np.ndarray, outputs: np.ndarray) -> Any:
    if isinstance(metric, (list, tuple)):
        return {_name(item): _one_score(item, y, outputs) for item in metric}
    return _one_score(metric, y, outputs)  # type: ignore[arg-type]


def _one_score(metric: Metric, y: np.ndarray, outputs: np.ndarray) -> float:
    if len(y) != len(outputs):
        raise DataError(f"{len(y)} labels came for {len(outputs)} samples.")
    if isinstance(metric, str) and metric.lower() in NATIVE:
        return NATIVE[metric.lower()](y, outputs)
    if isinstance(metric, str) or hasattr(metric, "update_state"):
        return keras_metric(metric, y, outputs)
    return float(np.mean(np.asarray(metric(y, outputs))))


def _name(metric: Metric) -> str:
    return (
        metric
        if isinstance(metric, str)
        else getattr(metric, "name", getattr(metric, "__name__", type(metric).__name__))
    )


def _predict(
    opened: Remote, x: Any, y: Any, batch_size: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    labels: list[list[np.ndarray]] = []
    outputs: list[list[np.ndarray]] = []
    for inputs, targets in _batches(opened, x, y):
        outputs.append(opened.predict(inputs, batch_size))
        labels.append(_by_output(opened, targets))
    if not outputs:
        raise DataError("The data set given has no samples.")
    return [np.concatenate(column) for column in zip(*labels)], [
        np.concatenate(column) for column in zip(*outputs)
    ]


def _batches(opened: Remote, x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    if y is not None:
        yield _arrays(x, opened), y
        return
    if isinstance(x, (np.ndarray, Mapping)) or not (
        hasattr(x, "__iter__") or hasattr(x, "__getitem__")
    ):
        raise DataError(
            f"evaluate needs labels: pass y, or for x an iterable of (x, y) batches; {type(x).__name__} came alone."
        )
    for item in x if hasattr(x, "__iter__") else (x[i] for i in range(len(x))):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(
                f"The data set has to give pairs (x, y); it gave {type(item).__name__}{_length(item)}."
            )
        inputs, targets = _arrays(item[0], opened), item[1]
        shapes = inputs.values() if isinstance(inputs, dict) else inputs
        if all(
            values.ndim == len(info["shape"]) - 1 for values, info in zip(shapes, opened.inputs)
        ):  # an unbatched data set
            inputs = (
                {name: v[None] for name, v in inputs.items()}
                if isinstance(inputs, dict)
                else [v[None] for v in inputs]
            )
            targets = _map(targets, lambda values: np.asarray(values)[None])
        yield inputs, targets


def _arrays(x: Any, opened: Remote) -> list[np.ndarray] | dict[str, np.ndarray]:
    if isinstance(x, Mapping):
        return {str(name): np.asarray(values) for name, values in x.items()}
    if isinstance(x, (list, tuple)) and len(opened.inputs) > 1:
        return [np.asarray(values) for values in x]
    return [np.asarray(x)]


def _by_output(opened: Remote, y: Any) -> list[np.ndarray]:
    """Labels in the order of the file's outputs."""
    names = [item["name"] for item in opened.outputs]
    if len(names) == 1:
        return [np.asarray(next(iter(y.values())) if isinstance(y, Mapping) and len(y) == 1 else y)]
    if isinstance(y, Mapping) and set(y) == set(names):
        return [np.asarray(y[name]) for name in names]
    if isinstance(y, (list, tuple)) and len(y) == len(names):
        return [np.asarray(values) for values in y]
    raise DataError(
        f"The file has the outputs {names}: pass their labels as a list in that order or as a dict."
    )


def _map(values: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: function(item) for name, item in values.items()}
    return (
        [function(item) for item in values]
        if isinstance(values, (list, tuple))
        else function(values)
    )


def _length(item: Any) -> str:
    return f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
