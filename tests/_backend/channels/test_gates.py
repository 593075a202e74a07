"""Gates: what they measure while a model trains, whatever scales its loss; weights stay."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.channels import _gates
from tfcompress.core import TrainingError
from tfcompress.techniques import PruneFilters
from tfcompress.testing import tiny_model

BATCH = 32


def gated(flavour, policy="float32", optimizer=None, batches=4):
    """(gated copy of the tiny model under a dtype policy, technique, x, y)."""
    kit = importlib.import_module(flavour)
    kit.mixed_precision.set_global_policy(policy)
    try:
        model, x, y = tiny_model(flavour, trained=False)
        if optimizer is not None:
            model.compile(optimizer(kit), "sparse_categorical_crossentropy")
        technique = PruneFilters(0.5, importance="taylor", batches=batches)
        return technique.apply(model), technique, x, y
    finally:
        kit.mixed_precision.set_global_policy("float32")


def scores(model):
    return {layer.name: _gates.score_of(layer) for layer in model.layers if _gates.is_gate(layer)}


def fit(model, technique, x, y):
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=technique.callbacks())


def test_half_precision_gives_the_scores_of_single_precision(keras_flavour):
    """Keras multiplies the loss by 2^15 there; the score is that of the loss itself."""
    measured = []
    for policy in ("float32", "mixed_float16"):
        model, technique, x, y = gated(keras_flavour, policy)
        fit(model, technique, x, y)
        measured.append(scores(model))
    single, half = measured
    assert set(single) == {"conv1_gate", "bn_gate", "conv2_gate", "bn2_gate", "dense1_gate"}
    for name in single:
        np.testing.assert_allclose(
            half[name], single[name], rtol=0.1, atol=0.02 * max(single[name])
        )


def test_batches_whose_gradients_overflow_do_not_count(keras_flavour):
    """Keras skips the steps of a loss scale of 2^20 and halves it until the gradients fit.

    The few batches that are left measure every gate about as all of them do.
    """

    def optimizer(kit):
        home = kit.optimizers if keras_flavour == "keras" else kit.mixed_precision
        return home.LossScaleOptimizer(kit.optimizers.SGD(0.0), initial_scale=2.0**20)

    model, technique, x, y = gated(keras_flavour, "mixed_float16", optimizer, batches=8)
    fit(model, technique, x, y)
    batches = {layer.get_weights()[1] for layer in model.layers if _gates.is_gate(layer)}
    assert min(batches) < 8 and 0 not in batches
    reference, technique, x, y = gated(keras_flavour, batches=8)
    fit(reference, technique, x, y)
    expected = scores(reference)
    for name, score in scores(model).items():
        assert 0.4 < score.max() / expected[name].max() < 2.5
    technique.strip(model)


@pytest.mark.parametrize("batches", [1, 3])
def test_weights_stay_and_training_ends_after_so_many_batches(keras_flavour, batches):
    kit = importlib.import_module(keras_flavour)
    model, x, y = tiny_model(keras_flavour, trained=False)
    model.compile(kit.optimizers.SGD(0.5), "sparse_categorical_crossentropy", steps_per_execution=4)
    technique = PruneFilters(0.5, importance="taylor", batches=batches)
    model = technique.apply(model)
    before = [np.array(w) for w in model.get_weights()]
    fit(model, technique, x, y)
    assert int(np.asarray(model.optimizer.iterations)) == batches
    after = zip(before, model.get_weights(), model.weights)
    assert all(np.array_equal(a, b) for a, b, v in after if not _gates._is_score(v))


def test_weights_that_cannot_be_held_are_an_error(keras_flavour):
    """A model compiled anew with several steps an execution shows its callbacks no single step."""
    model, technique, x, y = gated(keras_flavour)
    model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=4)
    with pytest.raises(TrainingError, match="steps_per_execution=4"):
        fit(model, technique, x, y)


def test_a_layer_of_ones_own_called_channel_gate_is_none(keras_flavour):
    layers = importlib.import_module(keras_flavour).layers
    assert not _gates.is_gate(type("ChannelGate", (layers.Layer,), {})())


def test_a_gated_model_survives_a_copy_through_its_config(keras_flavour):
    model, _, x, _ = gated(keras_flavour)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x[:4], verbose=0), model.predict(x[:4], verbose=0))
