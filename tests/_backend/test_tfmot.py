import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tfcompress._backend import tfmot


def run_alone(code, **environment):
    clean = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(None, "keras"), pytest.param("1", "tf_keras", marks=pytest.mark.slow)],
)
def test_loading_tfmot_flips_neither_the_environment_nor_tf_keras(setting, expected):
    out = run_alone(
        f"""
        import os
        import tfcompress.techniques
        import keras
        net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8)])
        tfcompress.techniques.Prune(0.5).apply(net)
        assert os.environ.get("TF_USE_LEGACY_KERAS") == {setting!r}
        import tensorflow as tf
        print(tf.keras.layers.Layer.__module__.partition(".")[0])
        """,
        TF_CPP_MIN_LOG_LEVEL="3",
        **({} if setting is None else {"TF_USE_LEGACY_KERAS": setting}),
    )
    assert out == expected + "\n"  # and nothing else is printed


def test_our_tables_agree_with_tfmots_registries():
    import tf_keras

    tfmot.load()
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import (
        ClusteringRegistry,
    )
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import (
        PruneRegistry,
    )

    layers = tf_keras.layers
    for layer, shape in [
        (layers.Conv1D(2, 2), (None, 6, 3)),
        (layers.Conv2D(2, 2), (None, 6, 6, 3)),
        (layers.Conv2DTranspose(2, 2), (None, 6, 6, 3)),
        (layers.Conv3D(2, 2), (None, 6, 6, 6, 3)),
        (layers.DepthwiseConv2D(2), (None, 6, 6, 3)),
        (layers.SeparableConv2D(2, 2), (None, 6, 6, 3)),
        (layers.Dense(2), (None, 6)),
        (layers.Embedding(9, 2), (None, 6)),
        (layers.BatchNormalization(), (None, 6)),
        (layers.LSTM(2), (None, 6, 3)),
        (layers.Bidirectional(layers.GRU(2)), (None, 6, 3)),
        (layers.PReLU(), (None, 6)),
    ]:
        layer.build(shape)
        theirs = (
            PruneRegistry.make_prunable(layer).get_prunable_weights()
            if PruneRegistry.supports(layer)
            else []
        )
        if hasattr(layer, "get_prunable_weights"):
            del layer.get_prunable_weights
        assert [w.ref() for w in tfmot.prunable(layer)] == [w.ref() for w in theirs], type(layer)
        theirs = (
            ClusteringRegistry.make_clusterable(layer).get_clusterable_weights()
            if ClusteringRegistry.supports(layer)
            else []
        )
        assert [w.ref() for w in tfmot.clusterable(layer)] == [w.ref() for _, w in theirs], type(
            layer
        )


def test_assignment_tells_clusters_of_the_kernel_from_clusters_of_channels():
    random = np.random.RandomState(0)
    assert tfmot.assignment(random.randn(3, 3, 8, 8)) is None
    kernel = random.choice([-1.0, 0.0, 0.5, 2.0], (3, 3, 8, 8))
    found = tfmot.assignment(kernel)
    assert found is not None
    index, per_channel = found
    assert not per_channel and index.max() == 3
    split = kernel * (1 + np.arange(8) / 8)  # zero is the one value that channels share
    found = tfmot.assignment(split)
    assert found is not None
    index, per_channel = found
    assert per_channel and index.max() == 31
    for k in range(32):
        assert len(np.unique(split[index == k])) == 1


def test_assignment_finds_values_that_a_sample_misses():
    kernel = np.zeros((400, 400), np.float32)
    kernel[::2] = 1
    kernel[399, 398] = 7
    found = tfmot.assignment(kernel)
    assert found is not None
    index, _ = found
    assert index.max() == 2 and index[399, 398] == 2


def test_a_centroid_gets_the_mean_of_its_members_gradients():
    import tensorflow as tf

    kernel = np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 2.0]], np.float32)
    tfmot.load()
    from tfcompress._backend.tfmot._keeping import KeepingQuantizer, Sets

    index = np.searchsorted([0.0, 1.0, 2.0], kernel)
    sets = Sets.of(kernel, index)
    quantizer = KeepingQuantizer(clusters=True, sets=len(sets.first))
    weights = {
        "index": tf.constant(sets.index, tf.int32),
        "first": tf.constant(sets.first),
        "scale": tf.constant(sets.scale, tf.float32),
    }
    upstream = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 10.0]])
    weight = tf.Variable(tf.constant(kernel))
    with tf.GradientTape() as tape:
        kept = quantizer.kept(weight, weights)
        loss = tf.reduce_sum(upstream * kept)
    np.testing.assert_array_equal(kept, kernel)
    gradient = tf.convert_to_tensor(tape.gradient(loss, weight))
    # 1.0 stands first at (0, 0): (1 + 5)/2; 2.0 at (0, 1): (2 + 3 + 10)/3; zero does not move.
    np.testing.assert_allclose(gradient, [[3.0, 5.0, 0.0], [0.0, 0.0, 0.0]])


def test_tfmots_refusal_is_one_line():
    from types import SimpleNamespace

    from tfcompress._backend.tfmot._quantizing import _refused

    text = "Exception encountered when calling layer\n\nin user code:\n\n  File x\n  TypeError: no."
    assert str(_refused(SimpleNamespace(name="net"), TypeError(text), False)) == (
        "TFMOT refuses to quantize 'net': TypeError: no. Leave the layer out with skip=."
    )
