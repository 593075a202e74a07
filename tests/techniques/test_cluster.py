import importlib

import numpy as np
import pytest

from tfcompress.core import InvariantError, ModelError, RecipeError
from tfcompress.techniques import Cluster, Prune

ONE_STEP = {"epochs": 1, "steps_per_epoch": 1}


def values(model, name):
    return len(np.unique(model.get_layer(name).get_weights()[0]))


def test_kernels_hold_few_values_in_the_users_own_model(model, run, digits, keras_flavour):
    stripped, checks = run(Cluster(16), model, epochs=1)
    assert type(stripped).__module__.partition(".")[0] == keras_flavour
    assert [layer.name for layer in stripped.layers] == [layer.name for layer in model.layers]
    assert {check.layer for check in checks} == {"conv1", "conv2", "dense1", "dense2"}
    assert all(8 <= values(stripped, check.layer) <= 16 for check in checks)
    assert stripped.evaluate(digits[2], digits[3], verbose=0)[1] > 0.8


@pytest.mark.parametrize("init", ["kmeans++", "linear", "density", "random"])
def test_every_init_with_and_without_zeros(trained, run, init):
    net = trained("tf_keras")
    pruned = Prune(0.6).strip(Prune(0.6).apply(net))
    for source, keep_zeros in ((net, False), (pruned, True)):
        stripped, _ = run(Cluster(8, init=init, keep_zeros=keep_zeros), source, **ONE_STEP)
        assert values(stripped, "dense1") <= 8
        if keep_zeros:
            kernel = stripped.get_layer("dense1").get_weights()[0]
            assert np.mean(kernel == 0) > 0.599 and not np.signbit(kernel[kernel == 0]).any()


def test_per_channel_clusters_convolutions_without_a_bias_too(trained, run):
    stripped, checks = run(
        Cluster(4, per_channel=True, only="conv."), trained("tf_keras"), **ONE_STEP
    )
    kernel = stripped.get_layer("conv2").get_weights()[0]
    assert (
        max(len(np.unique(kernel[..., c])) for c in range(16)) == 4 and len(np.unique(kernel)) > 16
    )
    assert {check.value for check in checks} == {4}


def test_layers_that_are_too_small_are_skipped_with_the_reason(trained, run):
    technique = Cluster(80)
    stripped, checks = run(technique, trained("tf_keras"))
    assert [
        (item.layer, "72 weights" in item.reason) for item in technique.skips(trained("tf_keras"))
    ] == [("conv1", True)]
    assert "conv1" not in {check.layer for check in checks}
    np.testing.assert_array_equal(stripped.get_weights()[0], trained("tf_keras").get_weights()[0])


def test_too_few_weights_that_are_not_zero_are_skipped_with_the_reason(trained, run):
    pruned = Prune(0.9).strip(Prune(0.9).apply(trained("tf_keras")))
    technique = Cluster(16, keep_zeros=True)
    run(technique, pruned)
    reasons = {item.layer: item.reason for item in technique.skips(pruned)}
    assert list(reasons) == ["conv1"] and "7 weights that are not zero" in reasons["conv1"]


def test_frozen_layers_are_skipped_with_the_reason(small_cnn):
    net = small_cnn("keras")
    net.get_layer("dense1").trainable = False
    assert [(item.layer, "frozen" in item.reason) for item in Cluster(4).skips(net)] == [
        ("dense1", True)
    ]


def test_a_clustered_model_can_be_clustered_again(trained, run):
    once, _ = run(Cluster(8), trained("tf_keras"))
    again, _ = run(Cluster(16), once, **ONE_STEP)
    assert values(again, "dense1") <= 16


def test_nothing_to_cluster_names_the_reasons(trained):
    with pytest.raises(ModelError, match="72 weights"):
        Cluster(100, only=["conv1"]).apply(trained("tf_keras"))


BAD = [
    {"clusters": 1},
    {"clusters": 2, "keep_zeros": True},
    {"clusters": 4.0},
    {"init": "kmeans"},
    {"only": 7},
]


@pytest.mark.parametrize("options", BAD)
def test_bad_options_are_refused(options):
    with pytest.raises(RecipeError):
        Cluster(**options)


def test_check_names_the_layer(trained):
    technique, net = Cluster(16), trained("tf_keras")
    with pytest.raises(InvariantError, match="'conv1' has 72 different values"):
        technique.check(net, net)
    with pytest.raises(InvariantError, match="wrapper"):
        technique.check(net, technique.apply(net))
    zeros = Cluster(16, keep_zeros=True, only=["conv2"])
    pruned = Prune(0.5, only=["conv2"]).strip(Prune(0.5, only=["conv2"]).apply(net))
    with pytest.raises(InvariantError, match="576 zeros of 'conv2'"):
        zeros.check(pruned, Cluster(16).strip(Cluster(16, only=["conv2"]).apply(net)))


def test_attention_keeps_the_order_of_its_weights(keras_flavour):
    """What is stripped predicts as the clustered model does: every kernel is in its own place."""
    keras = importlib.import_module(keras_flavour)
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((5, 8))
    hidden = keras.layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(hidden))
    technique = Cluster(4, only=["attention"])
    wrapped = technique.apply(model)
    stripped = technique.strip(wrapped)
    x = np.random.RandomState(0).normal(size=(3, 5, 8)).astype("float32")
    np.testing.assert_allclose(
        stripped.predict(x, verbose=0), wrapped.predict(x, verbose=0), atol=1e-6
    )
    assert [check.value for check in technique.check(model, stripped)] == [4] * 4
