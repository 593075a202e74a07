"""The contract that every technique, target, estimator and device must pass; yours too.

from tfcompress.testing import check_device, check_estimator, check_technique, check_target

def test_my_technique():
    check_technique(MyTechnique(0.5), keras="keras")
"""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend.interpreter import _parity as _parity
from tfcompress._backend.interpreter._file import runtime_for
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.analysis import Dimension, Estimator, SignificanceBits
from tfcompress.core import (
    COLUMNS,
    DataError,
    Device,
    InterpreterError,
    Profile,
    Recipe,
    Target,
    Technique,
    Training,
)
from tfcompress.core._types import Array, Data, Model
from tfcompress.training import Fit

ModelAndData: TypeAlias = tuple[Model, Array, Array]
"""A compiled model, its inputs and its labels."""


def tiny_model(keras: str = "keras", *, trained: bool = True) -> ModelAndData:
    """A compiled convolutional net for 8×8 images in the Keras named, with data it can learn.

    x [256, 8, 8, 1] are noise with a bright quadrant; y [256] in 0..3 is which. `trained` fits
    three epochs.
    """
    kit = importlib.import_module(keras)
    _keras.set_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 256)
    x = rng.random((256, 8, 8, 1), dtype=np.float32) * 0.5
    for image, label in zip(x, y):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 0.5
    layers = kit.layers
    inputs = layers.Input((8, 8, 1), name="image")
    h = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(inputs)
    h = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(h)
    h = layers.BatchNormalization(name="bn")(h)
    h = layers.ReLU(name="relu")(h)
    branch = layers.BatchNormalization(name="bn2")(layers.Conv2D(8, 1, name="conv2")(h))
    h = layers.Add(name="add")([h, branch])
    h = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(h))
    h = layers.Dense(16, activation="relu", name="dense1")(h)
    model = kit.Model(inputs, layers.Dense(4, activation="softmax", name="dense2")(h), name="tiny")
    model.compile(
        kit.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    if trained:
        model.fit(x, y, epochs=3, batch_size=32, verbose=0)
    return model, x, y


def check_technique(
    technique: Technique,
    keras: str = "keras",
    model_and_data: ModelAndData | None = None,
) -> Model:
    """Assert the contract of a technique on a tiny model of the Keras named; returns it stripped.

    It is a hashable value that survives JSON; `apply` leaves the model untouched and gives a
    compiled, trainable one; `skips` names layers of the model; `strip` gives a model that predicts
    finite numbers of the same shape; `check` passes after training.
    """
    model, x, y = model_and_data or tiny_model(keras)
    assert type(technique).from_dict(technique.to_dict()) == technique
    assert hash(technique) == hash(type(technique).from_dict(technique.to_dict()))
    assert Recipe.from_json(Recipe([technique], _AnyTarget()).to_json()).techniques == (technique,)
    with untouched(model, x):
        names = {layer.name for layer in _keras.leaf_layers(model)}
        assert {item.layer for item in technique.skips(model)} <= names, (
            "skips() names a layer that the model does not have"
        )
        wrapped = technique.apply(model)
        assert wrapped is not model
        if technique.training is not Training.NEVER:
            Fit(x, y, epochs=2, batch_size=32)(wrapped, technique.callbacks())
        stripped = technique.strip(wrapped)
        technique.check(model, stripped)
        outputs = _keras.predict(stripped, [x[:4]])
        expected = _keras.predict(model, [x[:4]])
        assert [output.shape for output in outputs] == [output.shape for output in expected]
        assert all(np.isfinite(output).all() for output in outputs)
    return stripped


def check_target(
    target: Target,
    keras: str = "keras",
    model_and_data: ModelAndData | None = None,
) -> bytes:
    """Assert the contract of a target on a tiny model of the Keras named; returns the file's bytes.

    It is a hashable value that survives JSON; `convert` leaves the model untouched and writes a
    file that loads, runs, agrees with the model within `max_relative_error` and passes the target's
    own check; the same model twice gives files of the same size.
    """
    model, x, _ = model_and_data or tiny_model(keras)
    assert type(target).from_dict(target.to_dict()) == target
    with untouched(model, x):
        data = target.convert(model, x[:100])
        target.check(model, data)
        assert all(item.layer and item.reason for item in target.skips(model, data))
        _parity.check_parity(
            _keras.predict(model, [x[:16]]),
            open_interpreter(data, runtime=runtime_for(data)).predict([x[:16]]),
            bound=target.error_bound(),
            what=target.label,
        )
        assert len(target.convert(model, x[:100])) == len(data)
    return data


def check_estimator(estimator: Estimator) -> Dimension:
    """Assert the contract of an estimator of dimension; returns that of 400 points of 3 dimensions.

    It is a hashable value that survives JSON, alone and inside a rule. `measure` gives the same
    dimension every time, within 0.5 of 3, and within 2 % wherever the points are moved to, however
    they are turned, scaled and ordered, whether they are float32 or float64. It leaves the points
    as they are unless it may overwrite them, does not see copies of rows, gives constant points
    dimension 0 with a warning, refuses what are no points, and writes its result as JSON.
    """
    _assert_is_data(estimator)
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(400, 3))
    points = (flat @ np.linalg.qr(rng.normal(size=(20, 3)))[0].T).astype(np.float32)
    before = points.copy()
    result = estimator.measure(points)
    assert np.array_equal(points, before), "measure() changed the points that it was given"
    assert estimator.measure(points).to_dict() == result.to_dict(), "twice, two results"
    assert estimator(points) == float(result) == result.id
    assert abs(result.id - 3) <= 0.5, f"{result.id:.2f} dimensions of 3"
    assert (result.n_rows, result.n_unique) == (400, 400) and 0 < result.n_used <= 400, (
        "the result does not say how many rows given were used: let Estimator.measure call yours"
    )
    assert estimator.label and result.method == estimator.label, (
        "an estimator needs a label, and the result has it as `method`"
    )
    assert json.loads(json.dumps(result.to_dict()))["id"] == result.id
    _assert_sees_shape_alone(estimator, points, result)
    _assert_degenerate_points_are_told(estimator, points)
    return result


def check_device(device: Device, data: bytes, x: Array) -> Profile:
    """Assert the contract of a device on a `.tflite` that it runs; returns the file's profile.

    It is a hashable value that survives JSON, with a name that can stand in a column's. `profile`
    has the file's size, the device's name and at least one measured column; `run` gives what LiteRT
    gives within 2 % of its spread; bytes that are no file are refused.

    Args:
        device: yours, with what it needs installed.
        data: the bytes of a file that it runs.
        x: inputs [n, …] of the file.
    """
    device.require()
    restored = type(device).from_dict(json.loads(device.to_json()))
    assert restored == device and hash(restored) == hash(device)
    assert device.name and not set(device.name) & set("@, \n"), (
        "a device's name stands in the names of columns: no @, comma or space"
    )
    profile = device.profile(data, "net")
    assert (profile.name, profile.device, profile.size_bytes) == ("net", device.name, len(data))
    assert any(_amounts(profile).values()), "the profile has no measured column beside the sizes"
    if device.runs:
        _parity.check_parity(
            open_interpreter(data).predict([x]), device.run(data, [x]), bound=0.02, what=device.name
        )
    for wrong in (b"", b"this is no model", data[: len(data) // 2]):
        try:
            device.profile(wrong)
        except InterpreterError:
            continue
        raise AssertionError(f"no InterpreterError for {len(wrong)} bytes that are no file")
    return profile


def _amounts(profile: Profile) -> dict[str, float]:
    """The columns that a profile has a number for, sizes left out."""
    values = {column.name: getattr(profile, column.name, None) for column in COLUMNS[2:]}
    return {name: value for name, value in values.items() if value is not None}


def _assert_is_data(estimator: Estimator) -> None:
    restored = type(estimator).from_dict(json.loads(estimator.to_json()))
    assert restored == estimator and hash(restored) == hash(estimator)
    rule = SignificanceBits(estimator)
    assert type(rule).from_dict(rule.to_dict()) == rule
    assert estimator.word == estimator.word.lower() and "-" not in estimator.word, (
        "an estimator's word stands in recipe names"
    )


def _assert_sees_shape_alone(estimator: Estimator, points: Array, result: Dimension) -> None:
    """Turned, moved, scaled, shuffled, copied or overwritten, points have the same dimension."""
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(points.shape[1],) * 2))[0]
    copies = points[rng.integers(0, len(points), 100)]
    variants = {
        "turned, moved and scaled": 7.0 * (points @ turn) + 50.0,
        "shuffled": points[rng.permutation(len(points))],
        "as float64": points.astype(np.float64),
        "with copies of rows": np.concatenate([points, copies]),
    }
    for what, variant in variants.items():
        measured = estimator.measure(variant)
        assert math.isclose(measured.id, result.id, rel_tol=0.02), f"{what}: {measured.id}"
        assert measured.n_unique == len(points)
        assert measured.warnings or len(variant) == len(points), "copies left out without a warning"
    overwritten = estimator.measure(points.copy(), overwrite=True, threads=1)
    assert math.isclose(overwritten.id, result.id, rel_tol=0.02), "overwrite: another dimension"
    scales = estimator.measure(points, scales=True).ids_by_n
    assert scales is not None and list(scales) == [200, 100, 50]
    assert all(math.isfinite(value) for value in scales.values())


def _assert_degenerate_points_are_told(estimator: Estimator, points: Array) -> None:
    constant = estimator.measure(np.ones((50, 4), np.float32))
    assert constant.id == 0.0 and constant.warnings, "constant points: dimension 0, with a warning"
    poisoned = points.copy()
    poisoned[7, 0] = np.nan
    for wrong in (points[:2], points[0], poisoned, points.astype(str)):
        try:
            estimator.measure(wrong)
        except DataError:
            continue
        raise AssertionError(f"no DataError for points {wrong.dtype}{list(wrong.shape)}")


class untouched:
    """Context: on leaving, `model` must be what it was.

    The same weights bit for bit, predictions, trainable flags and optimizer.
    """

    def __init__(self, model: Model, x: Array):
        self.model: Model = model
        self.x: Array = x

    def __enter__(self) -> untouched:
        self.weights: list[Array] = [np.array(weight) for weight in self.model.get_weights()]
        self.outputs: list[Array] = _keras.predict(self.model, [self.x[:8]])
        self.trainable: list[bool] = [layer.trainable for layer in self.model.layers]
        self.optimizer: object = self.model.optimizer
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        after = self.model.get_weights()
        assert len(after) == len(self.weights), "the model given lost or gained weights"
        assert all(map(np.array_equal, self.weights, after)), (
            "the weights of the model given changed"
        )
        outputs = _keras.predict(self.model, [self.x[:8]])
        assert all(map(np.array_equal, self.outputs, outputs)), "its predictions changed"
        assert [layer.trainable for layer in self.model.layers] == self.trainable, (
            "its trainable flags changed"
        )
        assert self.model.optimizer is self.optimizer, "its optimizer changed"


@dataclass(frozen=True, eq=False)
class _AnyTarget(Target):
    """A target that is only there to complete a recipe."""

    max_relative_error = 0.0

    def convert(self, model: Model, samples: Data = None) -> bytes:
        return b""
