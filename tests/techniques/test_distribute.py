"""Every technique inside a tf.distribute strategy.

Logical devices must be made before TensorFlow starts, hence a new process.
"""

import subprocess
import sys
import textwrap

import pytest

CODE = """
    import numpy as np
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    import keras
    from tfcompress.techniques import Cluster, MixedPrecision, Prune, QuantizeAware

    layers = keras.layers
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="fc"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    random = np.random.RandomState(0)
    x, y = random.rand(128, 8, 8, 1).astype("float32"), random.randint(0, 10, 128)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    chain = [Prune(0.5), Cluster(8, keep_zeros=True), QuantizeAware(preserve="both")]
    alone = [Prune(pattern="2:4"), Prune(0.5, schedule="polynomial")]
    alone += [QuantizeAware(), QuantizeAware(preserve="sparsity")]
    alone += [MixedPrecision({"conv": 2, "fc": 4}, activations="same")]
    for technique in chain + alone:
        with strategy.scope():
            wrapped = technique.apply(net)
        assert wrapped.distribute_strategy.num_replicas_in_sync == 2
        before = wrapped.get_weights()
        wrapped.fit(x, y, epochs=1, batch_size=32, verbose=0, callbacks=technique.callbacks())
        assert any(not np.array_equal(a, b) for a, b in zip(before, wrapped.get_weights()))
        stripped = technique.strip(wrapped)
        assert technique.check(net, stripped)
        net = stripped if technique in chain[:2] else net
    print("all", len(chain + alone))
"""


@pytest.mark.slow
def test_two_replicas():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE)], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.endswith("all 8\n"), done.stderr[-3000:]
