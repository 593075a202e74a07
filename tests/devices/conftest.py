"""Files of every format of one small network, made once."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tflite_micro")
pytest.importorskip("ethosu.vela")


@pytest.fixture(scope="session")
def nets() -> SimpleNamespace:
    """Bytes by format, and `x` [32, 12, 12, 8], which the network has seen no more than noise."""
    import tf_keras as keras

    import tfcompress as tfc
    from tfcompress import targets
    from tfcompress._backend.quiet import quiet

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((12, 12, 8), name="image"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    x = np.random.default_rng(0).random((120, 12, 12, 8), dtype=np.float32)
    kinds = {
        "float32": targets.Float32(),
        "float16": targets.Float16(),
        "dynamic": targets.DynamicRange(),
        "int8": targets.Int8(io="int8"),
    }
    with quiet():
        made = {
            name: tfc.convert(model, kind, samples=x[:100]).data for name, kind in kinds.items()
        }
        unknown = keras.Sequential([layers.Input((4, 4, 4, 1)), layers.Conv3D(1, 2)])
        made["conv3d"] = tfc.convert(unknown, "float32").data
    return SimpleNamespace(x=x[:32], **made)
