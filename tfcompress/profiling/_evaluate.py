"""How good a `.tflite` is on data: predictions in batches as the file allows, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.keras._metrics import keras_metric
from tfcompress.core import DataError, Device
from tfcompress.core._types import Array, Data
from tfcompress.profiling._metrics import NATIVE, OF_CLASSES, are_classes
from tfcompress.profiling._on import OnDevice, require_device
from tfcompress.profiling._remote import Remote
from tfcompress.profiling._source import File, Source, on_disk

Metric: TypeAlias = "str | Callable[[Array, Array], float]"
"""A name, a Keras Metric, or a function (labels, outputs) → number."""
Metrics: TypeAlias = "Metric | Sequence[Metric]"
Opened: TypeAlias = "Remote | OnDevice"
"""A file that predicts: its inputs and outputs are described as dicts."""
Score: TypeAlias = "float | dict[str, float]"
"""A number, or one a metric."""

OF_QUANTITIES = "mae"
"""What an output of several is scored by whose labels are quantities, where classes are asked."""


def evaluate(
    file: File,
    x: Data,
    y: Data = None,
    metric: Metrics | Mapping[str, Metrics] = "accuracy",
    *,
    batch_size: int = 64,
    runtime: str = "auto",
    threads: int = 1,
    predictions: bool = False,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    timeout: float = 120.0,
    on: Device | None = None,
) -> Any:
    """Score of a `.tflite` on data; real numbers in and out, whatever the file stores.

    Args:
        file: path, bytes or Artifact.
        x: an array, a list of them or {name: array} for several inputs; or, with no `y`, an
            iterable of (x, y) batches (tf.data, PyDataset).
        y: the labels, in the same forms for several outputs.
        metric: "accuracy" (one-unit sigmoid, class numbers or one-hot), "top5", "mse", "mae",
            "auc", any other of Keras's by name, a Keras Metric, or a function (y, outputs) →
            number; several in a list; or {output: either} for a file with several outputs.
        batch_size: for files that take any number of samples.
        runtime: "auto", "litert", "tflite_runtime" or "tensorflow".
        threads: more than 1 pays for big networks only.
        predictions: also return the outputs.
        input_names: the order of a list `x`, if it is not the file's.
        output_names: the order of a list `y`, if it is not the file's.
        timeout: seconds without an answer after which the child process that runs the file is
            given up.
        on: the device that runs the file, in place of `runtime`, `threads` and `batch_size`.

    Returns:
        A float; for several metrics {metric: float}; for several outputs {output: either}, where an
        output whose labels are quantities, not classes, has {"mae": float} instead of an accuracy.
        With `predictions` a pair (score, outputs), outputs [n, ...] in the form of the score.

    Raises:
        DataError: shapes, no samples, labels that the metric cannot score, an unknown metric.
        InterpreterError: the file does not load or run, or crashes its interpreter.
    """
    source = Source.of(file)
    if on is not None:
        require_device(on)
        on.require()
        return _scored(OnDevice(on, source), x, y, metric, batch_size, predictions)
    runtime = choose(runtime)
    options = {"threads": threads, "input_names": input_names, "output_names": output_names}
    with on_disk([source]) as paths:
        remote = Remote(
            paths[0],
            what=source.what,
            runtime=f"{runtime} {available()[runtime]}",
            timeout=timeout,
            options={"runtime": runtime, **options},
        )
        with remote as opened:
            return _scored(opened, x, y, metric, batch_size, predictions)


def _scored(
    opened: Opened,
    x: Data,
    y: Data,
    metric: Metrics | Mapping[str, Metrics],
    batch_size: int,
    predictions: bool,
) -> Any:
    """What `evaluate` returns for an open file."""
    labels, outputs = _predict(opened, x, y, batch_size)
    names = [item["name"] for item in opened.outputs]
    if len(names) == 1 and not isinstance(metric, Mapping):
        score = _score(metric, labels[0], outputs[0])
        return (score, outputs[0]) if predictions else score
    scores = _scores(metric, names, labels, outputs)
    return (scores, dict(zip(names, outputs))) if predictions else scores


def _scores(
    metric: Metrics | Mapping[str, Metrics],
    names: Sequence[str],
    labels: Sequence[Array],
    outputs: Sequence[Array],
) -> dict[str, Score]:
    """The score of every output."""
    if isinstance(metric, Mapping):
        if set(metric) != set(names):
            raise DataError(
                f"metric= names the outputs {list(metric)}; the file has {list(names)}."
            )
        by_output = dict(metric)
    else:
        by_output = {
            name: _fitting(metric, y, values) for name, y, values in zip(names, labels, outputs)
        }
    return {
        name: _score(by_output[name], y, values) for name, y, values in zip(names, labels, outputs)
    }


def _fitting(metric: Metrics, y: Array, outputs: Array) -> Metrics:
    """The metrics asked for, as far as the labels allow: quantities have no accuracy."""
    asked = list(metric) if isinstance(metric, (list, tuple)) else [metric]
    if not any(_needs_classes(one) for one in asked) or are_classes(y, outputs):
        return metric
    kept: list[Any] = [one for one in asked if not _needs_classes(one)]
    return kept or [OF_QUANTITIES]


def _needs_classes(metric: Metric | Metrics) -> bool:
    return isinstance(metric, str) and metric.lower() in OF_CLASSES


def _score(metric: Metrics, y: Array, outputs: Array) -> Score:
    if isinstance(metric, (list, tuple)):
        return {_name(item): _one_score(item, y, outputs) for item in metric}
    return _one_score(metric, y, outputs)


def _one_score(metric: Any, y: Array, outputs: Array) -> float:
    if len(y) != len(outputs):
        raise DataError(f"{len(y)} labels came for {len(outputs)} samples.")
    if isinstance(metric, str) and metric.lower() in NATIVE:
        return NATIVE[metric.lower()](y, outputs)
    if isinstance(metric, str) or hasattr(metric, "update_state"):
        return keras_metric(metric, y, outputs)
    return float(np.mean(np.asarray(metric(y, outputs))))


def _name(metric: Metric) -> str:
    if isinstance(metric, str):
        return metric
    return getattr(metric, "name", getattr(metric, "__name__", type(metric).__name__))


def _predict(opened: Opened, x: Data, y: Data, batch_size: int) -> tuple[list[Array], list[Array]]:
    """Labels and outputs, one array an output of the file."""
    labels: list[list[Array]] = []
    outputs: list[list[Array]] = []
    for inputs, targets in _batches(opened, x, y):
        outputs.append(opened.predict(inputs, batch_size))
        labels.append(_by_output(opened, targets))
    if not outputs:
        raise DataError("The data set given has no samples.")
    return _joined(labels), _joined(outputs)


def _joined(batches: list[list[Array]]) -> list[Array]:
    return [np.concatenate(column) for column in zip(*batches)]


def _batches(opened: Opened, x: Data, y: Data) -> Iterator[tuple[Any, Any]]:
    """(inputs, labels) batch by batch; all at once where they came as arrays."""
    if y is not None:
        yield _arrays(x, opened), y
        return
    is_iterable = hasattr(x, "__iter__") or hasattr(x, "__getitem__")
    if isinstance(x, (np.ndarray, Mapping)) or not is_iterable:
        raise DataError(
            "evaluate needs labels: pass y, or for x an iterable of (x, y) batches; "
            f"{type(x).__name__} came alone."
        )
    items = x if hasattr(x, "__iter__") else (x[place] for place in range(len(x)))
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            length = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
            raise DataError(
                f"The data set has to give pairs (x, y); it gave {type(item).__name__}{length}."
            )
        yield _as_batch(opened, _arrays(item[0], opened), item[1])


def _as_batch(
    opened: Opened, inputs: list[Array] | dict[str, Array], targets: Any
) -> tuple[Any, Any]:
    """A pair as it is, or, of an unbatched data set, as a batch of one."""
    arrays = inputs.values() if isinstance(inputs, dict) else inputs
    ranks = [(values.ndim, len(info["shape"])) for values, info in zip(arrays, opened.inputs)]
    if not all(rank == expected - 1 for rank, expected in ranks):
        return inputs, targets
    return _with_axis(inputs), _with_axis(targets)


def _with_axis(values: Any) -> Any:
    """The values, each with a first axis of one sample."""
    if isinstance(values, Mapping):
        return {name: np.asarray(item)[None] for name, item in values.items()}
    if isinstance(values, (list, tuple)):
        return [np.asarray(item)[None] for item in values]
    return np.asarray(values)[None]


def _arrays(x: Data, opened: Opened) -> list[Array] | dict[str, Array]:
    if isinstance(x, Mapping):
        return {str(name): np.asarray(values) for name, values in x.items()}
    if isinstance(x, (list, tuple)) and len(opened.inputs) > 1:
        return [np.asarray(values) for values in x]
    return [np.asarray(x)]


def _by_output(opened: Opened, y: Data) -> list[Array]:
    """Labels in the order of the file's outputs."""
    names = [item["name"] for item in opened.outputs]
    if len(names) == 1:
        only = next(iter(y.values())) if isinstance(y, Mapping) and len(y) == 1 else y
        return [np.asarray(only)]
    if isinstance(y, Mapping) and set(y) == set(names):
        return [np.asarray(y[name]) for name in names]
    if isinstance(y, (list, tuple)) and len(y) == len(names):
        return [np.asarray(values) for values in y]
    raise DataError(
        f"The file has the outputs {names}: pass their labels as a list in that order or as a dict."
    )
