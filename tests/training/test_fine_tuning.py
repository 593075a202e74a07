"""At which rate a network is trained on, which weights are kept, and when it is said that it became
worse.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from tfcompress._backend import bridge
from tfcompress._backend.bridge._training import ready_optimizer
from tfcompress.core import TrainingError
from tfcompress.techniques import Cluster, FineTune, LowRank, MixedPrecision, Prune, PruneFilters
from tfcompress.training import Distill, Fit

SPARSE = "sparse_categorical_crossentropy"


class Rates:
    """Every step's learning rate, by a callback of the Keras of a model."""

    def __init__(self, flavour):
        self.seen = seen = []

        class Note(importlib.import_module(flavour).callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(float(np.asarray(self.model.optimizer.learning_rate)))

        self.callback = Note()


def rates_of(fit_options, model, data, technique=None, trainer: Callable[..., Any] = Fit):
    copy = model if technique is None else technique.apply(model)
    rates = Rates(bridge.flavour(copy))
    trainer(*data, **fit_options, callbacks=[rates.callback])(copy)
    return rates.seen


@pytest.fixture(scope="module")
def few(digits):
    """320 digits."""
    return digits[0][:320], digits[1][:320]


@pytest.fixture(scope="module")
def used_file(small_cnn, few, tmp_path_factory):
    """`used_file(flavour)`: the file of a net that has been trained for a step, at 3e-3."""
    folder = tmp_path_factory.mktemp("used")

    def write(flavour):
        model = small_cnn(flavour)
        model.fit(few[0][:32], few[1][:32], verbose=0)
        model.save(folder / f"{flavour}.keras")
        return folder / f"{flavour}.keras"

    return functools.cache(write)


@pytest.fixture
def used(used_file, keras_flavour):
    """A net that has been trained for a step, at a rate of 3e-3."""
    models = importlib.import_module(keras_flavour).models
    return models.load_model(used_file(keras_flavour))


def expected(peak, steps):
    t = np.arange(steps)
    warm_up = min(int(np.ceil(0.1 * steps)), 100)
    return peak * np.minimum(1, (t + 1) / warm_up) * (1 + np.cos(np.pi * t / steps)) / 2


def test_a_copy_of_a_trained_network_warms_up_to_a_tenth_and_falls(used, few):
    seen = rates_of({"epochs": 2}, used, few, FineTune())
    np.testing.assert_allclose(seen, expected(3e-4, 20), rtol=1e-5)


def test_what_an_end_of_a_training_left_is_no_rate_to_begin_with(used, few):
    used.optimizer.learning_rate = 1e-7
    assert max(rates_of({"epochs": 2}, used, few, FineTune())) == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize(
    ("options", "peak"),
    [
        ({"optimizer": "adam", "loss": SPARSE}, 1e-4),
        ({"optimizer": "sgd", "loss": SPARSE}, 1e-3),
        ({"loss": SPARSE}, 1e-4),
        ({"loss": SPARSE, "learning_rate": 0.02}, 0.02),
        ({"loss": SPARSE, "optimizer": "sgd", "learning_rate": 0.02}, 0.02),
    ],
)
def test_a_copy_of_an_uncompiled_network(options, peak, keras_flavour, small_cnn, few):
    model = small_cnn(keras_flavour, compiled=False)
    seen = rates_of(options, model, few, FineTune())
    np.testing.assert_allclose(seen, expected(peak, 10), rtol=1e-5)


def test_a_rate_that_the_user_states_is_used_as_it_is(keras_flavour, small_cnn, used, few):
    keras = importlib.import_module(keras_flavour)
    fresh = small_cnn(keras_flavour)  # compiled and never trained
    assert rates_of({}, fresh, few, FineTune()) == pytest.approx([3e-3] * 10)
    given = {"optimizer": keras.optimizers.SGD(0.02)}
    assert rates_of(given, used, few, FineTune()) == pytest.approx([0.02] * 10)
    copy = FineTune().apply(used)
    copy.compile(keras.optimizers.SGD(0.03), SPARSE)
    assert rates_of({}, copy, few) == pytest.approx([0.03] * 10)


def test_a_model_of_ones_own_is_trained_as_it_is_compiled(used, few, keras_flavour, small_cnn):
    assert rates_of({}, used, few) == pytest.approx([3e-3] * 10)
    assert rates_of({"learning_rate": 0.01}, used, few) == pytest.approx([0.01] * 10)
    bare = small_cnn(keras_flavour, compiled=False)
    assert rates_of({"loss": SPARSE}, bare, few) == pytest.approx([1e-3] * 10)


def test_where_something_was_removed_the_rate_is_that_of_a_training(used, few):
    for technique in (PruneFilters(0.3), LowRank(energy=0.5)):
        damaged = technique.strip(technique.apply(used))
        assert max(rates_of({}, damaged, few)) == pytest.approx(3e-3, rel=0.1)
        assert max(rates_of({}, damaged, few)) == pytest.approx(3e-4, rel=0.1)  # it has recovered
    prune = Prune(0.5)
    wrapped = prune.apply(used)
    rates = Rates("tf_keras")
    Fit(*few, callbacks=[rates.callback])(wrapped, prune.callbacks())
    assert max(rates.seen) == pytest.approx(3e-3, rel=0.1)
    again = rates_of({}, prune.strip(wrapped), few, FineTune())
    assert max(again) == pytest.approx(3e-4, rel=0.1)


@pytest.mark.parametrize(("own", "later"), [({"optimizer": None}, 3e-4), ({}, 1e-4)])
def test_a_network_that_lost_parts_is_taught_at_a_higher_rate_until_it_recovered(
    used, few, own, later
):
    damaged = PruneFilters(0.3).apply(used)
    options = {"trainer": lambda x, y, **more: Distill(used, x, y, **more)}
    assert max(rates_of(own, damaged, few, **options)) == pytest.approx(3e-3, rel=0.1)
    assert max(rates_of(own, damaged, few, **options)) == pytest.approx(later, rel=0.1)


def test_what_learns_anew_is_trained_at_the_full_rate(used, few):
    assert rates_of({}, used, few, MixedPrecision(1)) == pytest.approx([3e-3] * 10)


def test_the_compile_state_of_the_copy_stays(used, few):
    copy = FineTune().apply(used)
    optimizer = copy.optimizer
    Fit(*few)(copy)
    assert copy.optimizer is optimizer
    assert float(np.asarray(optimizer.learning_rate)) == pytest.approx(3e-3)
    assert int(np.asarray(optimizer.iterations)) == 0


def test_settings_of_the_optimizer_are_kept(keras_flavour, small_cnn, few):
    keras = importlib.import_module(keras_flavour)
    model = small_cnn(keras_flavour, compiled=False)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.8), SPARSE)
    model.fit(few[0][:32], few[1][:32], verbose=0)
    copy = FineTune().apply(model)
    ready, peak = ready_optimizer(copy, None, copy.optimizer, None, keras_flavour)
    assert ready.get_config()["momentum"] == pytest.approx(0.8)
    assert peak == pytest.approx(0.05)


def test_a_callback_that_sets_the_rate_is_left_alone_with_it(used, few, keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Halve(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.5**batch

    copy, rates = FineTune().apply(used), Rates(keras_flavour)
    Fit(*few, callbacks=[Halve(), rates.callback])(copy)
    np.testing.assert_allclose(rates.seen, 0.5 ** np.arange(10), rtol=1e-5)


def test_data_of_unknown_length_stay_at_the_peak(used, few):
    batches = [(few[0][at : at + 8], few[1][at : at + 8]) for at in range(0, 320, 8)]
    copy = FineTune().apply(used)
    rates = Rates(bridge.flavour(copy))
    Fit(lambda: iter(batches * 3), callbacks=[rates.callback])(copy)
    np.testing.assert_allclose(rates.seen[:3], 3e-4 * np.arange(1, 4) / 100, rtol=1e-5)
    assert rates.seen[-1] == pytest.approx(3e-4)


def test_distill_fine_tunes_copies_too(used, few, small_cnn):
    options = {"trainer": lambda x, y, **more: Distill(used, x, y, **more)}
    np.testing.assert_allclose(
        rates_of({}, used, few, FineTune(), **options), expected(1e-4, 10), rtol=1e-5
    )
    given = {"learning_rate": 0.02}
    np.testing.assert_allclose(
        rates_of(given, used, few, FineTune(), **options), expected(0.02, 10), rtol=1e-5
    )
    own = small_cnn(bridge.flavour(used))
    assert rates_of({}, own, few, **options) == pytest.approx([1e-3] * 10)


def loss_of(model, x, y):
    probability = np.asarray(model(x))[np.arange(len(y)), y]
    return float(-np.log(np.maximum(probability, 1e-7)).mean())


def test_the_best_weights_by_validation_are_kept_those_from_before_included(used, few):
    x, y = few
    wrong = (y[:64] + 1) % 10  # learning the labels makes this validation loss rise
    copy = FineTune().apply(used)
    before = loss_of(copy, x[:64], wrong)
    with pytest.warns(UserWarning, match="made it worse.*weights from before"):
        Fit(x, y, epochs=3, validation_data=(x[:64], wrong), learning_rate=0.01)(copy)
    assert loss_of(copy, x[:64], wrong) == pytest.approx(before, rel=1e-4)
    Fit(x, y, epochs=3, validation_data=(x[:64], y[:64]), learning_rate=3e-3)(copy)
    assert loss_of(copy, x[:64], y[:64]) < loss_of(used, x[:64], y[:64])


def test_a_training_that_made_the_network_worse_is_told(used, few):
    x, y = few
    Fit(x, y, epochs=8)(used)
    with pytest.warns(UserWarning, match="made it worse: accuracy .* → 0.*smaller learning_rate"):
        Fit(x, y, learning_rate=2.0)(FineTune().apply(used))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Fit(x, y)(FineTune().apply(used))
        Fit(x, y)(Cluster(16).apply(used))


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), "small"])
def test_a_rate_that_is_none(rate, few):
    with pytest.raises(TrainingError, match="learning_rate="):
        Fit(*few, learning_rate=rate)


def test_what_a_copy_is_can_be_said_again_of_a_copy_read_back(
    keras_flavour, small_cnn, few, tmp_path
):
    model = small_cnn(keras_flavour)
    model.fit(few[0][:32], few[1][:32], verbose=0)
    technique = PruneFilters(0.3)
    damaged = technique.strip(technique.apply(model))
    facts = bridge.copy_facts(damaged)
    assert facts is not None
    assert facts == {"steps": 1, "recovers": True} and bridge.copy_facts(model) is None
    bridge.save_model(damaged, tmp_path / "net.keras")
    read = bridge.load_model(tmp_path / "net.keras")
    assert bridge.copy_facts(read) is None
    bridge.note_copy(read, **cast(dict[str, Any], facts))
    assert max(rates_of({}, read, few)) == pytest.approx(3e-3, rel=0.1)
