"""Compile state carried over: optimizer, schedule, loss, metrics, weights of losses; what has no
twin is named.
"""

import importlib

import numpy as np
import pytest

from tfcompress._backend import bridge as bridge

# By name, for neither package is typed: a checker reads types from the defaults of parameters.
keras = importlib.import_module("keras")
tf_keras = importlib.import_module("tf_keras")


def net(package, outputs=1):
    i = package.Input((4,), name="i")
    x = package.layers.Dense(5, activation="relu")(i)
    outs = [
        package.layers.Dense(3, activation="softmax", name=f"head{n}")(x) for n in range(outputs)
    ]
    return package.Model(i, outs[0] if outputs == 1 else outs)


DATA = (
    np.random.default_rng(0).random((64, 4), dtype="float32"),
    np.random.default_rng(1).integers(0, 3, 64),
)


def carried(**arguments):
    model = net(keras)
    model.compile(**arguments)
    flat = bridge.to_tf_keras(model)
    assert bridge.compile_problem(flat) is None
    return model, flat


def same_steps(model, flat, y: np.ndarray = DATA[1], **options: object):
    """Both train to the same losses and weights."""
    ours = model.fit(
        DATA[0], y, epochs=3, batch_size=16, shuffle=False, verbose=0, **options
    ).history
    theirs = flat.fit(
        DATA[0], y, epochs=3, batch_size=16, shuffle=False, verbose=0, **options
    ).history
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=2e-4)
    for a, b in zip(model.get_weights(), flat.get_weights()):
        np.testing.assert_allclose(a, b, atol=2e-4)
    return ours, theirs


OPTIMIZERS = [
    lambda: keras.optimizers.Adam(0.02, beta_1=0.8, epsilon=1e-3),
    lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.5, 3, 0.5), momentum=0.9, nesterov=True
    ),
    lambda: keras.optimizers.RMSprop(0.01, rho=0.7, clipnorm=0.1),
    lambda: keras.optimizers.AdamW(0.02, weight_decay=0.05),
    lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.2),
    lambda: keras.optimizers.Lion(0.01),
    lambda: keras.optimizers.Adagrad(0.1),
    lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.PiecewiseConstantDecay([2, 5], [0.5, 0.1, 0.01])
    ),
]


@pytest.mark.parametrize("number", range(len(OPTIMIZERS)))
def test_optimizers_take_the_same_steps(number):
    model, flat = carried(
        optimizer=OPTIMIZERS[number](), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    assert type(flat.optimizer).__name__ == type(model.optimizer).__name__
    ours, theirs = same_steps(model, flat)
    np.testing.assert_allclose(ours["accuracy"], theirs["accuracy"], atol=0.02)


def test_learning_rate_as_it_is_now_and_source_untouched():
    model = net(keras)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(DATA[0], np.eye(3, dtype="float32")[DATA[1]], verbose=0)
    model.optimizer.learning_rate = 0.025
    before = [np.asarray(v) for v in model.optimizer.variables]
    flat, copied = bridge.to_tf_keras(model), bridge.clone(model)
    assert (
        float(flat.optimizer.learning_rate)
        == float(copied.optimizer.learning_rate)
        == np.float32(0.025)
    )
    assert int(copied.optimizer.iterations) == int(flat.optimizer.iterations) == 0
    assert all((a == np.asarray(b)).all() for a, b in zip(before, model.optimizer.variables))
    assert copied.optimizer is not model.optimizer


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.4 * keras.ops.power(0.5, keras.ops.cast(step, "float32"))

    def get_config(self):
        return {}


class SquaredTwice(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return 2.0 * keras.ops.mean(
            keras.ops.square(keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3) - y_pred),
            axis=-1,
        )


def own_loss(y_true, y_pred):
    return keras.ops.mean(
        keras.ops.square(keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3) - y_pred), axis=-1
    )


LOSSES = [
    "crossentropy",
    keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
    keras.losses.sparse_categorical_crossentropy,
    SquaredTwice(),
    own_loss,
]


# The model ends in a softmax, which does not matter to what is compared.
@pytest.mark.filterwarnings("ignore:.*received `from_logits=True`:UserWarning")
@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_losses(number):
    model, flat = carried(optimizer=keras.optimizers.SGD(Halving()), loss=LOSSES[number])
    weights = {0: 2.0, 1: 1.0, 2: 0.5} if number in (1, 2) else None
    same_steps(model, flat, class_weight=weights)


def test_loss_objects_that_tf_keras_lacks():
    model, flat = carried(optimizer="sgd", loss=keras.losses.Dice())
    same_steps(model, flat, np.eye(3, dtype="float32")[DATA[1]])


def test_metrics():
    metrics = [
        "accuracy",
        keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2"),
        keras.metrics.sparse_categorical_crossentropy,
        keras.metrics.MeanMetricWrapper(own_loss, name="wrapped"),
        own_loss,
    ]
    model, flat = carried(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=metrics)
    ours, theirs = same_steps(model, flat)
    for key in ("accuracy", "top2", "sparse_categorical_crossentropy", "wrapped", "own_loss"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-2, err_msg=key)


@pytest.mark.parametrize("form", ["dict", "list"])
def test_several_outputs(form, keras_flavour):
    package = importlib.import_module(keras_flavour)
    model = net(package, outputs=2)
    loss = ["sparse_categorical_crossentropy", package.losses.SparseCategoricalCrossentropy()]
    metrics, weights = (
        [["accuracy"], [package.metrics.SparseCategoricalAccuracy(name="acc2")]],
        [1.0, 0.25],
    )
    names = ["head0", "head1"]
    if form == "dict":
        loss, metrics, weights = (
            dict(zip(names, loss)),
            dict(zip(names, metrics)),
            dict(zip(names, weights)),
        )
    model.compile("sgd", loss=loss, metrics=metrics, loss_weights=weights)
    y = [DATA[1], 2 - DATA[1]]
    model.fit(
        DATA[0], y, shuffle=False, verbose=0
    )  # a used model: tf_keras has put the outputs' names into the metrics
    flat, copied = bridge.to_tf_keras(model), bridge.clone(model)
    expected = model.fit(DATA[0], y, shuffle=False, verbose=0).history
    for other in (flat, copied):
        assert bridge.compile_problem(other) is None
        history = other.fit(DATA[0], y, shuffle=False, verbose=0).history
        np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
        assert {"head0_accuracy", "head1_acc2"} <= set(history)


class Count(keras.metrics.Metric):
    def __init__(self, name="count", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(1.0)

    def result(self):
        return self.total


class Mine(keras.optimizers.SGD):
    pass


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"optimizer": Mine(0.1), "loss": "mse"}, "Optimizer Mine"),
        ({"optimizer": keras.optimizers.Muon(0.1), "loss": "mse"}, "Optimizer Muon"),
        (
            {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=4), "loss": "mse"},
            "gradient_accumulation_steps",
        ),
        ({"optimizer": "sgd", "loss": "mse", "metrics": [Count()]}, "Metric Count"),
    ],
)
def test_what_has_no_twin_is_named(arguments, named):
    model = net(keras)
    model.compile(**arguments)
    flat = bridge.to_tf_keras(model)
    assert not flat._is_compiled
    assert named in bridge.compile_problem(flat)
    assert model.compiled
    assert bridge.compile_problem(bridge.clone(model)) is None and bridge.clone(model).compiled


def test_uncompiled_stays_uncompiled(keras_flavour):
    model = net(importlib.import_module(keras_flavour))
    flat = bridge.to_tf_keras(model)
    assert not flat._is_compiled and bridge.compile_problem(flat) is None


def test_own_train_step_is_named(keras_flavour):
    package = importlib.import_module(keras_flavour)

    class Stepper(package.Model):
        def train_step(self, *data):
            return super().train_step(*data)

    i = package.Input((4,))
    model = Stepper(i, package.layers.Dense(3)(i))
    model.compile("sgd", "mse")
    problem = bridge.compile_problem(bridge.to_tf_keras(model))
    assert problem is not None and "train_step" in problem


def test_tf_keras_compile_state_is_copied():
    model = net(tf_keras)
    schedule = tf_keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(
        tf_keras.optimizers.SGD(schedule, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    for other in (bridge.to_tf_keras(model), bridge.clone(model)):
        assert other.optimizer is not model.optimizer and other.optimizer.momentum == 0.9
        fresh = bridge.clone(model)
        same_steps(fresh, other)
